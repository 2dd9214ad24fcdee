"""Whose a run is and who trains it: folders, identities of processes, the line, and what a trainer is given."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from trainer.__main__ import main
from trainer.errors import UserError
from trainer.runs import follower, process
from trainer.runs.events import EventLog, EventReader
from trainer.runs.follower import Follower
from trainer.runs.process import alive, identity_of, own_identity
from trainer.runs.queue import hold_turn, waiting
from trainer.runs.run import Run, create_run, find_run, list_runs, new_run_folder
from trainer.training.recipe import Recipe

_HOLDER = """
import sys, time
from pathlib import Path
from trainer.runs.process import sole_trainer
from trainer.runs.run import Run
with sole_trainer(Run(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""

_WAITER = """
import sys, time
from pathlib import Path
from trainer.runs.run import Run
from trainer.runs.queue import hold_turn
folder, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with hold_turn(folder / "queue", Run(folder / name), lambda place: None, lambda: None):
    with (folder / "diary").open("a") as diary: diary.write(f"{name} in\\n")
    time.sleep(seconds)
    with (folder / "diary").open("a") as diary: diary.write(f"{name} out\\n")
"""


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


def test_a_process_is_known_by_pid_and_start_time() -> None:
    me = own_identity()
    assert alive(int(me["pid"]), me["pid_started"])
    assert not alive(int(me["pid"]), me["pid_started"] - 3600)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    while child.poll() is None:
        time.sleep(0.01)
    assert not alive(child.pid, time.time())


def test_a_clock_that_is_set_changes_nobodys_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux `create_time` moves with the wall clock, as the boot time is derived from it."""
    me, created = own_identity(), psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created(process) + 3.0)
    assert sys.platform != "linux" or (alive(me["pid"], me["pid_started"]) and own_identity() == me)


@pytest.mark.parametrize("resume", [False, True])
def test_two_processes_never_train_in_one_folder(
    tmp_path: Path, resume: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the events say: here that nobody has begun, or that the trainer is gone."""
    monkeypatch.setenv("VOICETUNE_DATA", str(tmp_path))
    monkeypatch.setattr(process, "SECONDS_TO_LET_GO", 0.2)
    run = create_run(tmp_path / "runs" / "20261123-151204-en-US-9f3a1c", Recipe(max_steps=1))
    if resume:
        log = EventLog(run.events)
        log.append("started", max_steps=5, pid=2**22 + 1, pid_started=1.0)
        log.append("checkpoint", step=2)
        log.close()
        assert Follower(run).view().state == "interrupted"
    before = EventReader(run.events).read_new()
    root = Path(__file__).resolve().parents[2]
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, run.folder], cwd=root, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        commands = [["finetune", "--run", str(run.folder), "--quiet", *(["--resume"] if resume else [])]]
        commands += [["runs", "resume", run.id]] if resume else []
        for command in commands:
            assert main(command) == 1
            assert "Another process is training this run already." in capsys.readouterr().err
        assert EventReader(run.events).read_new() == before
    finally:
        holder.kill()
        holder.wait()
    with process.sole_trainer(run):  # the system let go of it
        pass


def test_a_run_whose_trainer_died_is_interrupted(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    log = EventLog(tmp_path / "events.jsonl")
    log.append("started", max_steps=5, **identity_of(psutil.Process(child.pid)))
    follower = Follower(Run(tmp_path))
    assert follower.view().state == "running"
    (tmp_path / "stop").touch()
    assert follower.view().state == "stopping"
    child.kill()
    child.wait()
    time.sleep(1.1)  # it looks at the process once a second
    view = follower.view()
    assert view.state == "interrupted" and view.todo


def test_how_a_trainer_ended_is_told_once_it_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks between its death and the note of its exit would else be told the wrong cause, for good."""
    dies = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    noted, note_exit = threading.Event(), process.note_exit
    monkeypatch.setattr(process, "trainer_command", lambda arguments, gpus: dies)
    monkeypatch.setattr(process, "note_exit", lambda run, code: (noted.wait(20), note_exit(run, code)))
    monkeypatch.setattr(follower, "SECONDS_BETWEEN_LOOKS", 0.0)
    run = create_run(tmp_path / "run", Recipe())
    trainer, watching = process.start_trainer(run), Follower(run)
    _wait_for(lambda: not alive(trainer.pid, process.started_as(run)["pid_started"]))  # type: ignore[index]
    assert watching.view().state == "waiting"
    noted.set()
    _wait_for(lambda: watching.view().state == "interrupted")
    assert watching.view().what == "The system ended the training, most likely because the memory ran out."


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
        _wait_for(lambda number=number: waiting(tmp_path / "queue") == number + 2)  # type: ignore[misc]
    assert diary.read_text().split("\n")[:-1] == ["first in"]
    first.kill()
    first.wait()
    for other in others:
        assert other.wait(timeout=30) == 0
    lines = diary.read_text().split("\n")[1:-1]
    assert lines == [f"other{n} {what}" for n in range(3) for what in ("in", "out")]
    assert waiting(tmp_path / "queue") == 0


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

        with pytest.raises(GivenUpError), hold_turn(tmp_path / "queue", Run(tmp_path / "mine"), places.append, check):
            pytest.fail("it was not its turn")
        assert places == [1]
        assert waiting(tmp_path / "queue") == 1
    finally:
        first.kill()
        first.wait()


def test_secrets_of_the_host_do_not_reach_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}

    class Process:
        pid = os.getpid()

        def __init__(self, *args: object, env: dict[str, str], **kwargs: object) -> None:
            seen.update(env)

        def wait(self) -> int:
            return 0

    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setattr(process, "gpus", lambda: ())
    monkeypatch.setattr(subprocess, "Popen", Process)
    process.start_trainer(create_run(tmp_path / "run", Recipe()))
    assert "hf_canary" not in seen.values() and seen["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "1"
