"""What a Hub base is made of is read once, from the look at its repo to the model that is ready to be trained."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from huggingface_hub import constants

from tests.fakes.hostile_rows import sound_files
from tests.fakes.hub import FakeHub
from tests.fakes.training import context_in
from trainer.models import config_limits, safetensors_header
from trainer.settings import Settings
from trainer.training import finetune
from trainer.training.recipe import Recipe
from trainer.training.session import Session


def counted(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]) -> list[str]:
    """The calls of a function from now on, wherever in the program it was imported to."""
    calls: list[str] = []

    def counting(*values: Any, **named: Any) -> Any:
        calls.append(function.__name__)
        return function(*values, **named)

    for name, module in list(sys.modules.items()):
        if name.startswith("trainer."):
            for attribute, value in list(vars(module).items()):
                if value is function:
                    monkeypatch.setattr(module, attribute, counting)
    return calls


def test_a_hub_base_is_validated_parsed_and_planned_once(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`built` are all constructions of the model: one on the meta device, to compare, and the one that is trained."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "others"))
    hub.add_model("anna/base", sound_files())
    validated = counted(monkeypatch, config_limits.check_limits)
    parsed = counted(monkeypatch, safetensors_header._header)
    make = transformers.Wav2Vec2ForCTC.__init__
    built: list[object] = []

    def counting(model: Any, config: Any) -> None:
        built.append(model)
        make(model, config)

    monkeypatch.setattr(transformers.Wav2Vec2ForCTC, "__init__", counting)
    monkeypatch.setattr(Session, "run", lambda session: "finished")  # all is opened by then
    recipe = Recipe(base="anna/base", data="practice", clips=6, eval_clips=2)
    settings = Settings(data_dir=tmp_path / "data", hub_endpoint=hub.url)
    finetune.finetune(recipe, settings, context_in(tmp_path, []))
    assert (len(validated), len(parsed), len(built)) == (1, 1, 2)
