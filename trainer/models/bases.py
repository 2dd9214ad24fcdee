"""The base models on offer, one row each, and where any base comes from."""

from dataclasses import dataclass
from pathlib import Path

from trainer.errors import UserError
from trainer.models.fetching import fetch_checked
from trainer.settings import STARTER


@dataclass(frozen=True)
class Base:
    """A pretrained model to start from.

    `training_cost` is what a step costs for each second of audio, its front end frozen: the seconds it took on two
    cores times what `training.estimate.machine_gflops` measures there. Small layers cost more than their arithmetic.
    """

    id: str
    title: str
    training_cost: float
    revision: str | None = None  # None: the repo's main branch


_ROWS = (
    Base("starter", "Starter (comes with Voicetune, 4 million parameters)", training_cost=1.3),
    # Apache-2.0. Its main revision has pickle weights only; refs/pr/2 holds the same as safetensors.
    Base("facebook/wav2vec2-base", "wav2vec2-base (95 million parameters)", training_cost=14.8, revision="refs/pr/2"),
    Base("facebook/wav2vec2-base-960h", "wav2vec2-base-960h (the same, already taught English)", training_cost=14.8),
)

BASES: dict[str, Base] = {row.id: row for row in _ROWS}

# CTC models of the Hub for the Transcribe tab, by language. All are Apache-2.0 or MIT.
HUB_MODELS: dict[str, str] = {
    "en": "facebook/wav2vec2-base-960h",
    "de": "jonatasgrosman/wav2vec2-large-xlsr-53-german",
    "fr": "jonatasgrosman/wav2vec2-large-xlsr-53-french",
    "es": "jonatasgrosman/wav2vec2-large-xlsr-53-spanish",
    "it": "jonatasgrosman/wav2vec2-large-xlsr-53-italian",
    "nl": "jonatasgrosman/wav2vec2-large-xlsr-53-dutch",
    "pl": "jonatasgrosman/wav2vec2-large-xlsr-53-polish",
    "pt": "jonatasgrosman/wav2vec2-large-xlsr-53-portuguese",
    "ru": "jonatasgrosman/wav2vec2-large-xlsr-53-russian",
    "zh": "jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn",
}


def training_cost_of(base: str) -> float:
    """`Base.training_cost`; for a base that is not in the table that of the usual size."""
    return BASES[base if base in BASES else "facebook/wav2vec2-base"].training_cost


def folder_of(base: str) -> Path:
    """The local folder of a base or model: the starter, a path, or a Hub id, which is fetched.

    Raises UserError where there is none.
    """
    if base == "starter":
        return STARTER
    path = Path(base).expanduser()
    if path.is_dir():
        return path
    if base.startswith((".", "/", "~")):
        raise UserError("There is no model in that folder.", "Give a folder with a config.json, or a Hub id.")
    return fetch_base(base)


def fetch_base(repo: str) -> Path:
    """A checkpoint of the Hub, at the revision of the table where it is in it. Raises UserError."""
    return fetch_checked(repo, BASES[repo].revision if repo in BASES else None)
