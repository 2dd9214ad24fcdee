"""What a Space does with cut-off runs when it starts again."""

from pathlib import Path

import pytest

from tests.fakes.run_folder import write_run
from trainer.runs import lifecycle
from trainer.runs.events import EventLog
from trainer.runs.follower import forget
from trainer.runs.lifecycle import MOST_ATTEMPTS, SHUTDOWN, resume_interrupted
from trainer.runs.run import Run
from trainer.settings import Settings


class LastingSpace(Settings):
    """A Space with a mounted volume, wherever the test's folder is."""

    lasting = True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs whose trainer was started to resume."""
    runs: list[Run] = []
    monkeypatch.setattr(lifecycle, "queue_trainer", lambda settings, run, resume: runs.append(run))
    return runs


def cut_off(data_dir: Path, saved: bool = True, attempts: int = 1) -> Run:
    """A run whose trainer is gone without a word."""
    run = write_run(data_dir, end="none")
    log = EventLog(run.events)
    for _ in range(attempts):
        log.append("started", pid=2**22 + 1, pid_started=1.0, max_steps=300)
    if saved:
        log.append("checkpoint", step=200)
    log.close()
    forget(run)
    return run


def test_interrupted_runs_go_on(tmp_path: Path, started: list[Run]) -> None:
    space = LastingSpace(data_dir=tmp_path, on_space=True)
    run, *others = (
        cut_off(tmp_path),
        write_run(tmp_path),  # finished
        cut_off(tmp_path, saved=False),
        cut_off(tmp_path, attempts=MOST_ATTEMPTS),
    )
    assert resume_interrupted(space) == started == [run]
    assert resume_interrupted(space) == [], "it is in line already"
    assert all(other not in started for other in others)


def test_on_a_laptop_and_without_a_volume_nothing_is_started(tmp_path: Path, started: list[Run]) -> None:
    cut_off(tmp_path)
    assert (
        resume_interrupted(Settings(data_dir=tmp_path))
        == resume_interrupted(Settings(data_dir=tmp_path, on_space=True))
        == started
        == []
    )


def test_what_a_shutdown_stopped_goes_on_and_what_a_person_stopped_does_not(tmp_path: Path, started: list[Run]) -> None:
    runs = []
    for reason in (SHUTDOWN, ""):
        run = write_run(tmp_path, end="stopped")
        log = EventLog(run.events)
        log.append("checkpoint", step=200)
        log.append("stopped")
        log.close()
        run.ask_to_stop(reason)
        forget(run)
        runs.append(run)
    assert resume_interrupted(LastingSpace(data_dir=tmp_path, on_space=True)) == started == runs[:1]
