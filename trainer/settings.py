"""Where things lie and what is allowed: one frozen dataclass, read once from the environment."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
PRACTICE = ASSETS / "practice"  # synthetic clips in MInDS-14's schema
STARTER = ASSETS / "starter"  # the small pretrained model that fine-tunes on a laptop
# Copies of the starter that know a locale's practice sentences, so that there is something to talk to before a person
# has trained anything. A folder that is not there is not on offer.
READY_MADE = {"en-US": ASSETS / "ready-en-US"}


@dataclass(frozen=True)
class Limits:
    """What keeps one visitor from taking the whole machine. 0 is no limit, where it says so."""

    waiting_runs: int  # in line behind the one that trains, of all visitors
    runs_of_visitor: int  # that train or wait
    kept_runs_of_visitor: int  # in all; 0: no limit
    minutes_a_run: float  # from its turn on; 0: no limit
    disk_bytes: int  # of all runs; 0: no limit
    waiting_recordings: int  # to be transcribed, of all visitors


# A laptop has one person and their disk. A free Space has two cores and 50 GB for everybody.
LAPTOP = Limits(20, 4, 0, 0.0, 50 * 10**9, 8)
SPACE = Limits(8, 1, 10, 120.0, 20 * 10**9, 16)


@dataclass(frozen=True)
class Settings:
    """What a host may set. Every field has an environment variable, named in `from_env`."""

    data_dir: Path
    on_space: bool = False  # many visitors, each with their own runs; a laptop has one owner
    can_sign_in: bool = True  # to the Hub: False on a Space whose README does not ask for it
    hub_endpoint: str = "https://huggingface.co"
    hub_timeout: float = 4.0  # seconds to wait before the Hub counts as out of reach
    max_audio_seconds: float = 300.0  # of one recording or upload to transcribe
    max_audio_bytes: int = 50 * 2**20  # of one file, before it is decoded
    max_clip_seconds: float = 30.0  # of one training clip; longer ones are left out and counted
    limits: Limits = LAPTOP
    max_model_bytes: int = 6 * 10**9  # of one download; wav2vec2 with 1 B parameters is 4 GB
    max_load_bytes: int = 10 * 10**9  # of a model in memory, where the machine has more
    max_cache_bytes: int = 20 * 10**9  # of all downloaded models together; the least recently used make way

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read VOICETUNE_DATA, VOICETUNE_MAX_SECONDS, HF_ENDPOINT, SPACE_ID, SYSTEM, OAUTH_CLIENT_ID, and the limits
        as they are named below.

        In GB: VOICETUNE_MAX_DOWNLOAD (one model), VOICETUNE_MAX_LOAD (one model in memory), VOICETUNE_MAX_CACHE (all
        downloaded models).
        """
        on_space = bool(env.get("SPACE_ID"))

        def gigabytes(name: str, otherwise: int) -> int:
            return int(float(env[name]) * 10**9) if env.get(name) else otherwise

        return cls(
            data_dir=Path(env["VOICETUNE_DATA"]) if env.get("VOICETUNE_DATA") else _default_data_dir(env, on_space),
            on_space=on_space,
            # As Gradio decides it; anywhere else its sign-in is a mock that takes everybody for the host.
            can_sign_in=not on_space or (env.get("SYSTEM") == "spaces" and bool(env.get("OAUTH_CLIENT_ID"))),
            hub_endpoint=env.get("HF_ENDPOINT", cls.hub_endpoint).rstrip("/"),
            max_audio_seconds=float(env.get("VOICETUNE_MAX_SECONDS", cls.max_audio_seconds)),
            limits=_limits(env, SPACE if on_space else LAPTOP),
            max_model_bytes=gigabytes("VOICETUNE_MAX_DOWNLOAD", cls.max_model_bytes),
            max_load_bytes=gigabytes("VOICETUNE_MAX_LOAD", cls.max_load_bytes),
            max_cache_bytes=gigabytes("VOICETUNE_MAX_CACHE", cls.max_cache_bytes),
        )

    @property
    def runs_dir(self) -> Path:
        """One folder a run."""
        return self.data_dir / "runs"

    @property
    def models_dir(self) -> Path:
        """Models from the Hub, in huggingface_hub's layout. The Hub's own cache is other programs' too: only read."""
        return self.data_dir / "models"

    @property
    def turns_dir(self) -> Path:
        """The line in which trainers wait."""
        return self.data_dir / "turns"

    @cached_property
    def lasting(self) -> bool:
        """False where the data folder is gone after a restart: a Space without a mounted volume."""
        return not self.on_space or self.data_dir.is_relative_to("/data")


def _limits(env: Mapping[str, str], default: Limits) -> Limits:
    gigabytes = env.get("VOICETUNE_MAX_GB")
    return Limits(
        waiting_runs=int(env.get("VOICETUNE_MAX_WAITING", default.waiting_runs)),
        runs_of_visitor=int(env.get("VOICETUNE_MAX_RUNS", default.runs_of_visitor)),
        kept_runs_of_visitor=int(env.get("VOICETUNE_MAX_KEPT", default.kept_runs_of_visitor)),
        minutes_a_run=float(env.get("VOICETUNE_MAX_MINUTES", default.minutes_a_run)),
        disk_bytes=round(float(gigabytes) * 10**9) if gigabytes else default.disk_bytes,
        waiting_recordings=int(env.get("VOICETUNE_MAX_LISTENING", default.waiting_recordings)),
    )


def _default_data_dir(env: Mapping[str, str], on_space: bool) -> Path:
    """A Space's mounted volume, else ~/.voicetune, else (a home that cannot be written) a temporary folder."""
    volume = Path("/data")
    if on_space and os.access(volume, os.W_OK):
        return volume / "voicetune"
    home = Path(env.get("HOME") or Path.home())
    return (home if os.access(home, os.W_OK) else Path(tempfile.gettempdir())) / ".voicetune"
