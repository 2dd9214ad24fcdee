"""The trainer's process: started apart from the app, known by pid and start time, stopped in three steps."""

import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path

import psutil

from trainer.runs.causes import note_exit
from trainer.runs.events import ENDS, EventLog, EventReader
from trainer.runs.launching import gpu_count, trainer_command
from trainer.runs.run import Run

PROJECT = Path(__file__).resolve().parents[2]

# Secrets of the host that a trainer has no use for. Model code never sees them.
_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OAUTH_CLIENT_SECRET")

SECONDS_TO_END_ITSELF = 8.0  # after the stop file; a trainer that is in a download may need the signal
SECONDS_AFTER_SIGNAL = 8.0  # time to save after SIGTERM


def own_identity() -> dict[str, float]:
    """This process as events name it. A pid alone is soon used again by another program."""
    process = psutil.Process()
    return {"pid": process.pid, "pid_started": process.create_time()}


def alive(pid: int | None, started: float | None) -> bool:
    """Whether that very process still runs."""
    if pid is None or started is None:
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def start_trainer(run: Run, resume: bool = False) -> subprocess.Popen[bytes]:
    """Start `python -m trainer finetune --run FOLDER` in a session of its own, on all GPUs there are.

    Its output goes to a file, never a pipe: a pipe that nobody reads fills up and freezes the trainer, and dies
    with the app.
    """
    env = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    env |= {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "PYTHONUNBUFFERED": "1"}
    resuming = ["--resume"] if resume else []
    with run.log.open("ab") as log:
        process = subprocess.Popen(
            trainer_command(["finetune", "--run", str(run.folder), "--quiet", *resuming], gpu_count()),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=env,
            start_new_session=True,
        )
    # Reaped when it ends, so that it does not stay behind as a zombie of the app.
    reap = threading.Thread(target=lambda: note_exit(run, process.wait()), name=f"reap-{process.pid}", daemon=True)
    reap.start()
    return process


def stop_trainer(run: Run) -> None:
    """Ask, then insist, then kill; returns when the process is gone and the run has an end."""
    run.ask_to_stop()
    for wait, act in (
        (SECONDS_TO_END_ITSELF, psutil.Process.terminate),
        (SECONDS_AFTER_SIGNAL, psutil.Process.kill),
    ):
        process = _process_of(run)
        if process is None or _gone(process, wait):
            break
        with contextlib.suppress(psutil.NoSuchProcess):  # it left between the look and the signal
            act(process)
    process = _process_of(run)
    if process is not None:
        _gone(process, 5.0)
    if not has_ended(run):
        log = EventLog(run.events)
        log.append("stopped", what="Stopped before it could save.", todo="")
        log.close()


def has_ended(run: Run) -> bool:
    """Whether its newest attempt has told its end, which is then its last event."""
    events = EventReader(run.events).read_new()
    return bool(events) and events[-1]["event"] in ENDS


def _process_of(run: Run) -> psutil.Process | None:
    named = [event for event in EventReader(run.events).read_new() if "pid" in event]
    if not named or not alive(named[-1]["pid"], named[-1]["pid_started"]):
        return None
    try:
        return psutil.Process(named[-1]["pid"])
    except psutil.NoSuchProcess:
        return None


def _gone(process: psutil.Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    started = process.create_time()
    while time.monotonic() < deadline:
        if not alive(process.pid, started):
            return True
        time.sleep(0.1)
    return False
