"""The trainer's process: started apart from the app, known by pid and start time, stopped in three steps."""

import contextlib
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import psutil

from trainer.runs.causes import note_exit
from trainer.runs.events import ENDS, EventLog, EventReader
from trainer.runs.identity import Identity, alive, identity_in, identity_of
from trainer.runs.launching import gpu_count, trainer_command
from trainer.runs.run import Run

PROJECT = Path(__file__).resolve().parents[2]

# Secrets of the host that a trainer has no use for. Model code never sees them.
_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OAUTH_CLIENT_SECRET")

SECONDS_TO_END_ITSELF = 8.0  # after the stop file; a trainer that is in a download may need the signal
SECONDS_AFTER_SIGNAL = 8.0  # time to save after SIGTERM
NICENESS = 5  # pages and transcriptions, which take little, are served before the training goes on


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
    with contextlib.suppress(psutil.Error, OSError):  # it failed at once, or the system has no such thing
        started = psutil.Process(process.pid)
        run.process.write_text(json.dumps(identity_of(started)), encoding="utf-8")
        _step_back(started)
    # Reaped when it ends, so that it does not stay behind as a zombie of the app.
    reap = threading.Thread(target=lambda: note_exit(run, process.wait()), name=f"reap-{process.pid}", daemon=True)
    reap.start()
    return process


def _step_back(process: psutil.Process) -> None:
    """Let the app go first. Linux may weigh sessions before the processes in them, so both are told."""
    if os.name == "posix":
        process.nice(NICENESS)
    group = Path(f"/proc/{process.pid}/autogroup")
    if group.exists():
        group.write_text(str(NICENESS))


def stop_trainer(run: Run, seconds_alone: float | None = None, seconds_after_signal: float | None = None) -> None:
    """Ask, then insist, then kill; returns when the process is gone and the run has an end."""
    run.ask_to_stop()
    for wait, act in (
        (SECONDS_TO_END_ITSELF if seconds_alone is None else seconds_alone, psutil.Process.terminate),
        (SECONDS_AFTER_SIGNAL if seconds_after_signal is None else seconds_after_signal, psutil.Process.kill),
    ):
        process = process_of(run)
        if process is None or _gone(process, wait):
            break
        with contextlib.suppress(psutil.NoSuchProcess):  # it left between the look and the signal
            act(process)
    process = process_of(run)
    if process is not None:
        _gone(process, 5.0)
    if not has_ended(run):
        log = EventLog(run.events)
        log.append(
            "stopped", what="It did not end by itself, so what it had learnt since its last check is lost.", todo=""
        )
        log.close()


def has_ended(run: Run) -> bool:
    """Whether its newest attempt has told its end, which is then its last event."""
    events = EventReader(run.events).read_new()
    return bool(events) and events[-1]["event"] in ENDS


def process_of(run: Run) -> psutil.Process | None:
    """The trainer's process; None where it is gone."""
    named = [identity_in(event) for event in EventReader(run.events).read_new() if "pid" in event]
    for identity in (named[-1] if named else None, started_as(run)):
        if identity and alive(identity["pid"], identity["pid_started"]):
            with contextlib.suppress(psutil.NoSuchProcess):
                return psutil.Process(int(identity["pid"]))
    return None


def started_as(run: Run) -> Identity | None:
    """The process that an app started for this run, which may not have written an event yet."""
    try:
        return identity_in(json.loads(run.process.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _gone(process: psutil.Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    started = process.create_time()
    while time.monotonic() < deadline:
        if not alive(process.pid, started):
            return True
        time.sleep(0.1)
    return False
