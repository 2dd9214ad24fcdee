"""Which base model to begin with, and why, as far as it was measured."""

import functools
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from trainer.formatting import percent
from trainer.hardware import SMALL_GPU, Machine
from trainer.models.catalog import BASES, STARTER_ID, Base, bases_on_offer
from trainer.settings import STARTER
from trainer.speech.locales import Locale
from trainer.training.estimate import fit_of_row

# By locale, what a quick look made of the starter on the practice clips kept aside for the end: rates `wer_before`,
# `wer`, `cer_before` and `cer`. Written by `python -m tests.benchmarks.learning --keep`.
LEARNING = STARTER / "learning.json"
_ALIKE = 100_000_000  # parameters; a difference that matters
_WANTS = {"cpu": 0, "small": 1, "large": 2}


@dataclass(frozen=True)
class Recommendation:
    """A base's id, and a sentence."""

    base: str
    reason: str


def recommend(locale: Locale, machine: Machine, here: Collection[str], hub: bool | None) -> Recommendation:
    """The best base that this machine can train. `here`: those that need no download; `hub` False: only those.

    Without a GPU it is the starter, for what it was measured to learn in minutes. With one: a model that writes the
    language already, else one that has heard it, as large as fits; of equals the first in the table.
    """
    english = locale.english_language
    can = [row for row in bases_on_offer() if row.id in here or hub is not False]
    can = [row for row in can if _WANTS[row.machine] <= _kind(machine) and fit_of_row(row, machine).fits]
    if machine.gpu is None:
        return Recommendation(STARTER_ID, f"{_of_the_starter(locale)} Others take hours on {machine.words}.")
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


@functools.cache
def measured_learning() -> Mapping[str, Mapping[str, float]]:
    """What LEARNING holds."""
    found: Mapping[str, Mapping[str, float]] = json.loads(LEARNING.read_text(encoding="utf-8"))
    return found


def _of_the_starter(locale: Locale) -> str:
    learnt, what = measured_learning().get(locale.code), "words" if locale.headline == "wer" else "characters"
    if learnt is None:
        return f"It writes some {locale.english_language} already and learns on in minutes."
    before, after = (percent(learnt[f"{locale.headline}{when}"]) for when in ("_before", ""))
    return f"A quick look takes it from {before} of the {what} wrong to {after}, on practice voices."


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
