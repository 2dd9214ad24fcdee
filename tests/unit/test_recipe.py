"""A recipe checks itself, survives JSON, and the guide's preset is the guide's."""

import json
import math
from typing import Any

import pytest

from trainer.errors import UserError
from trainer.training.recipe import PRESETS, Recipe, preset_of


@pytest.mark.parametrize(
    "values",
    [
        {"locale": "xx-XX"},
        {"max_steps": 0},
        {"max_steps": 2.5},
        {"max_steps": True},
        {"max_steps": "many"},
        {"learning_rate": math.nan},
        {"learning_rate": -1e-4},
        {"learning_rate": 5.0},
        {"batch_seconds": None},
        {"batch_clips": 8},
        {"batch_seconds": 0.0},
        {"precision": "int4"},
        {"schedule": "zigzag"},
        {"seed": -1},
        {"clips": 1},
        {"dropout": 0.9},
    ],
)
def test_a_slip_of_the_keyboard_is_told_from_a_choice(values: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        Recipe(**values)
    assert caught.value.what.endswith(".") and caught.value.todo.endswith((".", "?"))


@pytest.mark.parametrize("name", PRESETS)
def test_recipes_survive_json(name: str) -> None:
    recipe = preset_of(name).recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.preset == name


def test_a_recipe_of_the_future_is_refused() -> None:
    with pytest.raises(UserError, match="warp_speed"):
        Recipe.from_dict({"warp_speed": 9})


def test_the_guides_recipe_is_the_guides() -> None:
    recipe = preset_of("guide").recipe
    assert (recipe.base, recipe.clips, recipe.clip_order) == ("facebook/wav2vec2-base", 100, "source")
    assert (recipe.batch_clips, recipe.batch_seconds, recipe.gradient_accumulation) == (8, None, 2)
    assert (recipe.learning_rate, recipe.warmup_steps, recipe.max_steps) == (1e-5, 500, 2000)
    assert (recipe.eval_steps, recipe.logging_steps) == (1000, 25)
    assert recipe.gradient_checkpointing and not recipe.freeze_feature_encoder and not recipe.augment
    assert recipe.dropout is None and recipe.mask_time_prob is None and recipe.head_learning_rate is None


def test_unknown_presets_name_the_known() -> None:
    with pytest.raises(UserError, match="quick"):
        preset_of("slow")


def test_a_field_that_was_renamed_is_still_read() -> None:
    values = Recipe(eval_clips=7).to_dict()
    values["test_clips"] = values.pop("eval_clips")
    assert Recipe.from_dict(values) == Recipe(eval_clips=7)
