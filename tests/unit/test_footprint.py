"""The memory that a training is said to need, against what real trainings took, and what is refused for it."""

from pathlib import Path

import pytest

from trainer.errors import UserError
from trainer.models.bases import bases_on_offer
from trainer.models.shape import shape_of
from trainer.models.sizes import Sizes, sizes_of
from trainer.settings import STARTER as STARTER_FOLDER
from trainer.settings import Settings
from trainer.training import fitting
from trainer.training.fitting import Fit, check_fits, fit_of, in_gb
from trainer.training.footprint import CLIPS, MIB, footprint
from trainer.training.hardware import Machine
from trainer.training.presets import PRESETS
from trainer.training.recipe import Recipe

GIB = 2**30


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


LARGE, DISTIL = sizes_of("facebook/wav2vec2-xls-r-300m"), sizes_of("ntu-spml/distilhubert")
BASE, STARTER = sizes_of("facebook/wav2vec2-base"), sizes_of("starter")

# The largest resident size of three steps, in MiB, on two cores with AVX-512 bf16 while other programs ran beside it:
# seconds a batch, seconds a clip, front end frozen, gradient checkpointing (tests.benchmarks.memory).
MEASURED = [
    (STARTER, 20.0, 4.5, True, False, 835),
    (STARTER, 20.0, 10.0, True, False, 809),
    (STARTER, 80.0, 20.0, True, False, 1166),
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
    assert estimated == pytest.approx(measured, rel=0.16)


def test_a_shape_counts_the_weights_that_there_are() -> None:
    """All but the front end, the positions and the head lie in the repeated layers."""
    for row in bases_on_offer():
        sizes = sizes_of(row.id)
        assert sizes is not None
        assert 0.6 * row.parameters < sizes.shape.layer_weights < row.parameters, row.id


def test_a_config_of_somebody_elses_gives_a_shape() -> None:
    assert shape_of({}) == shape_of({"model_type": "wav2vec2", "hidden_size": "large", "conv_dim": 3})
    assert shape_of({"model_type": "sew", "squeeze_factor": 2}).frames_per_second == 25.0
    assert shape_of({"model_type": "parakeet_ctc", "encoder_config": {}}).frames_per_second == 12.5


def machine(monkeypatch: pytest.MonkeyPatch, memory: float, gpu: float | None = None) -> None:
    there = Machine(int(memory * GIB), None if gpu is None else int(gpu * GIB))
    monkeypatch.setattr(fitting, "this_machine", lambda: there)


def test_what_cannot_fit_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    recipe = PRESETS["full"].recipe.change(data="practice")
    machine(monkeypatch, 16)
    check_fits(recipe, settings)
    machine(monkeypatch, 2)
    with pytest.raises(UserError, match=r"needs about [\d.]+ GB of memory, and this computer has 2 GB") as refused:
        check_fits(recipe, settings)
    assert "smaller base model" in refused.value.todo
    check_fits(PRESETS["quick"].recipe.change(data="practice"), settings)


def test_a_gpus_own_memory_counts(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    recipe = PRESETS["full"].recipe.change(data="practice", base="facebook/wav2vec2-xls-r-300m")
    machine(monkeypatch, 64, gpu=6)
    with pytest.raises(UserError, match="GPU memory"):
        check_fits(recipe, settings)
    machine(monkeypatch, 64, gpu=40)
    check_fits(recipe, settings)


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
    assert (in_gb(2 * GIB), in_gb(int(6.54 * GIB)), in_gb(24 * GIB)) == ("2 GB", "6.5 GB", "24 GB")


def test_a_name_is_never_taken_for_a_folder_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(STARTER_FOLDER.parent.parent)
    assert Path("assets/starter/config.json").is_file()
    assert sizes_of("assets/starter") is None
    assert sizes_of(str(STARTER_FOLDER)) is not None
