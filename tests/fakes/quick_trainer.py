"""A trainer that only takes its turn: the real line, events and signals, and a wink of sleep for the training.

It notes when it went in and out in a diary beside the runs, and whether somebody else was in meanwhile. SECONDS (an
environment variable) is how long it stays. It saves when it is asked to stop, as a trainer does.
"""

import argparse
import os
import time
from pathlib import Path

from trainer.runs import queue
from trainer.runs.events import EventLog
from trainer.runs.lifecycle import end_fields
from trainer.runs.process import own_identity
from trainer.runs.queue import hold_turn
from trainer.runs.run import Run
from trainer.settings import Settings
from trainer.training.stop_signal import StopRequested, StopSignal

queue.POLL_SECONDS = 0.05


def main() -> None:
    """One run, as `python -m trainer finetune --run FOLDER`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--resume", action="store_true")
    run, settings = Run(parser.parse_args().run), Settings.from_env()
    log, stop = EventLog(run.events), StopSignal(run.stop_file)
    stop.install()
    log.append("queued", **own_identity())
    try:
        with hold_turn(settings.queue_dir, run, lambda place: log.append("place", place=place), stop.check):
            log.append("started", max_steps=1000, **own_identity())
            _inside(run, settings.data_dir, stop, log)
    except StopRequested:
        log.append("stopped", **end_fields(run, settings))
    else:
        log.append("finished")


def _inside(run: Run, data_dir: Path, stop: StopSignal, log: EventLog) -> None:
    occupied = data_dir / "occupied"
    try:
        os.close(os.open(occupied, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        note(data_dir, "collision", run)
    note(data_dir, "in", run)
    until, step = time.monotonic() + float(os.environ.get("SECONDS", "0.02")), 0
    try:
        while time.monotonic() < until:
            stop.check()
            step += 1
            log.append("log", step=step, loss=1.0)
            time.sleep(0.02)
    finally:
        occupied.unlink(missing_ok=True)
        note(data_dir, "out", run)


def note(data_dir: Path, what: str, run: Run) -> None:
    """One write, so that lines of several processes do not mix."""
    diary = os.open(data_dir / "diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(diary, f"{what} {run.id}\n".encode())
    os.close(diary)


if __name__ == "__main__":
    main()
