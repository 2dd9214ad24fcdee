"""What those who wait are told: how long it may take until their turn. Looked up once for all watchers."""

import functools
import time
from pathlib import Path

from trainer.errors import UserError
from trainer.runs.following import view_of
from trainer.runs.run import Run
from trainer.runs.turns import Ticket, line
from trainer.settings import Settings
from trainer.training.estimate import estimate_seconds

SECONDS_A_LOOK_STANDS = 1.0
SECONDS_AN_ESTIMATE_STANDS = 5.0


def recent_line(turns_dir: Path) -> tuple[Ticket, ...]:
    """The line, at most a second old; never older than the last who joined or left it by themselves."""
    try:
        changed = turns_dir.stat().st_mtime_ns
    except FileNotFoundError:
        return ()
    return _line_at(turns_dir, changed, int(time.monotonic() / SECONDS_A_LOOK_STANDS))


@functools.lru_cache(maxsize=4)
def _line_at(turns_dir: Path, changed: int, clock: int) -> tuple[Ticket, ...]:
    return tuple(line(turns_dir))


def seconds_until_turn(settings: Settings, run: Run) -> float:
    """What is left of all that come before this run, whosever they are."""
    return _until(settings, run, int(time.monotonic() / SECONDS_AN_ESTIMATE_STANDS))


@functools.lru_cache(maxsize=64)
def _until(settings: Settings, run: Run, clock: int) -> float:
    total = 0.0
    for ticket in recent_line(settings.turns_dir):
        if ticket.run.folder == run.folder.resolve():
            break
        total += _left_of(ticket.run, settings)
    return total


def _left_of(run: Run, settings: Settings) -> float:
    left = view_of(run).remaining(time.time())
    if left is not None:
        return left
    try:
        return estimate_seconds(run.recipe(), settings)
    except UserError:  # deleted meanwhile
        return 0.0
