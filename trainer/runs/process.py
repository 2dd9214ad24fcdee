"""The trainer's process: started apart from the app, known by pid and start, alone on its run, stopped in steps."""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from trainer.errors import UserError
from trainer.hardware import gpus
from trainer.runs.events import ENDS, EventLog, EventReader, last_told
from trainer.runs.run import Run

PROJECT = Path(__file__).resolve().parents[2]
# Secrets of the host that a trainer has no use for. Model code never sees them.
_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OAUTH_CLIENT_SECRET")
SECONDS_TO_END_ITSELF = 8.0  # after the stop file; a trainer that is in a download may need the signal
SECONDS_AFTER_SIGNAL = 8.0  # time to save after SIGTERM
SECONDS_AFTER_KILL = 5.0  # until the system has taken it away
SECONDS_TO_LET_GO = 5.0  # a trainer that has told its end still tidies up
NICENESS = 5  # pages and transcriptions, which take little, are served before the training goes on
LEAST_FREE = 2**20  # bytes; a disk with less is full
_OUT_OF_MEMORY = (
    "The system ended the training, most likely because the memory ran out.",
    "Close other programs and resume it; if it happens again, fine-tune again with a smaller batch.",
)
_DISK_FULL = ("The training was cut off: the disk is full.", "Make some room, then resume it.")
_UNKNOWN = (
    "The training was cut off: its program ended without a word.",
    "The computer may have run out of memory, or been switched off. Resume it.",
)
# pid, and pid_started in seconds: on Linux since the system's start, which a clock that is set cannot change; elsewhere
# since the epoch, as the system noted it then.
Identity = dict[str, float]
_SAME_START = 0.005  # seconds; Linux counts in hundredths
_awaited: dict[Path, int] = {}  # runs' folders, and pids of trainers whose exit this process has yet to note
log = logging.getLogger("voicetune.runs")


def own_identity() -> Identity:
    """This process as events, tickets and owners name it."""
    return identity_of(psutil.Process())


def identity_of(process: psutil.Process) -> Identity:
    """Any process. Raises psutil.NoSuchProcess where it is gone."""
    return {"pid": process.pid, "pid_started": _start_of(process)}


def alive(pid: float | None, started: float | None) -> bool:
    """Whether that very process still runs. A zombie does not."""
    if pid is None or started is None:
        return False
    try:
        process = psutil.Process(int(pid))
        return abs(_start_of(process) - started) < _SAME_START and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError, ValueError):
        return False


def identity_in(found: object) -> Identity | None:
    """An identity read from JSON; None for anything else."""
    if not isinstance(found, dict):
        return None
    pid, started = found.get("pid"), found.get("pid_started")
    if type(pid) is int and 0 < pid < 2**31 and isinstance(started, int | float):
        return {"pid": pid, "pid_started": float(started)}
    return None


def _start_of(process: psutil.Process) -> float:
    """psutil's `create_time` adds the ticks to a boot time that the kernel derives anew from the wall clock."""
    if sys.platform != "linux":
        return process.create_time()
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise psutil.NoSuchProcess(process.pid) from None
    ticks = stat.rpartition(")")[2].split()[19]  # field 22, `starttime`; a program's name may hold spaces and brackets
    return int(ticks) / os.sysconf("SC_CLK_TCK")


@contextmanager
def sole_trainer(run: Run, seconds: float | None = None) -> Iterator[None]:
    """Hold the run's folder while training in it, or changing what a trainer works with. The system lets go of it
    when this process dies.

    Waits for so many seconds (None: SECONDS_TO_LET_GO), then raises UserError: another process holds it, however that
    one was started.
    """
    lock = FileLock(run.trainer_lock)
    try:
        lock.acquire(timeout=SECONDS_TO_LET_GO if seconds is None else seconds)
    except Timeout:
        raise UserError("Another process is training this run already.", "Watch it there, or stop it first.") from None
    try:
        yield
    finally:
        lock.release()


