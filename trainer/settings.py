"""Where things lie and what is allowed: one frozen dataclass, read once from the environment."""

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.errors import UserError, refusal_of
from trainer.formatting import number

ASSETS = Path(__file__).resolve().parent.parent / "assets"
PRACTICE = ASSETS / "practice"  # synthetic clips in MInDS-14's schema
STARTER = ASSETS / "starter"  # the pretrained model that fine-tunes on a laptop
# Its letters of each language, by ISO 639-1 code, so that there is something to talk to before a person has trained
# anything. A folder that is not there is not on offer.
STARTER_HEADS = STARTER / "heads"
WORDS = ASSETS / "words"  # the common words of languages, by ISO 639-1 code
GB = 10**9


@dataclass(frozen=True)
class Variable:
    """The environment variable that sets a field: what it sets in words, and, for a number, what it may be.

    A number is given in units of `unit`, e.g. GB for a field in bytes. `whole`: without a fraction.
    """

    name: str
    what: str
    least: float = 0.0
    most: float = 1e6
    unit: int = 1
    whole: bool = False
    zero_is_no_limit: bool = False

    def number(self, text: str) -> float:
        """The field's value. Raises UserError, naming the variable and what it may be."""
        try:
            given = float(text)
        except ValueError:
            given = math.nan
        if not self.least <= given <= self.most or (self.whole and given != int(given)):
            raise UserError(
                f"The environment variable {self.name} is “{text[:40]}”, which it cannot be.",
                f"It sets {self.what}: give a {'whole ' if self.whole else ''}number from {number(self.least)} to "
                f"{number(self.most)}{' (0: no limit)' if self.zero_is_no_limit else ''}, or leave it out.",
            )
        return round(given * self.unit) if self.whole or self.unit > 1 else given


def _set_by(name: str, what: str, **bounds: Any) -> Mapping[str, Variable]:
    return {"variable": Variable(name, what, **bounds)}


def variables(kind: "type[Settings] | type[Limits]") -> dict[str, Variable]:
    """Field: the variable that sets it, for the fields that have one."""
    return {each.name: each.metadata["variable"] for each in fields(kind) if "variable" in each.metadata}


def _numbers(kind: "type[Settings] | type[Limits]", env: Mapping[str, str]) -> dict[str, Any]:
    """The number fields that the environment sets. An empty variable is as none."""
    given = {name: (variable, env.get(variable.name, "").strip()) for name, variable in variables(kind).items()}
    return {name: variable.number(text) for name, (variable, text) in given.items() if text and name not in _TEXTS}


@dataclass(frozen=True)
class Limits:
    """What keeps one visitor from taking the whole machine. 0 is no limit, where its variable says so."""

    waiting_runs: int = field(
        metadata=_set_by(
            "VOICETUNE_MAX_WAITING", "runs in line behind the one that trains, of all visitors", whole=True
        )
    )
    runs_of_visitor: int = field(
        metadata=_set_by("VOICETUNE_MAX_RUNS", "runs of a visitor that train or wait", least=1, whole=True)
    )
    kept_runs_of_visitor: int = field(
        metadata=_set_by("VOICETUNE_MAX_KEPT", "runs that a visitor keeps", whole=True, zero_is_no_limit=True)
    )
    minutes_a_run: float = field(
        metadata=_set_by("VOICETUNE_MAX_MINUTES", "minutes that a run may take from its turn on", zero_is_no_limit=True)
    )
    disk_bytes: int = field(
        metadata=_set_by("VOICETUNE_MAX_GB", "GB of disk for all runs", unit=GB, zero_is_no_limit=True)
    )
    clips_of_visitor: int = field(
        metadata=_set_by("VOICETUNE_MAX_CLIPS", "clips of their own that a visitor keeps in a language", whole=True)
    )
    waiting_recordings: int = field(
        metadata=_set_by(
            "VOICETUNE_MAX_LISTENING", "recordings waiting to be transcribed, of all visitors", least=1, whole=True
        )
    )


# A laptop has one person and their disk. A free Space has two cores and 50 GB for everybody.
LAPTOP = Limits(20, 4, 0, 0.0, 50 * GB, 2000, 8)
SPACE = Limits(8, 1, 10, 120.0, 20 * GB, 200, 16)
# Seconds and bytes of a recording. Sound is decoded to the disk and heard piece by piece, so an hour takes no memory;
# the file itself does while it is decoded, of up to four visitors at once.
LAPTOP_SOUND, SPACE_SOUND = (3600.0, 200 * 2**20), (1800.0, 100 * 2**20)
_TEXTS = ("data_dir", "hub_endpoint", "hosts")  # the fields that are no numbers
_SOUND = ("max_audio_seconds", "max_audio_bytes")


