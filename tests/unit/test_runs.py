"""Events and views of runs: what is shown is what was written, whatever happens to the writer."""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.errors import HopelessError, UserError
from trainer.runs.events import Event, EventLog, EventReader
from trainer.runs.follower import Follower
from trainer.runs.lifecycle import announce, is_announced
from trainer.runs.queue import waiting
from trainer.runs.run import Run, create_run
from trainer.runs.train import train_run
from trainer.runs.view import MOST_NOTES, Point, RunView, failure, fold, thin
from trainer.settings import Settings
from trainer.training.recipe import Recipe
from trainer.training.stop_signal import StopSignal

BASE = {"time": "2026-11-23T15:12:04.000+00:00", "attempt": 1}


def test_the_end_is_told_before_the_next_ones_turn(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    recipe = Recipe(base=str(tmp_path / "nowhere"), data="practice")
    run = create_run(tmp_path / "run", recipe)
    seen: dict[str, list[int]] = {}

    def look(event: Event) -> None:
        seen.setdefault(event["event"], []).append(waiting(settings.queue_dir))

    assert train_run(run, settings, look, StopSignal(run.stop_file))["event"] == "failed"
    assert seen["queued"] == [0] and seen["started"] == [1] and seen["failed"] == [1]
    assert waiting(settings.queue_dir) == 0


def test_events_are_numbered_on_after_a_restart_and_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append("queued", pid=1, pid_started=1.0)
    log.append("started", max_steps=3, pid=1, pid_started=1.0)
    log.close()
    with path.open("ab") as file:
        file.write(b'{"seq": 2, "event": "lo')  # kill -9 in the middle of a write
    log = EventLog(path)
    log.append("note", text="“ü” 中")
    log.close()
    events = EventReader(path).read_new()
    assert [event["seq"] for event in events] == [0, 1, 2]
    assert [event["attempt"] for event in events] == [1, 1, 2]
    assert events[-1]["text"] == "“ü” 中"


def test_numbers_that_json_lacks_become_null(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("log", step=1, loss=float("nan"), deep=[{"x": float("inf")}])
    assert json.loads((tmp_path / "events.jsonl").read_text())["loss"] is None


def test_readers_take_only_whole_new_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.read_new() == []
    first, second = (json.dumps({**BASE, "event": name, "seq": seq}) + "\n" for seq, name in enumerate("ab"))
    path.write_text(first + second[:40])
    assert [event["event"] for event in reader.read_new()] == ["a"]
    assert reader.read_new() == []
    with path.open("a") as file:
        file.write(second[40:])
    assert [event["event"] for event in reader.read_new()] == ["b"]


def _told(tmp_path: Path, tell: Callable[[EventLog], None]) -> RunView:
    log = EventLog(tmp_path / "events.jsonl")
    tell(log)
    return fold(RunView(), EventReader(log.path).read_new())


def test_a_view_tells_the_run(tmp_path: Path) -> None:
    def tell(log: EventLog) -> None:
        log.append("queued", pid=7, pid_started=1.0)
        log.append("place", place=2)
        log.append("started", max_steps=10, pid=7, pid_started=1.0)
        log.append("phase", phase="training", done=0, total=10)
        guess = {"clip": 0, "reference": "a b", "hypothesis": ""}
        log.append("evaluated", step=0, loss=9.0, wer=1.0, cer=1.0, guesses=[guess])
        for step in range(1, 6):
            log.append("log", step=step, loss=10.0 - step, audio_seconds_per_second=50.0)
        log.append("evaluated", step=5, loss=4.0, wer=0.5, cer=0.25, guesses=[{**guess, "hypothesis": "a"}])
        log.append("model_saved", step=5)
        log.append("evaluated", step=10, loss=5.0, wer=0.75, cer=0.3, guesses=[guess])
        log.append("something new", mood="good")
        log.append("finished")

    view = _told(tmp_path, tell)
    assert view.state == "finished" and view.over and view.step == 10
    assert view.baseline is not None and view.baseline.wer == 1.0
    assert view.best is not None and (view.best.step, view.best.wer) == (5, 0.5)
    assert [point.value for point in view.losses] == [9.0, 8.0, 7.0, 6.0, 5.0]
    assert view.remaining(time.time()) is None


@pytest.mark.parametrize("stopping", [False, True])
def test_no_time_is_left_of_what_is_stopping(stopping: bool, tmp_path: Path) -> None:
    def tell(log: EventLog) -> None:
        log.append("started", max_steps=10, pid=7, pid_started=1.0)
        log.append("phase", phase="training", done=0, total=10)
        for step in range(1, 6):
            log.append("log", step=step, loss=1.0)
        if stopping:
            log.append("stopping", step=5)

    view = _told(tmp_path, tell)
    assert (view.state, view.remaining(time.time() + 9) is None) == ("stopping" if stopping else "running", stopping)


def test_a_test_counts_for_the_model_that_was_tested(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    _cut_off(log)
    log.append("tested", step=6, loss=3.5, wer=0.6, cer=0.45, clips=9, untrained_wer=1.0, untrained_cer=0.9)
    view = fold(RunView(), EventReader(log.path).read_new())
    assert view.test is not None and (view.test.step, view.test.wer) == (6, 0.6)
    assert view.untrained_test is not None and view.untrained_test.cer == 0.9
    log.append("resumed", step=4, checked=0)
    resumed = fold(RunView(), EventReader(log.path).read_new())
    assert resumed.test == view.test, "the model that was kept is the same"
    log.append("evaluated", step=8, loss=2.0, wer=0.4, cer=0.3, guesses=[])
    log.append("model_saved", step=8)
    view = fold(RunView(), EventReader(log.path).read_new())
    assert view.test is None and view.best is not None, "another model lies there now"
    log.append("tested", step=8, loss=2.5, wer=0.5, cer=0.35, clips=9, untrained_wer=None, untrained_cer=None)
    view = fold(RunView(), EventReader(log.path).read_new())
    assert view.test is not None and view.test.wer == 0.5 and view.untrained_test is None


def test_notes_are_bounded_and_the_newest_are_shown() -> None:
    told = {"time": "2026-11-26T12:00:00+00:00", "attempt": 1, "event": "note"}
    view = fold(RunView(), [{**told, "seq": number, "text": f"{number}"} for number in range(50_000)])
    assert view.notes == [f"{number}" for number in range(50_000 - MOST_NOTES, 50_000)]


def test_a_better_model_of_the_same_step_has_not_been_tested(tmp_path: Path) -> None:
    """The steps after the checkpoint are made anew on resuming, and may come out otherwise on another machine."""
    log = EventLog(tmp_path / "events.jsonl")
    _cut_off(log)
    log.append("tested", step=6, loss=3.5, wer=0.6, cer=0.45, clips=9, untrained_wer=1.0, untrained_cer=0.9)
    log.append("queued", pid=8, pid_started=2.0)
    log.append("started", max_steps=10, pid=8, pid_started=2.0)
    log.append("model_saved", step=6)  # as it lies there
    log.append("resumed", step=4, checked=0)
    log.append("phase", phase="training", done=4, total=10)
    log.append("evaluated", step=6, loss=3.1, wer=0.55, cer=0.4, guesses=[])
    view = fold(RunView(), EventReader(log.path).read_new())
    assert view.test and view.best and (view.test.wer, view.best.wer) == (0.6, 0.5), (
        "the kept one's, not the worse one's"
    )
    log.append("evaluated", step=6, loss=2.9, wer=0.45, cer=0.3, guesses=[])
    log.append("model_saved", step=6)
    view = fold(RunView(), EventReader(log.path).read_new())
    assert view.test is None and view.best and view.best.wer == 0.45


def test_a_rented_machines_model_may_arrive_after_it_was_tested(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("started", max_steps=10, pid=7, pid_started=1.0)
    log.append("phase", phase="training", done=0, total=10)
    log.append("evaluated", step=6, loss=3.0, wer=0.5, cer=0.4, guesses=[])
    log.append("tested", step=6, loss=3.5, wer=0.6, cer=0.45)
    log.append("model_saved", step=6)
    view = fold(RunView(), EventReader(log.path).read_new())
    assert view.test and view.best and (view.test.wer, view.best.wer) == (0.6, 0.5)


def test_what_an_older_run_told_of_its_clips_can_be_read(tmp_path: Path) -> None:
    def tell(log: EventLog) -> None:
        facts = {"train_clips": 8, "test_clips": 2, "train_seconds": 9.0, "test_seconds": 2.5, "left_out": {}}
        log.append("data", source="Practice voices", note="", **facts)

    data = _told(tmp_path, tell).data
    assert data is not None and (data.test_clips, data.validation_clips, data.kind) == (2, 0, "")


def _cut_off(log: EventLog) -> None:
    log.append("started", max_steps=10, pid=7, pid_started=1.0)
    log.append("evaluated", step=0, loss=9.0, wer=1.0, cer=1.0, guesses=[])
    for step in range(1, 7):
        log.append("log", step=step, loss=10.0 - step)
        if step == 4:
            log.append("checkpoint", step=4)
    log.append("evaluated", step=6, loss=3.0, wer=0.5, cer=0.4, guesses=[])
    log.append("model_saved", step=6)


def test_a_resumed_run_has_one_curve_and_keeps_its_best(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    _cut_off(log)
    before = fold(RunView(), EventReader(log.path).read_new())
    shared = before.losses
    log.append("resuming")
    waiting_again = fold(before, EventReader(log.path).read_new()[-1:])
    assert (waiting_again.state, waiting_again.pid, waiting_again.ended) == ("waiting", None, None)
    log = EventLog(log.path)
    assert log.attempt == 2
    log.append("started", max_steps=10, pid=8, pid_started=2.0)
    log.append("resumed", step=4, checked=0)
    view = fold(RunView(), EventReader(log.path).read_new())
    assert [point.step for point in view.losses] == [1, 2, 3, 4] and view.step == view.first_step == 4
    assert [evaluation.step for evaluation in view.evaluations] == [0]
    assert view.best is not None and view.best.wer == 0.5  # it lies in the model folder, whatever is told anew
    log.append("log", step=5, loss=5.0)
    fold(view, EventReader(log.path).read_new()[-1:])
    assert [point.step for point in view.losses] == [1, 2, 3, 4, 5]
    assert [point.step for point in shared] == [1, 2, 3, 4, 5, 6]  # another browser may be drawing them


@pytest.mark.parametrize(
    ("code", "words"), [("-9", "memory ran out"), ("137", "memory ran out"), ("", "without a word")]
)
def test_who_ended_a_trainer_is_said(tmp_path: Path, code: str, words: str) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("started", max_steps=5, pid=2**22 + 1, pid_started=1.0)
    if code:
        (tmp_path / "exit-code").write_text(code)
    view = Follower(Run(tmp_path)).view()
    assert view.state == "interrupted" and words in view.what and "esume it" in view.todo and view.resumable


def test_only_one_attempt_is_opened(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", Recipe())
    log = EventLog(run.events)
    log.append("started", max_steps=5, pid=2**22 + 1, pid_started=1.0)
    run.ask_to_stop()
    announce(run)
    assert is_announced(run) and not run.stop_file.exists()
    with pytest.raises(UserError, match="still going on"):
        announce(run)


def test_what_would_fail_again_is_not_offered(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", Recipe())
    log = EventLog(run.events)
    log.append("failed", **failure(HopelessError("The loss is no longer a number.", "Try a lower learning rate.")))
    with pytest.raises(UserError, match=r"fail in the same way.*no longer a number.*lower learning rate"):
        announce(run)


def test_events_that_a_full_disk_refused_are_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("note", text="one")
    real, room = os.write, [7, 0, 0]

    def full(file: int, data: bytes) -> int:
        if not room:
            return real(file, data)
        if free := room.pop(0):
            return real(file, data[:free])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.append("note", text="two")
    assert log.behind and len(EventReader(log.path).read_new()) == 1
    log.append("note", text="three")
    log.append("note", text="four")
    assert not log.behind
    assert [event["text"] for event in EventReader(log.path).read_new()] == ["one", "two", "three", "four"]


def test_twenty_thousand_points_are_thinned_with_exact_ends_and_extremes() -> None:
    points = [Point(step, 5.0) for step in range(20_000)]
    points[0], points[-1], points[777], points[12_345] = (
        Point(0, 9.0),
        Point(19_999, 1.0),
        Point(777, 99.0),
        Point(12_345, 0.001),
    )
    start = time.perf_counter()
    thinned = thin(points, 400)
    assert time.perf_counter() - start < 1.0
    assert len(thinned) <= 400
    assert thinned[0] == points[0] and thinned[-1] == points[-1]
    assert points[777] in thinned and points[12_345] in thinned
    assert [point.step for point in thinned] == sorted({point.step for point in thinned})
