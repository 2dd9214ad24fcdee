"""How long trainings really took on this computer: each one that ends corrects the estimates of those to come.

Kept in the data folder by what decides the time, as digests: no base's name or folder can be read from it. It is a
convenience: where it cannot be read or written, estimates are as good as without it. Needs no torch.
"""

import functools
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TypedDict

from trainer.hardware import processor
from trainer.settings import Settings
from trainer.training.recipe import Recipe

FILE = "measured.json"
MOST_KEPT = 200  # the newest
SHORTEST = 20  # steps; fewer say too little
USUAL = (0.2, 5.0)  # another factor is a fault of a clock, or of a computer that slept
# What changes the time of a step, beside the base.
_OF_A_STEP = (
    "batch_seconds",
    "batch_clips",
    "gradient_accumulation",
    "gradient_checkpointing",
    "freeze_feature_encoder",
    "frozen_layers",
    "augment",
    "dropout",
    "precision",
)


class Entry(TypedDict):
    """Seconds that were guessed for so many steps, and those that they took."""

    base: str
    recipe: str
    guessed: float
    took: float


def note(recipe: Recipe, settings: Settings, guessed: float, took: float) -> None:
    """Of a training that ended: seconds for the steps that it made."""
    if not USUAL[0] < took / guessed < USUAL[1]:
        return
    base, of_recipe = _keys(recipe)
    others = [entry for entry in _read(settings) if (entry["base"], entry["recipe"]) != (base, of_recipe)]
    entries = [*others, Entry(base=base, recipe=of_recipe, guessed=guessed, took=took)][-MOST_KEPT:]
    draft = settings.data_dir / f"{FILE}.{os.getpid()}.part"
    try:
        draft.write_text(json.dumps(entries), encoding="utf-8")
        draft.replace(settings.data_dir / FILE)
    except OSError:  # a full disk
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def factor(recipe: Recipe, settings: Settings) -> float:
    """By which a guess is to be multiplied: of the same base and recipe as last time, else of what is most like it."""
    base, of_recipe = _keys(recipe)
    entries = _read(settings)
    for alike in (
        [entry for entry in entries if (entry["base"], entry["recipe"]) == (base, of_recipe)],
        [entry for entry in entries if entry["base"] == base],
        entries,
    ):
        if alike:
            return float(median(entry["took"] / entry["guessed"] for entry in alike))
    return 1.0


def _keys(recipe: Recipe) -> tuple[str, str]:
    """Of the base and of the recipe on this computer: a data folder may be taken to another."""
    machine = f"{_processor()} {os.cpu_count()}"
    values = [getattr(recipe, name) for name in _OF_A_STEP]
    return _digest(machine, recipe.base), _digest(machine, json.dumps(values))


@functools.cache
def _processor() -> str:
    return processor()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _read(settings: Settings) -> list[Entry]:
    file = settings.data_dir / FILE
    try:
        return _parsed(file, file.stat().st_mtime_ns)
    except OSError:
        return []


@functools.lru_cache(maxsize=4)
def _parsed(file: Path, changed: int) -> list[Entry]:
    """The entries that make sense; a file that was spoilt has none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return [
            Entry(base=str(one["base"]), recipe=str(one["recipe"]), guessed=guessed, took=took)
            for one in found
            if USUAL[0] < (took := float(one["took"])) / (guessed := float(one["guessed"])) < USUAL[1]
        ]
    except (ValueError, TypeError, KeyError, ArithmeticError):
        return []
