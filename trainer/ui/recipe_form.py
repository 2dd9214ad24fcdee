"""From what a visitor chose to a recipe, and back. Pure: the components are in finetune_tab."""

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.formatting import about
from trainer.models.base_ref import BaseRef, parse_base
from trainer.models.catalog import STARTER_ID
from trainer.models.resolve import is_here
from trainer.runs.run import FROZEN_CLIPS, LOCAL_OWNER
from trainer.settings import Settings
from trainer.speech.corpora import recordings_path
from trainer.speech.own_clips import check_enough, own_clips
from trainer.training.estimate import estimate_seconds
from trainer.training.recipe import NAMED_DATA, PRESETS, Preset, Recipe, preset_of

OWN_FOLDER = "folder"
OWN_CLIPS, OWN_AND_OTHERS = "own-clips", "own-clips-and-others"  # what the visitor recorded on this page
OWN = (OWN_CLIPS, OWN_AND_OTHERS)


@dataclass(frozen=True)
class Form:
    """The values of the form's fields, named as in a recipe. None is an empty field; `batch_seconds` and `clips` may be
    0, since Gradio shows an empty number as 0."""

    locale: str
    preset: str
    base: str
    data: str  # auto | minds14 | practice | folder | own-clips | own-clips-and-others
    folder: str
    max_steps: float | None
    learning_rate: float | None
    batch_seconds: float | None
    warmup_steps: float | None
    gradient_accumulation: float | None
    clips: float | None
    precision: str
    seed: float | None
    frozen_layers: float | None
    freeze_feature_encoder: bool


def form_of(recipe: Recipe) -> Form:
    """The fields filled with a recipe."""
    named = recipe.data in NAMED_DATA
    data = recipe.data if named else OWN_FOLDER
    if Path(recipe.data).name == FROZEN_CLIPS:
        named, data = True, OWN_AND_OTHERS if recipe.also else OWN_CLIPS
    return Form(
        locale=recipe.locale,
        preset=recipe.preset if recipe.preset in PRESETS else "quick",
        base=recipe.base,
        data=data,
        folder="" if named else recipe.data,
        max_steps=recipe.max_steps,
        learning_rate=recipe.learning_rate,
        batch_seconds=recipe.batch_seconds or 0,
        warmup_steps=recipe.warmup_steps,
        gradient_accumulation=recipe.gradient_accumulation,
        clips=recipe.clips or 0,
        precision=recipe.precision,
        seed=recipe.seed,
        frozen_layers=recipe.frozen_layers,
        freeze_feature_encoder=recipe.freeze_feature_encoder,
    )


def recipe_of(form: Form, settings: Settings, owner: str = LOCAL_OWNER) -> Recipe:
    """The recipe that the fields describe, of this owner where it learns from their clips. Raises UserError naming the
    field that is off."""
    start = preset_of(form.preset).recipe
    for name, words in (("max_steps", "steps"), ("learning_rate", "learning rate"), ("seed", "seed")):
        if getattr(form, name) is None:
            raise UserError(f"The field for the {words} is empty.", "Type a number, or choose the preset again.")
    changed: dict[str, Any] = {
        "locale": form.locale,
        "preset": form.preset,
        "base": str(base_of(form.base, settings)),
        "data": str(own_clips(settings, owner, form.locale).folder)
        if form.data in OWN
        else source_of(form.data, form.folder, settings),
        "also": "auto" if form.data == OWN_AND_OTHERS else "",
        "max_steps": _whole(form.max_steps),
        "learning_rate": form.learning_rate,
        "warmup_steps": _whole(form.warmup_steps or 0),
        "gradient_accumulation": _whole(form.gradient_accumulation or 1),
        "clips": _whole(form.clips) if form.clips else None,
        "precision": form.precision,
        "seed": _whole(form.seed),
        "frozen_layers": _whole(form.frozen_layers or 0),
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


def base_of(typed: str | None, settings: Settings) -> BaseRef:
    """What is chosen or typed as the base. Raises UserError."""
    return parse_base(typed or "", on_space=settings.on_space, by_visitor=True)


def check_own_clips(form: Form, settings: Settings, owner: str) -> None:
    """Raises UserError, with how many are missing, where the form asks for more clips than this owner has."""
    if form.data in OWN:
        store = own_clips(settings, owner, form.locale)
        check_enough(store.clips(), store.locale, mixed=form.data == OWN_AND_OTHERS)


def source_of(data: str, folder: str, settings: Settings) -> str:
    """What a recipe calls data that is not recorded here. Raises UserError for a folder that is not there or not
    allowed."""
    if data in NAMED_DATA:
        return data
    if data != OWN_FOLDER:
        raise UserError("I do not know that data.", "Choose other data.")
    if settings.on_space:
        raise UserError("A folder of your own works only on your own computer.", "Choose other data.")
    return str(recordings_path(folder or "").resolve())


def fill_from_preset(preset: Preset, locale: str, data: str, folder: str) -> Form:
    """The fields for a preset. Practice voices and recordings of one's own stay chosen, unless the preset is made for
    other data."""
    recipe = preset.recipe.change(locale=locale)
    filled = form_of(recipe)
    keeps = recipe.data == "auto" and data in ("practice", OWN_FOLDER, OWN_CLIPS, OWN_AND_OTHERS)
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


@dataclass(frozen=True)
class Fields:
    """The components of the form, named and ordered as the values in `Form`."""

    locale: gr.Dropdown
    preset: gr.Radio
    base: gr.Dropdown
    data: gr.Radio
    folder: gr.Textbox
    max_steps: gr.Number
    learning_rate: gr.Number
    batch_seconds: gr.Number
    warmup_steps: gr.Number
    gradient_accumulation: gr.Number
    clips: gr.Number
    precision: gr.Dropdown
    seed: gr.Number
    frozen_layers: gr.Number
    freeze_feature_encoder: gr.Checkbox

    @property
    def components(self) -> list[Any]:
        """In the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


def values(form: Form) -> list[Any]:
    """A form as what to put into the components, in their order."""
    return [getattr(form, field.name) for field in fields(Form)]


def filling(form: Form, sent: Form) -> list[list[Any]]:
    """For `Wiring.filling`: of each field what the page sent, and what it shall hold."""
    return [list(pair) for pair in zip(values(sent), values(form), strict=True)]


def preset_choices(settings: Settings, hub: bool | None) -> list[tuple[str, str]]:
    """Label and name of each preset. `hub`: whether it can be reached, None while nobody knows."""
    return [
        (
            preset_label(
                preset, estimate_seconds(preset.recipe, settings), hub is not False or _starts_offline(preset, settings)
            ),
            name,
        )
        for name, preset in PRESETS.items()
    ]


def _starts_offline(preset: Preset, settings: Settings) -> bool:
    """Whether its base is here and the practice clips will do."""
    return preset.recipe.data != "minds14" and is_here(preset.recipe.base_ref, settings)
