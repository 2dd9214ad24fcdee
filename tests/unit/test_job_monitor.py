"""What is kept of a rented job's log, which is a stranger's text: not more than a training tells."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainer.jobs import monitor
from trainer.jobs.worker import MARK
from trainer.publishing.publish import THE_HUB
from trainer.runs.events import EventLog, EventReader
from trainer.runs.run import Run, create_run
from trainer.runs.view import RunView, fold
from trainer.training.recipe import Recipe

RATES = {"loss": 1.0, "wer": 0.5, "cer": 0.2}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "run", Recipe())


def line(seq: int, kind: str, **fields: Any) -> str:
    told = {"seq": seq, "time": "2026-11-26T12:00:00+00:00", "attempt": 1, "event": kind, **fields}
    return MARK + json.dumps(told)


def relay(run: Run, lines: Iterator[str]) -> dict[str, Any] | None:
    log = EventLog(run.events)
    try:
        return monitor._relay(run, lines, log)
    finally:
        log.close()


def training(steps: int) -> Iterator[str]:
    """A log with one better model at each tenth step."""
    yield line(0, "started", max_steps=steps, pid=7, pid_started=1.0)
    for step in range(1, steps + 1):
        yield line(3 * step, "log", step=step, loss=1.0)
        if step % 10 == 0:
            yield line(3 * step + 1, "evaluated", step=step, guesses=[], **{**RATES, "wer": 1 - step / 200})
            yield line(3 * step + 2, "model_saved", step=step)
    yield line(3 * steps + 3, "tested", step=steps, **RATES)
    yield line(3 * steps + 4, "finished")


def test_what_is_kept_of_a_log_is_bounded_and_its_end_is_followed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "MOST_EVENTS", 40)
    end = relay(run, training(100))
    assert end is not None and (end["event"], end["job_seq"]) == ("finished", 304)
    events = EventReader(run.events).read_new()
    assert [event["event"] for event in events[40:]] == ["note", "evaluated", "model_saved", "tested"]
    view = fold(RunView(), events)
    assert view.notes == [monitor._TOO_MUCH] and view.losses[-1].step < 40
    assert view.best_step == 100 and view.best and view.best.wer == 0.5 and view.test, "as the model that is fetched"
    before = run.events.read_bytes()
    end = relay(run, training(100))  # by the next app
    assert end is not None and end["event"] == "finished" and run.events.read_bytes() == before


def test_a_log_that_breaks_off_when_there_is_no_room_is_read_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "MOST_EVENTS", 40)
    lines = list(training(100))
    for told in (lines[:60], lines[:90], lines):
        end = relay(run, iter(told))
    events = EventReader(run.events).read_new()
    assert end is not None and [event["event"] for event in events].count("note") == 1
    told_seqs = [event["job_seq"] for event in events if "job_seq" in event]
    assert told_seqs == sorted(set(told_seqs)) and fold(RunView(), events).best_step == 100


def test_a_hundred_megabytes_of_lines_are_not_kept(run: Run) -> None:
    def flood() -> Iterator[str]:
        for seq in range(500):
            yield line(seq, "note", text=f"{seq}", more="x" * 200_000)  # a field that is not known is kept
        yield line(500, "failed", what="It broke.", todo="")

    end = relay(run, flood())
    assert end is not None and end["what"] == "It broke."
    assert run.events.stat().st_size < monitor.MOST_BYTES + 2**19
    assert len(EventReader(run.events).read_new()) < 340


def test_a_usual_log_is_kept_whole(run: Run) -> None:
    assert relay(run, training(100)) is not None
    kinds = [event["event"] for event in EventReader(run.events).read_new()]
    assert kinds.count("log") == 100 and "note" not in kinds and kinds[-1] == "tested"


def test_threads_that_are_over_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "_follow", lambda *_: None)
    monkeypatch.setattr(monitor, "job_of", lambda run: "a job")
    followed: dict[Path, threading.Thread] = {}
    monkeypatch.setattr(monitor, "_followed", followed)
    for number in range(20):
        run = create_run(tmp_path / str(number), Recipe())
        monitor.follow(run, "hf_x", THE_HUB)
        followed[run.folder].join()
    assert list(followed) == [run.folder]
