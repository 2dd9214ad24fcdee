"""What is read of a run's events when its disk, or a stranger, wrote something else: the rest, and how much was not."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cachetools import LRUCache

from tests.fakes.run_folder import write_run
from tests.unit.test_resume_interrupted import LastingSpace
from trainer.__main__ import main
from trainer.runs import follower, lifecycle
from trainer.runs.events import EventLog, EventReader
from trainer.runs.follower import Follower, forget, view_of
from trainer.runs.lifecycle import resume_interrupted
from trainer.runs.run import Run
from trainer.runs.schema import KINDS, LONGEST_LINE, parse, relayed
from trainer.runs.view import DataReport, RunView, fold

BASE = {"seq": 3, "time": "2026-11-23T15:12:04.000+00:00", "attempt": 1}
LOG = {**BASE, "event": "log", "step": 4, "loss": 1.5}
EVALUATED = {**BASE, "event": "evaluated", "step": 4, "loss": 1.5, "wer": 0.5, "cer": 0.25, "guesses": []}
STARTED = {**BASE, "event": "started", "pid": 7, "pid_started": 1.0, "max_steps": 9}
FLIPS = 150


@pytest.mark.parametrize(
    "odd",
    [
        {"step": "4"},
        {"step": True},
        {"step": 10**30},
        {"loss": "low"},
        {"loss": float("nan")},
        {"loss": 1e300},
        {"time": "yesterday"},
        {"time": "0001-01-01T00:00:00+00:00"},
        {"seq": None},
        {"seq": -1},
        {"attempt": 0},
        {"event": 3},
        {"event": "x" * 100},
        {"note": "x" * LONGEST_LINE},
    ],
)
def test_what_does_not_fit_is_no_event(odd: dict[str, Any]) -> None:
    assert parse(json.dumps(LOG)) == LOG
    assert parse(json.dumps({**LOG, **odd})) is None


@pytest.mark.parametrize("lost", ["step", "loss", "time", "seq", "event", "attempt"])
def test_an_event_that_lost_a_key_is_none(lost: str) -> None:
    assert parse(json.dumps({name: value for name, value in LOG.items() if name != lost})) is None


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '"log"', "{" * 10_000, '{"event": 1e999}'])
def test_other_json_is_no_event(text: str) -> None:
    assert parse(text) is None


def test_what_a_newer_trainer_adds_is_kept_and_harmless() -> None:
    guess = {"clip": 0, "reference": "a", "hypothesis": "b"}
    newer = {**EVALUATED, "mood": ["good"], "guesses": [{**guess, "seconds": 1.5}]}
    event = parse(json.dumps(newer))
    assert event is not None and event["mood"] == ["good"] and event["guesses"] == [guess]
    assert fold(RunView(), [event]).guesses[0].hypothesis == "b"
    assert parse(json.dumps({**BASE, "event": "sang", "song": 1})) is not None


def test_every_kind_that_the_page_folds_is_checked() -> None:
    from trainer.runs import view

    assert set(view._HANDLERS) <= set(KINDS)
    assert set(DataReport.__dataclass_fields__) <= set(KINDS["data"].__annotations__)


def test_odd_lines_are_counted_and_said_and_the_rest_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = write_run(tmp_path)
    lines = run.events.read_text(encoding="utf-8").splitlines()
    odd = [json.dumps({**LOG, "step": "many"}), json.dumps({"event": "log"}), json.dumps({**LOG, "note": "x" * 2**21})]
    run.events.write_text("\n".join([*lines[:-1], *odd, lines[-1], ""]), encoding="utf-8")
    view = Follower(run).view()
    assert (view.state, view.step, view.unreadable) == ("finished", 300, 3)
    assert view.notes[-1].startswith("3 lines of this run's diary cannot be read")
    assert sum("is no event" in record.message for record in caplog.records) == 1


def test_a_torn_last_line_is_nothing_to_speak_of(tmp_path: Path) -> None:
    run = write_run(tmp_path, end="none")
    with run.events.open("ab") as file:
        file.write(json.dumps(LOG).encode()[:30])  # kill -9 in the middle of a write
    log = EventLog(run.events)
    log.append("finished")
    log.close()
    view = Follower(run).view()
    assert (view.state, view.unreadable, view.notes) == ("finished", 0, [])


def test_nothing_is_passed_over_where_folding_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path, end="none")
    follower = Follower(run)
    from trainer.runs import follower as module

    def fails(view: RunView, events: list[dict[str, Any]]) -> RunView:
        if events[0]["event"] == "data":
            raise MemoryError
        return fold(view, events)

    with monkeypatch.context() as patch:
        patch.setattr(module, "fold", fails)
        with pytest.raises(MemoryError):
            follower.view()
    view = follower.view()
    assert view.data is not None and view.step == 300 and len(view.losses) == 300


def test_flipped_bits_cost_a_line_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every way in which a run is read works on, and the run beside it is as it was."""
    monkeypatch.setenv("VOICETUNE_DATA", str(tmp_path))
    started: list[Run] = []
    monkeypatch.setattr(lifecycle, "queue_trainer", lambda settings, run, resume: started.append(run))
    run, beside = write_run(tmp_path, end="stopped", steps=60), write_run(tmp_path)
    log = EventLog(run.events)
    log.append("checkpoint", step=60)
    log.append("stopped")
    log.close()
    run.ask_to_stop(lifecycle.SHUTDOWN)
    whole, rng = run.events.read_bytes(), random.Random(20_261_126)
    lines, counts = whole.count(b"\n"), Counter[str]()
    for _ in range(FLIPS):
        bits = bytearray(whole)
        place = rng.randrange(len(bits))
        bits[place] ^= 1 << rng.randrange(8)
        run.events.write_bytes(bits)
        run.ask_to_stop(lifecycle.SHUTDOWN)
        forget(run)
        view = view_of(run)
        counts["set aside"] += view.unreadable
        assert view.unreadable <= 2 and len(EventReader(run.events).read_new()) >= lines - 2
        resume_interrupted(LastingSpace(data_dir=tmp_path, on_space=True))
    assert counts["set aside"] > FLIPS / 10, "the flips did no harm"
    assert len(started) > FLIPS / 2 and set(started) == {run}
    forget(run)
    assert main(["runs", "list", "--json"]) == 0
    listed = {summary["id"]: summary for summary in json.loads(capsys.readouterr().out)}
    assert listed[beside.id]["state"] == "finished"
    log = EventLog(run.events)
    log.append("stopped")
    log.close()
    forget(run)
    assert main(["runs", "delete", run.id]) == 0 and not run.folder.exists()


