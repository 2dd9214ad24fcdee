"""The most that a run may take: when the time is up it is stopped as a person would stop it, and keeps its model."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.runs.reasons import TIME
from trainer.runs.run import Run


@contextmanager
def at_most(minutes: float, run: Run) -> Iterator[None]:
    """Ask the run to stop when it has been inside for so many minutes; 0: no limit."""
    timer = threading.Timer(minutes * 60, run.ask_to_stop, [TIME])
    timer.daemon = True
    if minutes:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
