"""From what a visitor chose to a recipe, and back. Pure: the components are in finetune_tab."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.models.base import STARTER_ID
from trainer.settings import Settings
from trainer.training.presets import PRESETS, Preset, preset_of
from trainer.training.recipe import Recipe
from trainer.ui.wording import about

_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")
OWN_FOLDER = "folder"


@dataclass(frozen=True)
class Form:
    """The values of the form's fields, named as in a recipe. None is an empty field; `batch_seconds` and `clips` may be
    0, since Gradio shows an empty number as 0."""

    locale: str
    preset: str
    base: str
    data: str  # auto | minds14 | practice | folder
    folder: str
    max_steps: float | None
    learning_rate: float | None
    batch_seconds: float | None
    warmup_steps: float | None
    gradient_accumulation: float | None
    clips: float | None
    precision: str
    seed: float | None
    freeze_feature_encoder: bool


def form_of(recipe: Recipe) -> Form:
    """The fields filled with a recipe."""
    named = recipe.data in ("auto", "minds14", "practice")
    return Form(
        locale=recipe.locale,
        preset=recipe.preset if recipe.preset in PRESETS else "quick",
        base=recipe.base,
        data=recipe.data if named else OWN_FOLDER,
        folder="" if named else recipe.data,
        max_steps=recipe.max_steps,
        learning_rate=recipe.learning_rate,
        batch_seconds=recipe.batch_seconds or 0,
        warmup_steps=recipe.warmup_steps,
        gradient_accumulation=recipe.gradient_accumulation,
        clips=recipe.clips or 0,
        precision=recipe.precision,
        seed=recipe.seed,
        freeze_feature_encoder=recipe.freeze_feature_encoder,
    )


def recipe_of(form: Form, settings: Settings) -> Recipe:
    """The recipe that the fields describe. Raises UserError naming the field that is off."""
    start = preset_of(form.preset).recipe
    for name, words in (("max_steps", "steps"), ("learning_rate", "learning rate"), ("seed", "seed")):
        if getattr(form, name) is None:
            raise UserError(f"The field for the {words} is empty.", "Type a number, or choose the preset again.")
    changed: dict[str, Any] = {
        "locale": form.locale,
        "preset": form.preset,
        "base": _base(form.base, settings),
        "data": source_of(form.data, form.folder, settings),
        "max_steps": _whole(form.max_steps),
        "learning_rate": form.learning_rate,
        "warmup_steps": _whole(form.warmup_steps or 0),
        "gradient_accumulation": _whole(form.gradient_accumulation or 1),
        "clips": _whole(form.clips) if form.clips else None,
        "precision": form.precision,
        "seed": _whole(form.seed),
        "freeze_feature_encoder": bool(form.freeze_feature_encoder),
    }
    if form.batch_seconds:  # 0: as the preset has it, which may be a number of clips
        changed |= {"batch_seconds": float(form.batch_seconds), "batch_clips": None}
    recipe = start.change(**changed)
    return recipe.change(**_in_proportion(start, recipe))


def _in_proportion(start: Recipe, recipe: Recipe) -> dict[str, Any]:
    """What has no field of its own follows what has: as many checks as the preset makes, the head's rate likewise."""
    following: dict[str, Any] = {}
    if recipe.max_steps != start.max_steps:
        following["eval_steps"] = max(1, round(start.eval_steps * recipe.max_steps / start.max_steps))
    if start.head_learning_rate is not None and recipe.learning_rate != start.learning_rate:
        ratio = start.head_learning_rate / start.learning_rate
        following["head_learning_rate"] = min(0.1, recipe.learning_rate * ratio)
    return following


def _whole(value: float | None) -> float | int | None:
    """A whole number as int; anything else as it is, for the recipe to refuse with a sentence."""
    return int(value) if isinstance(value, float) and math.isfinite(value) and value == int(value) else value


def _base(text: str, settings: Settings) -> str:
    base = (text or "").strip()
    if not base:
        raise UserError("No base model is chosen.", "Choose one from the list, or type its name on the Hub.")
    if not settings.on_space and Path(base).expanduser().is_dir():
        return str(Path(base).expanduser().resolve())
    if not _HUB_ID.fullmatch(base) or ".." in base:
        raise UserError(
            f"“{base[:60]}” is not the name of a model on the Hub.", "It looks like this: facebook/wav2vec2-base."
        )
    return base


def source_of(data: str, folder: str, settings: Settings) -> str:
    """What a recipe calls the data. Raises UserError for a folder that is not there or not allowed."""
    if data != OWN_FOLDER:
        return data
    if settings.on_space:
        raise UserError("A folder of your own works only on your own computer.", "Choose other data.")
    typed = (folder or "").strip()
    path = Path(typed).expanduser()
    if not typed or not path.is_dir():
        raise UserError(
            "I cannot find the folder with your recordings.",
            "Type its whole path; it holds audio files and a table (tsv or csv) with their texts.",
        )
    return str(path.resolve())


def fill_from_preset(preset: Preset, locale: str, data: str, folder: str) -> Form:
    """The fields for a preset. Practice voices or a folder stay chosen, unless the preset is made for other data."""
    recipe = preset.recipe.change(locale=locale)
    filled = form_of(recipe)
    keeps = recipe.data == "auto" and data in ("practice", OWN_FOLDER)
    return replace(filled, data=data if keeps else filled.data, folder=folder)


def fill_for_base(form: Form) -> Form:
    """The fields once another base was chosen: the chosen preset's own steps and rates are for its own base.

    The starter is trained by the quick look or the thorough one, all others as a real model; where the preset suits
    the base already, nothing but the base changes.
    """
    starter = form.base == STARTER_ID
    if not form.base or starter == (preset_of(form.preset).recipe.base == STARTER_ID):
        return form
    preset = preset_of("quick" if starter else "full")
    return replace(fill_from_preset(preset, form.locale, form.data, form.folder), base=form.base)


def preset_label(preset: Preset, seconds: float | None, hub: bool | None) -> str:
    """ "Quick look · about 3 minutes on this computer", with a word where it cannot be used. `hub` None: not known."""
    label = preset.title if seconds is None else f"{preset.title} · {about(seconds)} on this computer"
    return f"{label} · needs the Hub, which is out of reach" if preset.needs_hub and hub is False else label