@dataclass(frozen=True)
class Settings:
    """What a host may set, by the environment variables that the fields name. The others a program may set."""

    data_dir: Path = field(metadata=_set_by("VOICETUNE_DATA", "where runs and downloaded models lie"))
    on_space: bool = False  # many visitors, each with their own runs; a laptop has one owner
    can_sign_in: bool = True  # to the Hub: False on a Space whose README does not ask for it
    hub_endpoint: str = field(
        default="https://huggingface.co", metadata=_set_by("HF_ENDPOINT", "the Hub, or a mirror of it")
    )
    hub_timeout: float = 4.0  # seconds to wait before the Hub counts as out of reach
    max_audio_seconds: float = field(
        default=LAPTOP_SOUND[0],
        metadata=_set_by("VOICETUNE_MAX_SECONDS", "seconds of a recording to transcribe", least=1),
    )
    max_audio_bytes: int = LAPTOP_SOUND[1]  # of one file, before it is decoded
    max_clip_seconds: float = 30.0  # of one training clip; longer ones are left out and counted
    limits: Limits = LAPTOP
    # Of one download; wav2vec2 with 1 B parameters is 4 GB.
    max_model_bytes: int = field(
        default=6 * GB, metadata=_set_by("VOICETUNE_MAX_DOWNLOAD", "GB of one download", unit=GB)
    )
    # Where the machine has more.
    max_load_bytes: int = field(
        default=10 * GB, metadata=_set_by("VOICETUNE_MAX_LOAD", "GB of one model in memory", unit=GB)
    )
    # The least recently used make way.
    max_cache_bytes: int = field(
        default=20 * GB, metadata=_set_by("VOICETUNE_MAX_CACHE", "GB of all downloaded models", unit=GB)
    )

    # With the package that it needs, which is not installed by itself.
    mcp: int = field(default=0, metadata=_set_by("VOICETUNE_MCP", "whether MCP is served: 1, or 0", most=1, whole=True))
    # "*.example.org" stands for all below it.
    hosts: tuple[str, ...] = field(
        default=(),
        metadata=_set_by("VOICETUNE_HOSTS", "names by which the page is reached, beside localhost"),
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the variables that the fields name, and those by which a Space says what it is: SPACE_ID, SYSTEM and
        OAUTH_CLIENT_ID. Raises UserError for a number that cannot be."""
        on_space = bool(env.get("SPACE_ID"))
        data, endpoint, hosts = (env.get(variables(cls)[name].name, "") for name in _TEXTS)
        return cls(
            data_dir=_data_dir(data) if data.strip() else _default_data_dir(env, on_space),
            on_space=on_space,
            # As Gradio decides it; anywhere else its sign-in is a mock that takes everybody for the host.
            can_sign_in=not on_space or (env.get("SYSTEM") == "spaces" and bool(env.get("OAUTH_CLIENT_ID"))),
            hub_endpoint=(endpoint or cls.hub_endpoint).rstrip("/"),
            limits=replace(SPACE if on_space else LAPTOP, **_numbers(Limits, env)),
            **{**dict(zip(_SOUND, SPACE_SOUND if on_space else LAPTOP_SOUND, strict=True)), **_numbers(cls, env)},
            hosts=_hosts(hosts, env),
        )

    def make_data_dir(self) -> None:
        """Raises UserError where it cannot be made, or not be written."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            usable, why = os.access(self.data_dir, os.W_OK), "I may not write into it."
        except OSError as error:
            known = refusal_of(error)
            usable, why = False, known.what if known else "It cannot be made."
        if not usable:
            raise UserError(
                f"The folder for runs and models cannot be used. {why}",
                "Name another one by the environment variable VOICETUNE_DATA.",
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
    def clips_dir(self) -> Path:
        """What visitors record to learn from: a folder an owner, in it one a language. See `speech.own_clips`."""
        return self.data_dir / "clips"

    @property
    def queue_dir(self) -> Path:
        """The tickets of those that wait to train, see `runs.queue`."""
        return self.data_dir / "queue"

    @cached_property
    def lasting(self) -> bool:
        """False where the data folder is gone after a restart: a Space without a mounted volume."""
        return not self.on_space or self.data_dir.is_relative_to("/data")


def _hosts(named: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """What is named, with commas between, what a Space is called, and what Gradio listens on."""
    named = ",".join((named, *(env.get(name, "") for name in ("SPACE_HOST", "GRADIO_SERVER_NAME"))))
    return tuple(filter(None, (name.strip() for name in named.split(","))))


_QUOTES = "\"'“”„‘’«»"  # around a path that was copied from somewhere


def typed_path(typed: str | Path) -> Path:
    """The path that a person means: "~" is their home; quotation marks around it are a shell's or a file manager's.

    Raises UserError for what no path can be, and for a name that could be written into no file and no sentence.
    """
    text = str(typed)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            "The name of that file or folder is not valid UTF-8.", "Rename it, and the folders above it."
        ) from None
    if not text.strip() or "\0" in text:
        raise UserError("I cannot find a file or folder of that name.", "Give its whole path.")
    if os.path.lexists(text):
        return Path(text)
    text = text.strip()
    if len(text) > 2 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~somebody who has no home here
        return Path(text)


def _data_dir(typed: str) -> Path:
    """Absolute: a trainer's process has another working folder. Raises UserError where something else lies there."""
    folder = typed_path(typed).absolute()
    try:
        taken = folder.exists() and not folder.is_dir()
    except OSError:  # longer than a name may be: `make_data_dir` says so
        taken = False
    if taken:
        raise UserError("The environment variable VOICETUNE_DATA names a file.", "Name a folder, or leave it out.")
    return folder


def _default_data_dir(env: Mapping[str, str], on_space: bool) -> Path:
    """A Space's mounted volume, else ~/.voicetune, else (a home that cannot be written) a temporary folder."""
    volume = Path("/data")
    if on_space and os.access(volume, os.W_OK):
        return volume / "voicetune"
    home = Path(env.get("HOME") or Path.home())
    return (home if os.access(home, os.W_OK) else Path(tempfile.gettempdir())) / ".voicetune"
