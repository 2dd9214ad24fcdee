"""Stop ends real trainers within seconds in every phase, and leaves a model wherever one step was taken."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.models import files_in, save_tiny_base
from tests.fakes.sounds import save_folder
from trainer.models.ctc_model import open_checkpoint
from trainer.runs.events import EventReader
from trainer.runs.follower import Follower
from trainer.runs.process import identity_of, start_trainer, stop_trainer
from trainer.runs.run import Run, create_run
from trainer.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
SECONDS_TO_STOP = 10.0  # on a machine that is busy with other tests


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICETUNE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A server that says it is there when it is asked for its front page, and then never a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer_front_page, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _answer_front_page(server: socket.socket) -> None:
    held = []
    with contextlib.suppress(OSError):  # the test is over
        while True:
            held.append(server.accept()[0])
            if held[-1].recv(4096).startswith(b"HEAD / "):
                held[-1].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def _recipe(tmp_path: Path, clips: int = 4, **values: Any) -> Recipe:
    rows = [
        (f"clip {chr(97 + number % 26)}", split) for split in ("train", "validation", "test") for number in range(clips)
    ]
    data = save_folder(tmp_path / "own", rows)
    settings: dict[str, Any] = {"max_steps": 100_000, "eval_steps": 100_000, "batch_seconds": 10.0} | values
    return Recipe(base=str(save_tiny_base(tmp_path / "base")), data=str(data), **settings)


def _events(run: Run) -> list[dict[str, Any]]:
    return EventReader(run.events).read_new()


def _wait_for(run: Run, condition: Callable[[dict[str, Any]], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not any(condition(event) for event in _events(run)):
        assert time.monotonic() < deadline, run.log.read_text()[-3000:]
        time.sleep(0.05)


def _stops(process: subprocess.Popen[bytes], run: Run, signal_it: Callable[[], None]) -> None:
    started = time.monotonic()
    signal_it()
    assert process.wait(timeout=60) == 130
    assert time.monotonic() - started < SECONDS_TO_STOP
    assert [event["event"] for event in _events(run)][-1] == "stopped"
    assert Follower(run).view().state == "stopped"


@pytest.mark.parametrize(
    ("phase", "values"),
    [
        ("preparing", {"clips": 3000}),
        ("evaluating", {"clips": 1500, "eval_clips": 1500}),
        ("downloading", {}),
    ],
)
def test_stop_before_the_first_step(
    tmp_path: Path, phase: str, values: dict[str, int], black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = values.pop("clips", 4)
    recipe = _recipe(tmp_path, clips, **values)
    if phase == "downloading":
        monkeypatch.setenv("HF_ENDPOINT", black_hole)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        recipe = recipe.change(data="minds14")
    run = create_run(tmp_path / "run", recipe)
    process = start_trainer(run)
    _wait_for(run, lambda event: event.get("phase") == phase)
    _stops(process, run, run.ask_to_stop)
    assert not run.has_model


@pytest.mark.parametrize("how", ["file", "signal"])
def test_stop_in_training_keeps_what_it_learnt(tmp_path: Path, how: str) -> None:
    run = create_run(tmp_path / "run", _recipe(tmp_path))
    process = start_trainer(run)
    _wait_for(run, lambda event: event["event"] == "log" and event["step"] >= 3)
    _stops(process, run, run.ask_to_stop if how == "file" else process.terminate)
    assert open_checkpoint(files_in(run.model)).vocabulary.blank == 0


def test_stop_while_waiting_in_line(tmp_path: Path) -> None:
    first = create_run(tmp_path / "first", _recipe(tmp_path))
    second = create_run(tmp_path / "second", first.recipe())
    trains = start_trainer(first)
    _wait_for(first, lambda event: event["event"] == "log")
    waits = start_trainer(second)
    _wait_for(second, lambda event: event["event"] == "place" and event["place"] == 1)
    assert Follower(second).view().state == "waiting"
    _stops(waits, second, second.ask_to_stop)
    stop_trainer(first)
    assert trains.wait(timeout=5) == 130


def test_a_trainer_that_does_not_listen_is_killed_and_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.runs import process
    from trainer.runs.events import EventLog

    monkeypatch.setattr(process, "SECONDS_TO_END_ITSELF", 0.5)
    monkeypatch.setattr(process, "SECONDS_AFTER_SIGNAL", 0.5)
    deaf = subprocess.Popen(
        [sys.executable, "-c", "import signal, time; signal.signal(15, lambda *_: 0); time.sleep(99)"]
    )
    run = create_run(tmp_path / "run", Recipe())
    import psutil

    time.sleep(0.3)
    EventLog(run.events).append("started", max_steps=9, **identity_of(psutil.Process(deaf.pid)))
    stop_trainer(run)
    assert deaf.wait(timeout=5) == -9
    assert _events(run)[-1]["event"] == "stopped"


def test_a_killed_trainer_leaves_the_line_free(tmp_path: Path) -> None:
    first = create_run(tmp_path / "first", _recipe(tmp_path))
    second = create_run(tmp_path / "second", _recipe(tmp_path, max_steps=1))
    trains, waits = start_trainer(first), None
    _wait_for(first, lambda event: event["event"] == "log")
    waits = start_trainer(second)
    _wait_for(second, lambda event: event["event"] == "place")
    os.kill(trains.pid, 9)
    assert waits.wait(timeout=120) == 0
    time.sleep(1.1)
    assert Follower(first).view().state == "interrupted"
    assert Follower(second).view().state == "finished"


WATCHES = """
import os, sys, time
from pathlib import Path
from trainer.training.stop_signal import POLL_SECONDS, StopSignal
stop = StopSignal(Path("taught/stop"))
stop.install()
"""


@pytest.mark.parametrize(
    ("then", "code"),
    [
        ("print('ready', flush=True); time.sleep(60)", 1),  # until the folder is removed
        ("os.chdir('/'); print('ready', flush=True); time.sleep(4 * POLL_SECONDS)", 0),
        ("stop.remove(); print('ready', flush=True); time.sleep(4 * POLL_SECONDS)", 0),
    ],
    ids=["while it trains", "while it works elsewhere, the folder stays", "when it has ended"],
)
def test_a_process_ends_where_its_run_is_removed_while_it_trains_and_only_there(
    then: str, code: int, tmp_path: Path
) -> None:
    folder = tmp_path / "taught"
    folder.mkdir()
    command, env = [sys.executable, "-c", WATCHES + then], os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=env) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        if "chdir" not in then:
            folder.rmdir()
        assert process.wait(20) == code