def start_trainer(run: Run, resume: bool = False) -> subprocess.Popen[bytes]:
    """Start `python -m trainer finetune --run FOLDER` in a session of its own, on all GPUs there are.

    Its output goes to a file, never a pipe: a pipe that nobody reads fills up and freezes the trainer, and dies
    with the app.
    """
    env = without_secrets(os.environ) | {"PYTHONUNBUFFERED": "1"}
    resuming = ["--resume"] if resume else []
    with run.log.open("ab") as output:
        process = subprocess.Popen(
            trainer_command(["finetune", "--run", str(run.folder), "--quiet", *resuming], len(gpus())),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=env,
            start_new_session=True,
        )
    with contextlib.suppress(psutil.Error, OSError):  # it failed at once, or the system has no such thing
        started = psutil.Process(process.pid)
        run.process.write_text(json.dumps(identity_of(started)), encoding="utf-8")
        step_back(process.pid)
    _awaited[run.folder] = process.pid
    threading.Thread(target=_reap, args=(run, process), name=f"reap-{process.pid}", daemon=True).start()
    return process


def _reap(run: Run, process: subprocess.Popen[bytes]) -> None:
    """Take note of its end, so that it does not stay behind as a zombie of the app."""
    try:
        note_exit(run, process.wait())
    finally:
        if _awaited.get(run.folder) == process.pid:
            del _awaited[run.folder]


def exit_awaited(run: Run) -> bool:
    """Whether this process will still note how the run's trainer ended: until then `cause_of` may not know."""
    return run.folder in _awaited


def without_secrets(env: Mapping[str, str]) -> dict[str, str]:
    """An environment for processes that run model code."""
    kept = {name: value for name, value in env.items() if name not in _SECRETS}
    return kept | {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}


def step_back(pid: int) -> None:
    """Let the app go first. Linux may weigh sessions before the processes in them, so both are told.

    Raises psutil.Error or OSError where it failed at once, or the system has no such thing.
    """
    if os.name == "posix":
        psutil.Process(pid).nice(NICENESS)
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text(str(NICENESS))


def stop_trainer(run: Run, seconds_alone: float | None = None, seconds_after_signal: float | None = None) -> None:
    """Ask, then insist, then kill; returns when the process is gone and the run has an end.

    Raises UserError for a run on a rented machine: the process that its events name is the app that follows it.
    """
    if run.job_record.exists():
        raise UserError("This training runs on a rented machine.", "Stop it on the page, signed in as who rented it.")
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
        _gone(process, SECONDS_AFTER_KILL)
    if not has_ended(run):
        events = EventLog(run.events)
        events.append(
            "stopped", what="It did not end by itself, so what it had learnt since its last check is lost.", todo=""
        )
        events.close()


def has_ended(run: Run) -> bool:
    """Whether its newest attempt has told its end, which is then its last event."""
    return last_told(run.events) in ENDS


def process_of(run: Run) -> psutil.Process | None:
    """The trainer's process; None where it is gone, or on a rented machine."""
    if run.job_record.exists():
        return None
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
    try:
        identity = identity_of(process)
    except psutil.NoSuchProcess:
        return True
    while time.monotonic() < deadline:
        if not alive(identity["pid"], identity["pid_started"]):
            return True
        time.sleep(0.1)
    return False


def trainer_command(arguments: Sequence[str], gpus: int) -> list[str]:
    """`python -m trainer …`, with a process for each GPU where there are several.

    Precision is left to the recipe: accelerate's own would wrap the model's forward, evaluations included.
    """
    if gpus < 2:
        return [sys.executable, "-m", "trainer", *arguments]
    options = {"num_processes": gpus, "num_machines": 1, "mixed_precision": "no", "dynamo_backend": "no"}
    named = [f"--{name}={value}" for name, value in options.items()]
    port = "--main_process_port=0"  # one that is free
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", *named, port]
    return [*launch, "-m", "trainer", *arguments]


def note_exit(run: Run, code: int) -> None:
    """Called by whoever started the trainer, once it is gone: a negative code is the signal that ended it."""
    try:
        run.exit_file.write_text(str(code), encoding="utf-8")
    except OSError:  # the run was deleted, or the disk is full, which `cause_of` sees for itself
        return


def cause_of(run: Run) -> tuple[str, str]:
    """What happened, and what to do."""
    try:
        code = int(run.exit_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nobody was there to note it
        code = 0
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return _OUT_OF_MEMORY
    try:
        return _DISK_FULL if shutil.disk_usage(run.folder).free < LEAST_FREE else _UNKNOWN
    except OSError:
        return _UNKNOWN
