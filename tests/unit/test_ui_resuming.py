"""Resume on the page: offered where it makes sense, and only to the owner."""

import dataclasses
import threading
from pathlib import Path

import pytest

from tests.fakes.run_folder import write_run
from trainer.errors import UserError
from trainer.runs import lifecycle
from trainer.runs.events import EventReader
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.runs.view import EvalPoint, RunView
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.training.recipe import Recipe
from trainer.ui import run_handlers
from trainer.ui.panel_state import Visit, Watch
from trainer.ui.run_handlers import RunHandlers
from trainer.ui.visitors import Visitor, owner_of
from trainer.ui.wording import result_sentence, state_words

MINE, THEIRS = "m" * 40, "t" * 40
EN = LOCALES["en-US"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs whose trainers would have been started."""
    runs: list[Run] = []
    monkeypatch.setattr(lifecycle, "queue_trainer", lambda settings, run, resume: runs.append(run))
    return runs


def test_only_the_owner_resumes(tmp_path: Path, started: list[Run]) -> None:
    settings = Settings(data_dir=tmp_path, on_space=True)
    stopped = write_run(tmp_path, end="stopped")
    run = create_run(new_run_folder(settings.runs_dir, "en-US"), Recipe(), owner_of(MINE, settings))
    stopped.events.rename(run.events)
    handlers = RunHandlers(settings)
    for secret in (THEIRS, "", None):
        with pytest.raises(UserError, match="not there"):
            handlers.resume(Visit(Visitor(secret, settings), Watch(run.id), "quick", False))
    assert started == [] and EventReader(run.events).read_new()[-1]["event"] == "stopped"
    answer = handlers.resume(Visit(Visitor(MINE, settings), Watch(run.id), "quick", False))
    assert started == [run] and answer[0].active == run.id
    with pytest.raises(UserError, match="still going on"):  # a double click
        handlers.resume(Visit(Visitor(MINE, settings), Watch(run.id), "quick", False))
    assert started == [run]


def test_the_chosen_base_is_still_chosen_after_resuming(tmp_path: Path, started: list[Run]) -> None:
    """Without the Hub, a base that was never fetched cannot be started, before Resume and after it."""
    run = write_run(tmp_path, end="stopped")
    settings = Settings(data_dir=tmp_path)
    visit = Visit(Visitor("", settings), Watch(run.id), "quick", False, "anna/not-here")
    answer = RunHandlers(settings).resume(visit)
    assert started == [run] and "out of reach" in str(answer)


def test_a_finished_run_is_not_resumed(tmp_path: Path, started: list[Run]) -> None:
    run = write_run(tmp_path)
    with pytest.raises(UserError, match="finished"):
        settings = Settings(data_dir=tmp_path)
        RunHandlers(settings).resume(Visit(Visitor("", settings), Watch(run.id), "quick", False))
    assert started == []


def _view(**values: object) -> RunView:
    checks = [EvalPoint(0, 9.0, 1.0, 1.0), EvalPoint(50, 3.0, 0.5, 0.25)]
    view = RunView(step=60, max_steps=100, started=1.0, ended=61.0, best_step=50, evaluations=checks, saved_step=60)
    return dataclasses.replace(view, **values)  # type: ignore[arg-type]


def test_what_is_saved_is_said() -> None:
    assert state_words(_view(state="stopping")) == "Stopping… saved at step 60"
    assert "saved at" not in state_words(_view(state="stopping", saved_step=40))
    assert result_sentence(_view(state="stopped"), EN).endswith("Resume goes on from step 60.")
    failed = _view(state="failed", what="The disk is full.", todo="Make some room.")
    assert result_sentence(failed, EN).endswith("is kept. Resume goes on from step 60.")
    assert "Resume" not in result_sentence(dataclasses.replace(failed, hopeless=True), EN)


def test_a_model_that_writes_nothing_is_a_hint() -> None:
    silent = [EvalPoint(0, 9.0, 1.0, 1.0, True), EvalPoint(50, 3.0, 1.0, 1.0, True)]
    sentence = result_sentence(_view(state="finished", evaluations=silent), EN)
    assert "writes nothing yet" in sentence and "more steps" in sentence


def test_stop_takes_one_thread_however_often_it_is_pressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path)
    run = write_run(tmp_path, end="none")
    over, ended = threading.Event(), list[Run]()

    def stop_trainer(run: Run) -> None:
        over.wait(30)
        ended.append(run)

    monkeypatch.setattr(run_handlers, "stop_trainer", stop_trainer)
    visit = Visit(Visitor(None, settings), Watch(run.id), "quick", True)
    handlers, before = RunHandlers(settings), threading.active_count()
    for _ in range(50):
        handlers.stop(visit)
    assert threading.active_count() == before + 1
    threads = [thread for thread in threading.enumerate() if thread.name == f"stop-{run.id}"]
    over.set()
    threads[0].join()
    assert ended == [run] and not run_handlers._insisted, "it can be pressed again"
