"""Which base to start from, for a language on this machine, and why in one line."""

from collections.abc import Collection
from dataclasses import dataclass

from trainer.models.base import STARTER_ID, Base
from trainer.models.bases import BASES, bases_on_offer
from trainer.models.sizes import sizes_of
from trainer.settings import Settings
from trainer.speech.locales import Locale
from trainer.training.fitting import Fit, fit_of
from trainer.training.hardware import SMALL_GPU, Machine
from trainer.training.presets import PRESETS
from trainer.training.recipe import Recipe

_ALIKE = 50_000_000  # parameters; a difference that matters
LONGEST_SECONDS = Settings.max_clip_seconds
_WANTS = {"cpu": 0, "small": 1, "large": 2}


@dataclass(frozen=True)
class Recommendation:
    """A base's id, and a sentence."""

    base: str
    reason: str


def recommend(locale: Locale, machine: Machine, here: Collection[str], hub: bool | None) -> Recommendation:
    """The best base that this machine can train. `here`: those that need no download; `hub` False: only those.

    Without a GPU it is the starter. With one: a model that writes the language already, else one that has heard it,
    as large as fits; of equals the first in the table.
    """
    english = locale.english_language
    if machine.gpu is None:
        return Recommendation(STARTER_ID, f"It learns {english} in minutes on {machine.words}; larger ones take hours.")
    can = [row for row in bases_on_offer() if row.id in here or hub is not False]
    can = [row for row in can if _WANTS[row.machine] <= _kind(machine) and fit_of_row(row, machine).fits]
    best = max(can, key=lambda row: _merit(row, locale.language), default=BASES[STARTER_ID])
    if best.id == STARTER_ID:
        why = "the Hub is out of reach" if hub is False else f"nothing larger fits into the memory of {machine.words}"
        return Recommendation(STARTER_ID, f"It comes with Voicetune, and {why}.")
    if best.writes == locale.language:
        return Recommendation(best.id, f"It writes {english} already, and {machine.words} can train it.")
    heard = "It has heard very many languages" if not best.heard else f"It has heard {english}"
    if best.heard and locale.language not in best.heard:
        heard = "It learns other languages than its own too"
    return Recommendation(best.id, f"{heard}, and {machine.words} can train it.")


def recipe_for(row: Base) -> Recipe:
    """How it would be trained: the starter by the quick look, all others as a real model."""
    preset = PRESETS["quick" if row.id == STARTER_ID else "full"]
    return preset.recipe.change(base=row.id, preset=preset.name)


def fit_of_row(row: Base, machine: Machine, longest_seconds: float = LONGEST_SECONDS) -> Fit:
    """Whether it can be trained here with its own recipe."""
    sizes = sizes_of(row.id)
    assert sizes is not None  # it is in the table
    return fit_of(recipe_for(row), sizes, longest_seconds, machine)


def _kind(machine: Machine) -> int:
    if machine.gpu is None:
        return _WANTS["cpu"]
    return _WANTS["small" if machine.gpu <= SMALL_GPU else "large"]


def _merit(row: Base, language: str) -> tuple[int, int]:
    """Larger is better: what it knows of the language, then its size."""
    if row.id == STARTER_ID:
        return (-1, 0)
    if row.writes == language:
        knows = 3
    elif row.writes:
        knows = 0  # a head for another language is thrown away
    else:
        knows = 2 if not row.heard or language in row.heard else 1
    return (knows, round(row.parameters / _ALIKE))
