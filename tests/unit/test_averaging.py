"""The average of a model before and after learning: what is checked and kept, while learning goes on from the rest."""

from pathlib import Path

import pytest
import torch

from tests.fakes.models import files_in, save_tiny_base
from trainer.models.ctc_model import open_base
from trainer.models.vocabulary import vocabulary_for
from trainer.speech.locales import LOCALES
from trainer.training.averaging import Averaging
from trainer.training.recipe import PRESETS

EN = LOCALES["en-US"]


@pytest.fixture
def model(tmp_path: Path) -> torch.nn.Module:
    checkpoint = open_base(files_in(save_tiny_base(tmp_path / "base")), vocabulary_for(["ab"], EN), {}, keep_head=False)
    checkpoint.freeze_front_end()
    return checkpoint.model


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def _learn(model: torch.nn.Module) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight))


def test_inside_it_is_the_average_and_afterwards_what_was_learnt(model: torch.nn.Module) -> None:
    before, averaging = _weights(model), Averaging(model, 0.25)
    _learn(model)
    learnt = _weights(model)
    with averaging.averaged():
        for name, weight in model.named_parameters():
            expected = 0.75 * learnt[name] + 0.25 * before[name] if weight.requires_grad else before[name]
            torch.testing.assert_close(weight.data, expected)
            assert weight.requires_grad or torch.equal(weight.data, before[name]), "frozen: equal to the last bit"
    assert all(torch.equal(weight, learnt[name]) for name, weight in model.named_parameters())


def test_it_learns_on_from_what_was_learnt_also_after_an_error(model: torch.nn.Module) -> None:
    averaging = Averaging(model, 0.5)
    _learn(model)
    learnt = _weights(model)
    with pytest.raises(KeyboardInterrupt), averaging.averaged():
        raise KeyboardInterrupt
    assert all(torch.equal(weight, learnt[name]) for name, weight in model.named_parameters())


def test_without_a_share_nothing_is_kept_or_changed(model: torch.nn.Module) -> None:
    averaging = Averaging(model, 0.0)
    _learn(model)
    learnt = _weights(model)
    with averaging.averaged():
        assert all(torch.equal(weight, learnt[name]) for name, weight in model.named_parameters())
    assert not averaging._then


def test_the_starters_presets_average_and_the_others_do_not() -> None:
    assert PRESETS["quick"].recipe.keep_share == PRESETS["thorough"].recipe.keep_share > 0
    assert PRESETS["full"].recipe.keep_share == PRESETS["guide"].recipe.keep_share == 0
