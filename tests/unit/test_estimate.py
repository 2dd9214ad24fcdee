"""The memory that a training is said to need, against what real trainings took, and what is refused for it."""

from pathlib import Path
from typing import Any

import pytest

from trainer.errors import UserError
from trainer.formatting import memory_size
from trainer.hardware import Machine
from trainer.models.base_ref import read_base
from trainer.models.catalog import bases_on_offer
from trainer.models.model_config import ModelConfig
from trainer.models.size import Shape, Sizes, shape_of, sizes_of
from trainer.settings import STARTER as STARTER_FOLDER
from trainer.settings import Settings
from trainer.training import estimate
from trainer.training.estimate import CLIPS, MIB, Fit, check_memory, fit_of, footprint
from trainer.training.recipe import PRESETS, Recipe

GIB = 2**30


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


LARGE, DISTIL, BASE, STARTER = (
    sizes_of(read_base(name))
    for name in ("facebook/wav2vec2-xls-r-300m", "ntu-spml/distilhubert", "facebook/wav2vec2-base", "starter")
)

# The largest resident size of three steps, in MiB, on two cores with AVX-512 bf16 while other programs ran beside it:
# seconds a batch, seconds a clip, front end frozen, gradient checkpointing (tests.benchmarks.memory).
MEASURED = [
    (STARTER, 20.0, 10.0, True, False, 1308),
    (STARTER, 80.0, 20.0, True, False, 2636),
    (BASE, 21.0, 10.0, True, False, 2963),
    (BASE, 42.0, 10.0, True, False, 3833),
    (BASE, 42.0, 20.0, True, False, 3501),
    (BASE, 42.0, 10.0, False, False, 5200),
    (BASE, 42.0, 20.0, True, True, 3002),
    (LARGE, 5.3, 5.0, True, False, 6080),
    (DISTIL, 42.0, 10.0, True, False, 2095),
]


@pytest.mark.parametrize(("sizes", "batch", "clip", "frozen", "checkpointing", "measured"), MEASURED)
def test_the_estimate_is_near_what_was_measured(
    sizes: Sizes, batch: float, clip: float, frozen: bool, checkpointing: bool, measured: int
) -> None:
    recipe = Recipe(batch_seconds=batch, freeze_feature_encoder=frozen, gradient_checkpointing=checkpointing)
    estimated = (footprint(recipe, sizes, clip, on_gpu=False).memory - CLIPS) / MIB
    assert estimated == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize(("batch", "clip", "measured"), [(20.0, 5.0, 879), (80.0, 20.0, 1506)])
def test_the_estimate_knows_what_is_frozen(batch: float, clip: float, measured: int) -> None:
    """Measured likewise, with four of the starter's six layers kept as they are."""
    assert STARTER
    recipe = Recipe(batch_seconds=batch, frozen_layers=4)
    estimated = (footprint(recipe, STARTER, clip, on_gpu=False).memory - CLIPS) / MIB
    assert estimated == pytest.approx(measured, rel=0.2)


def test_a_shape_counts_the_weights_that_there_are() -> None:
    """All but the front end, the positions and the head lie in the repeated layers."""
    for row in bases_on_offer():
        sizes = sizes_of(read_base(row.id))
        assert sizes is not None
        assert 0.6 * row.parameters < sizes.shape.layer_weights < row.parameters, row.id


def test_a_config_that_says_little_gives_the_shape_of_its_kind() -> None:
    def shape(**values: Any) -> Shape:
        return shape_of(ModelConfig(values))

    assert shape(model_type="wav2vec2") == shape(model_type="wav2vec2", hidden_size=768, conv_dim=None)
    assert shape(model_type="sew").frames_per_second == 25.0
    assert shape(model_type="parakeet_ctc", encoder_config={}).frames_per_second == 12.5
    assert shape(model_type="wav2vec2-bert").layers == 24
    nothing = dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"), 0)
    assert shape(model_type="hubert", **nothing).heads == 1  # divided by nowhere


def machine(monkeypatch: pytest.MonkeyPatch, memory: float, gpu: float | None = None) -> None:
    there = Machine(int(memory * GIB), None if gpu is None else int(gpu * GIB))
    monkeypatch.setattr(estimate, "this_machine", lambda: there)


def test_what_cannot_fit_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    recipe = PRESETS["full"].recipe.change(data="practice")
    machine(monkeypatch, 16)
    check_memory(recipe, settings)
    machine(monkeypatch, 2)
    with pytest.raises(UserError, match=r"needs about [\d.]+ GB of memory, and this computer has 2 GB") as refused:
        check_memory(recipe, settings)
    assert "smaller base model" in refused.value.todo
    check_memory(PRESETS["quick"].recipe.change(data="practice"), settings)


def test_a_gpus_own_memory_counts(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    recipe = PRESETS["full"].recipe.change(data="practice", base="facebook/wav2vec2-xls-r-300m")
    machine(monkeypatch, 64, gpu=6)
    with pytest.raises(UserError, match="GPU memory"):
        check_memory(recipe, settings)
    machine(monkeypatch, 64, gpu=40)
    check_memory(recipe, settings)


def test_longer_clips_and_larger_batches_need_more() -> None:
    full = PRESETS["full"].recipe
    there = Machine(64 * GIB)
    assert BASE is not None
    short, long = (fit_of(full, BASE, seconds, there).needed for seconds in (6.0, 30.0))
    assert short < long < fit_of(full.change(batch_seconds=160.0), BASE, 30.0, there).needed


def test_a_fit_with_little_to_spare_is_called_tight() -> None:
    assert not Fit(4, 10, "memory").tight
    assert Fit(9, 10, "memory").tight
    assert not Fit(11, 10, "memory").tight
    assert (memory_size(2 * GIB), memory_size(int(6.54 * GIB)), memory_size(24 * GIB)) == ("2 GB", "6.5 GB", "24 GB")


def test_a_name_is_never_taken_for_a_folder_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(STARTER_FOLDER.parent.parent)
    assert Path("assets/starter/config.json").is_file()
    assert sizes_of(read_base("assets/starter")) is None
    assert sizes_of(read_base(str(STARTER_FOLDER))) is not None


def test_what_is_frozen_costs_its_clips_once_and_no_more(settings: Settings) -> None:
    whisper = Shape(layers=6, hidden=512, inner=2048, heads=8, front_gflop=0.1)

    def seconds(**values: Any) -> float:
        return estimate.estimate_seconds(Recipe(batch_seconds=40.0, **values), settings, whisper)

    def gained(steps: int, **values: Any) -> float:
        return seconds(max_steps=steps + 1000, **values) - seconds(max_steps=steps, **values)

    assert gained(2000, frozen_layers=4) < 0.4 * gained(2000), "two of six layers, once all is computed"
    assert gained(1, frozen_layers=4, augment=True) > 1.2 * gained(2000, frozen_layers=4, augment=True)
    assert seconds(frozen_layers=4, augment=True, copies=4) > seconds(frozen_layers=4, augment=True, copies=0)
    assert seconds(frozen_layers=4, copies=4) == seconds(frozen_layers=4, copies=0), "changed in nothing"
