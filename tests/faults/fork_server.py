"""Trainers by the hundred, to be injured: a process that has torch loaded and forks a trainer for each job.

Jobs come as a JSON line each on stdin, and for each an answer goes to stdout: {"code": of the exit, negative for a
signal; "inside": whether it died while it saved}. Nothing that computes runs in the parent, so that forking is safe.
"""

import contextlib
import hashlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

ROOT = Path(__file__).resolve().parents[2]
MARKS = "marks"  # beside the run's folder: S where a save began, E where it ended
MODULES = "modules"  # beside the run's folder, for a moment
WEIGHTS = "weights.sha256"  # beside the run's folder: of the weights after the last step


class Job(TypedDict, total=False):
    """One attempt. `at` names a place of `_hook`; there, when it is passed for the `number`th time, `how` happens."""

    run: str
    resume: bool
    at: str  # step | forward | clip | frozen (a clip is computed) | prepared | save | model
    number: int
    how: str  # TERM | KILL | file | GPU (its memory is full) | CPU (likewise)
    always: bool  # it happens again whenever that place is passed
    calls: int  # for KILL at a save: so many calls into C are made before
    seconds: float  # kill -9 after so long, wherever it is; with `at`: so long after that
    largest_file: int  # bytes: what is longer fails, as on a full disk


class ForkServer:
    """The parent, as tests see it."""

    def __init__(self, data_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fork_server"],
            cwd=ROOT,
            env=os.environ | {"VOICETUNE_DATA": str(data_dir), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, job: Job) -> dict[str, Any]:
        """Run one attempt to its end."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """Let it go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def _serve() -> None:
    import trainer.training.finetune  # noqa: F401  # loads torch and transformers, once

    for line in sys.stdin:
        job: Job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = _attempt(job)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if code == 0:
                _beside(job, MODULES).write_text("\n".join(sorted(sys.modules)))
            os._exit(code)
        _, status = os.waitpid(pid, 0)
        marks = _beside(job, MARKS)
        told = marks.read_text() if marks.exists() else ""
        marks.unlink(missing_ok=True)
        _load_what_it_loaded(job)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "inside": told[-1:] == "S"}), flush=True)


def _load_what_it_loaded(job: Job) -> None:
    """So that the next one is born with it: libraries load half of themselves only when they are used."""
    listed = _beside(job, MODULES)
    names = listed.read_text().splitlines() if listed.exists() else []
    listed.unlink(missing_ok=True)
    for name in names:
        if name not in sys.modules and not name.startswith("__"):
            with contextlib.suppress(Exception):  # one that its library itself only tries
                importlib.import_module(name)


def _beside(job: Job, name: str) -> Path:
    return Path(f"{job['run']}.{name}")


def _attempt(job: Job) -> int:
    log = os.open(f"{job['run']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    import torch

    from trainer.__main__ import main
    from trainer.training import checkpoints, stop_signal

    torch.set_num_threads(1)
    checkpoints.LEAST_BETWEEN, checkpoints.SHARE = 0.0, 1e9  # a save before every step
    stop_signal.POLL_SECONDS = 0.005
    _mark_saves(job)
    _hash_weights(job)
    if "at" in job:
        _hook(job)
    elif "seconds" in job:
        _kill_after(job["seconds"])
    if "largest_file" in job:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest_file"], resource.RLIM_INFINITY))
    try:
        return main(["finetune", "--run", job["run"], "--quiet", *(["--resume"] if job.get("resume") else [])])
    except BaseException:
        import traceback

        traceback.print_exc()
        return 99


def _kill_after(seconds: float) -> None:
    def wait_and_kill() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait_and_kill, daemon=True).start()


def _wrapped(module: Any, name: str, before: Callable[[], None], after: Callable[[], None] = lambda: None) -> None:
    """Put something before and after each call of a function."""
    function = getattr(module, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        before()
        try:
            return function(*args, **kwargs)
        finally:
            after()

    setattr(module, name, call)


def _saves() -> list[tuple[Any, str]]:
    from trainer.models.ctc_model import Checkpoint
    from trainer.training import session

    return [(session, "save_step"), (Checkpoint, "save")]


def _mark_saves(job: Job) -> None:
    marks = os.open(_beside(job, MARKS), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for module, name in _saves():
        _wrapped(module, name, lambda: _ignore(os.write(marks, b"S")), lambda: _ignore(os.write(marks, b"E")))


def _ignore(value: object) -> None:
    del value


def _hash_weights(job: Job) -> None:
    from trainer.training.session import Session

    run = Session.run

    def run_and_hash(self: Session) -> Any:
        outcome = run(self)
        if outcome == "finished":
            digest = hashlib.sha256()
            for name, weight in sorted(self.inputs.checkpoint.model.state_dict().items()):
                digest.update(name.encode() + weight.numpy().tobytes())
            _beside(job, WEIGHTS).write_text(digest.hexdigest())
        return outcome

    setattr(Session, "run", run_and_hash)  # noqa: B010  # mypy minds an assignment to a method


def _hook(job: Job) -> None:
    from trainer.speech import dataset
    from trainer.training import evaluation
    from trainer.training.ctc_trainer import CTCTrainer
    from trainer.training.frozen import FrozenLayers
    from trainer.training.session import EventCallback

    checkpoint, model = _saves()
    places: dict[str, tuple[Any, str]] = {
        "step": (EventCallback, "on_step_end"),
        "forward": (CTCTrainer, "compute_loss"),
        "clip": (evaluation, "logits_of"),
        "frozen": (FrozenLayers, "__call__"),
        "prepared": (dataset, "load_audio"),
        "save": checkpoint,
        "model": model,
    }
    passed = 0

    def count() -> None:
        nonlocal passed
        passed += 1
        if passed == job["number"] or (passed > job["number"] and job.get("always")):
            _strike(job)

    _wrapped(*places[job["at"]], count)


def _strike(job: Job) -> None:
    import torch

    match job["how"]:
        case "TERM":
            os.kill(os.getpid(), signal.SIGTERM)
        case "file":
            (Path(job["run"]) / "stop").touch()
            time.sleep(0.05)
        case "GPU":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        case "CPU":
            raise MemoryError
        case "KILL" if "seconds" in job:
            _kill_after(job["seconds"])
        case "KILL" if "calls" in job:
            _kill_at_call(job["calls"])
        case "KILL":
            os.kill(os.getpid(), signal.SIGKILL)


def _kill_at_call(number: int) -> None:
    """Kill before the so manyth call into C from now on: writes, renames, syncs and all others."""
    left = number

    def look(frame: types.FrameType, event: str, argument: object) -> None:
        nonlocal left
        if event == "c_call":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)


if __name__ == "__main__":
    _serve()