def test_a_rented_machine_may_tell_of_its_training_and_of_nothing_here() -> None:
    told = relayed(json.dumps({**STARTED, "job_seq": 10**9}))
    assert told is not None and told["max_steps"] == 9
    assert not {"pid", "pid_started", "job_seq"} & set(told)
    followed = {**STARTED, "event": "followed"}
    strange = [followed, {**followed, "event": "queued"}, {**BASE, "event": "checkpoint", "step": 3}]
    strange += [{**BASE, "event": "rm -rf"}, {**LOG, "loss": "<b>"}, {**BASE, "event": "checkpoints_dropped"}]
    strange += [{**BASE, "event": "resumed", "step": 3, "checked": 3}]
    assert [relayed(json.dumps(event)) for event in strange] == [None] * len(strange)
    assert relayed(json.dumps({**BASE, "event": "note", "text": "x" * 300_000_000})) is None


def test_what_a_log_claims_of_processes_ends_none_of_this_machine(tmp_path: Path) -> None:
    import subprocess
    import sys

    import psutil

    from trainer.errors import UserError
    from trainer.runs.process import identity_of, process_of, stop_trainer

    run = write_run(tmp_path, end="none")
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        log = EventLog(run.events)
        log.append("started", max_steps=9, **identity_of(psutil.Process(bystander.pid)))
        log.close()
        run.job_record.write_text("{}")
        assert process_of(run) is None
        with pytest.raises(UserError, match="rented machine"):
            stop_trainer(run)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_so_many_runs_are_followed_and_another_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_followers", LRUCache(3))
    runs = [write_run(tmp_path / str(number)) for number in range(9)]
    views = [follower.view_of(run) for run in runs]
    assert len(follower._followers) == 3
    assert [follower.view_of(run).losses for run in runs] == [view.losses for view in views] and views[0].losses
