"""From the form to a recipe and back, and what a Space does not allow."""

from dataclasses import replace
from pathlib import Path

import pytest

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.training.recipe import PRESETS, preset_of
from trainer.ui.recipe_form import Form, fill_from_preset, form_of, preset_label, recipe_of

LAPTOP = Settings(data_dir=Path("unused"))
SPACE = Settings(data_dir=Path("unused"), on_space=True)


def filled(preset: str = "quick") -> Form:
    return fill_from_preset(preset_of(preset), "de-DE", "auto", "")


@pytest.mark.parametrize("name", PRESETS)
def test_an_untouched_form_is_the_preset(name: str) -> None:
    assert recipe_of(filled(name), LAPTOP) == PRESETS[name].recipe.change(locale="de-DE", preset=name)


def test_a_recipe_survives_the_way_to_the_form_and_back() -> None:
    recipe = preset_of("thorough").recipe.change(locale="ko-KR", data="practice", seed=7, clips=40, precision="bf16")
    assert recipe_of(form_of(recipe), LAPTOP) == recipe


def test_what_has_no_field_follows_what_has() -> None:
    start = preset_of("quick").recipe
    steps = start.max_steps // 10
    recipe = recipe_of(replace(filled(), max_steps=float(steps), learning_rate=start.learning_rate / 2), LAPTOP)
    assert recipe.max_steps == steps and isinstance(recipe.max_steps, int)
    assert recipe.eval_steps == round(start.eval_steps / 10)
    assert recipe.head_learning_rate == pytest.approx((start.head_learning_rate or 0) / 2)


def test_seconds_replace_a_batch_of_clips() -> None:
    recipe = recipe_of(replace(filled("guide"), batch_seconds=20), LAPTOP)
    assert (recipe.batch_seconds, recipe.batch_clips) == (20.0, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_steps": None}, "steps"),
        ({"max_steps": 2.5}, "whole number"),
        ({"max_steps": float("nan")}, "The steps"),
        ({"max_steps": -4}, "The steps cannot be -4. Choose a number from 1 to 1,000,000 steps."),
        ({"max_steps": 1e300}, "The steps"),
        ({"learning_rate": -1}, "The learning rate cannot be -1. Choose a number from 0.0000001 to 0.1."),
        ({"batch_seconds": -4}, "The batch cannot be -4. Choose a number from 1 to 3,600 seconds of audio."),
        ({"warmup_steps": -4}, "The warm-up cannot be -4. Choose a number from 0 to 100,000 steps."),
        ({"gradient_accumulation": -4}, "The gradient accumulation cannot be -4."),
        ({"clips": -4}, "The clips to use cannot be -4. Choose a number from 4 to 1,000,000 clips."),
        ({"seed": -4}, "The seed cannot be -4. Choose a number from 0 to 4,294,967,295."),
        ({"learning_rate": 7.0}, "learning rate"),
        ({"base": ""}, "base model"),
        ({"base": "../../no/such"}, "no model in that folder"),
        ({"data": "folder", "folder": ""}, "folder"),
        ({"data": "folder", "folder": "/no/such/folder"}, "folder"),
    ],
)
def test_slips_of_the_keyboard_are_explained(change: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        recipe_of(replace(filled(), **change), LAPTOP)  # type: ignore[arg-type]


def test_folders_of_the_host_are_for_its_owner_alone(tmp_path: Path) -> None:
    mine = replace(filled(), data="folder", folder=str(tmp_path))
    assert recipe_of(mine, LAPTOP).data == str(tmp_path.resolve())
    with pytest.raises(UserError, match="own computer"):
        recipe_of(mine, SPACE)
    with pytest.raises(UserError, match="not the id of a model"):
        recipe_of(replace(filled(), base=str(tmp_path)), SPACE)


def test_a_preset_keeps_chosen_data_unless_it_is_made_for_other_data() -> None:
    assert fill_from_preset(preset_of("thorough"), "en-US", "practice", "").data == "practice"
    assert fill_from_preset(preset_of("guide"), "en-US", "auto", "").data == "minds14"
    assert fill_from_preset(preset_of("quick"), "en-US", "minds14", "").data == "auto"


def test_presets_are_named_by_time_and_by_what_they_need() -> None:
    assert preset_label(preset_of("quick"), 170, None) == "Quick look · about 3 minutes on this computer"
    assert preset_label(preset_of("guide"), None, False).endswith("needs the Hub, which is out of reach")
    assert preset_label(preset_of("quick"), None, False) == "Quick look"
