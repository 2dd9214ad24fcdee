"""The public surface: what it lists is there, and asking for it costs no more than it needs."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import trainer
from tests.fakes.hearing_whisper import save_hearing_whisper
from tests.fakes.run_folder import write_run
from trainer.api import _came_of
from trainer.errors import UserError
from trainer.runs.follower import forget, view_of
from trainer.settings import Settings
from trainer.training.recipe import Recipe
from trainer.transcription.transcribe import Transcript


def test_what_is_listed_is_there_and_documented() -> None:
    assert trainer.__all__ == ["Recipe", "Transcript", "UserError", "evaluate", "finetune", "transcribe"]
    assert set(trainer.__all__) <= set(dir(trainer))
    assert (trainer.Recipe, trainer.Transcript, trainer.UserError) == (Recipe, Transcript, UserError)
    for name in trainer.__all__:
        assert (inspect.getdoc(getattr(trainer, name)) or "").strip(), name
    for function in (trainer.evaluate, trainer.finetune, trainer.transcribe):
        hints = inspect.signature(function)
        assert hints.return_annotation is not inspect.Signature.empty
        assert all(parameter.annotation is not inspect.Parameter.empty for parameter in hints.parameters.values())


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fine_tune'"):
        trainer.fine_tune  # noqa: B018


def test_importing_it_loads_nothing_and_its_functions_no_torch() -> None:
    program = (
        "import sys, trainer\n"
        "assert {name for name in sys.modules if name.startswith('trainer')} == {'trainer'}\n"
        "from trainer import Recipe, Transcript, evaluate, finetune, transcribe\n"
        "assert not {'torch', 'transformers', 'gradio'} & set(sys.modules), 'too much'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 16_000), np.float32), np.zeros(16_000, np.int16), np.full(16_000, np.nan, np.float32)]
)
def test_samples_that_are_no_sound_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(UserError, match="not a sound as I know it"):
        trainer.transcribe(samples)


def test_a_folder_that_is_in_use_or_holds_no_run_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(UserError, match="not empty"):
        trainer.finetune(Recipe(), tmp_path, settings=settings)
    with pytest.raises(UserError, match="no run to resume"):
        trainer.finetune(Recipe(), tmp_path, resume=True, settings=settings)


def test_figures_are_those_that_the_page_shows(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    came = _came_of(run)
    assert (came.judged_by, came.wer, came.untrained_wer) == ("test", 0.26, 1.0)
    lines = run.events.read_text(encoding="utf-8").splitlines(keepends=True)
    run.events.write_text("".join(line for line in lines if '"tested"' not in line), encoding="utf-8")
    forget(run)
    came, view = _came_of(run), view_of(run)
    assert view.best and view.baseline and came.judged_by == "validation"
    assert (came.wer, came.untrained_wer) == (view.best.wer, view.baseline.wer)


def test_a_whisper_is_not_measured_and_the_reason_is_true(tmp_path: Path) -> None:
    whisper = save_hearing_whisper(tmp_path / "whisper")
    with pytest.raises(UserError, match="writes like Whisper, in pieces of words"):
        trainer.evaluate(whisper, data="practice", settings=Settings(data_dir=tmp_path / "data"))
