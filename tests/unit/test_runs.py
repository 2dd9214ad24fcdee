"""Events, views and folders of runs: what is shown is what was written, whatever happens to the writer."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.errors import HopelessError, UserError
from trainer.runs.archive import zip_model
from trainer.runs.events import EventLog, EventReader
from trainer.runs.following import Follower
from trainer.runs.identity import alive, own_identity
from trainer.runs.resuming import announce, is_announced
from trainer.runs.run import Run, create_run, find_run, list_runs, new_run_folder
from trainer.runs.thinning import thin
from trainer.runs.turns import turn, waiting
from trainer.runs.view import Point, RunView, failure, fold
from trainer.training.recipe import Recipe


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
    path.write_text('{"event": "a", "seq": 0}\n{"event": "b", ')
    assert [event["event"] for event in reader.read_new()] == ["a"]
    assert reader.read_new() == []
    with path.open("a") as file:
        file.write('"seq": 1}\n')
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


def test_folders_are_found_only_by_their_owner(tmp_path: Path) -> None:
    mine = create_run(new_run_folder(tmp_path, "de-DE"), Recipe(locale="de-DE"), owner="me")
    theirs = create_run(new_run_folder(tmp_path, "en-US"), Recipe(), owner="them")
    assert [run.id for run in list_runs(tmp_path, "me")] == [mine.id]
    assert len(list_runs(tmp_path)) == 2
    assert find_run(tmp_path, theirs.id, "me") is None
    found = find_run(tmp_path, mine.id, "me")
    assert found is not None and found.recipe().locale == "de-DE"
    for hostile in ("..", "../x", "/etc", "", mine.id + "/../" + theirs.id):
        assert find_run(tmp_path, hostile, "me") is None


def test_a_folder_in_use_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(UserError, match="not empty"):
        create_run(tmp_path, Recipe())
    with pytest.raises(UserError, match="no model"):
        zip_model(Run(tmp_path), tmp_path)


def test_a_process_is_known_by_pid_and_start_time() -> None:
    me = own_identity()
    assert alive(int(me["pid"]), me["pid_started"])
    assert not alive(int(me["pid"]), me["pid_started"] - 3600)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    while child.poll() is None:
        time.sleep(0.01)
    assert not alive(child.pid, time.time())


def test_a_run_whose_trainer_died_is_interrupted(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    log = EventLog(tmp_path / "events.jsonl")
    import psutil

    log.append("started", max_steps=5, pid=child.pid, pid_started=psutil.Process(child.pid).create_time())
    follower = Follower(Run(tmp_path))
    assert follower.view().state == "running"
    (tmp_path / "stop").touch()
    assert follower.view().state == "stopping"
    child.kill()
    child.wait()
    time.sleep(1.1)  # it looks at the process once a second
    view = follower.view()
    assert view.state == "interrupted" and view.todo


_WAITER = """
import sys, time
from pathlib import Path
from trainer.runs.run import Run
from trainer.runs.turns import turn
folder, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with turn(folder / "turns", Run(folder / name), lambda place: None, lambda: None):
    with (folder / "diary").open("a") as diary: diary.write(f"{name} in\\n")
    time.sleep(seconds)
    with (folder / "diary").open("a") as diary: diary.write(f"{name} out\\n")
"""


def _waiter(folder: Path, name: str, seconds: float) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen([sys.executable, "-c", _WAITER, str(folder), name, str(seconds)], cwd=root)


def _wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_one_at_a_time_in_order_and_a_killed_one_does_not_block(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    first = _waiter(tmp_path, "first", 60)
    _wait_for(lambda: diary.exists())
    others = []
    for number in range(3):
        others.append(_waiter(tmp_path, f"other{number}", 0.1))
        _wait_for(lambda number=number: waiting(tmp_path / "turns") == number + 2)  # type: ignore[misc]
    assert diary.read_text().split("\n")[:-1] == ["first in"]
    first.kill()
    first.wait()
    for process in others:
        assert process.wait(timeout=30) == 0
    lines = diary.read_text().split("\n")[1:-1]
    assert lines == [f"other{n} {what}" for n in range(3) for what in ("in", "out")]
    assert waiting(tmp_path / "turns") == 0


def test_places_are_told_and_waiting_can_be_given_up(tmp_path: Path) -> None:
    first = _waiter(tmp_path, "first", 60)
    try:
        _wait_for(lambda: (tmp_path / "diary").exists())
        places: list[int] = []

        class GivenUpError(Exception):
            pass

        def check() -> None:
            if places:
                raise GivenUpError

        with pytest.raises(GivenUpError), turn(tmp_path / "turns", Run(tmp_path / "mine"), places.append, check):
            pytest.fail("it was not its turn")
        assert places == [1]
        assert waiting(tmp_path / "turns") == 1
    finally:
        first.kill()
        first.wait()


def test_secrets_of_the_host_do_not_reach_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.runs import processes

    seen: dict[str, str] = {}

    class Process:
        pid = os.getpid()

        def __init__(self, *args: object, env: dict[str, str], **kwargs: object) -> None:
            seen.update(env)

        def wait(self) -> int:
            return 0

    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setattr(processes, "gpu_count", lambda: 1)
    monkeypatch.setattr(subprocess, "Popen", Process)
    processes.start_trainer(create_run(tmp_path / "run", Recipe()))
    assert "hf_canary" not in seen.values() and seen["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "1"
