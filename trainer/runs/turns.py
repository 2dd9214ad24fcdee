"""One run at a time on a machine: first come, first served, whoever started it.

Every trainer draws a ticket, a file whose name sorts by time. It goes when all older tickets belong to processes
that are gone and it holds the lock, which the system lets go of when a process dies: there is nothing to clean up
after a crash, and no app has to be alive for the line to move.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.runs.processes import alive, own_identity

POLL_SECONDS = 0.5


@contextmanager
def turn(folder: Path, on_place: Callable[[int], object], check: Callable[[], None]) -> Iterator[None]:
    """Wait for one's turn and hold it.

    `on_place` hears the place in line whenever it changes (1: next). `check` is called while waiting and may
    raise to give up.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    me = own_identity()
    ticket = folder / f"{time.time_ns():020d}-{me['pid']}.ticket"
    ticket.write_text(repr(me["pid_started"]))
    lock = FileLock(folder / "lock")
    try:
        _wait(folder, ticket, lock, on_place, check)
        yield
    finally:
        if lock.is_locked:
            lock.release()
        ticket.unlink(missing_ok=True)


def _wait(
    folder: Path, ticket: Path, lock: FileLock, on_place: Callable[[int], object], check: Callable[[], None]
) -> None:
    told = -1
    while True:
        check()
        place = sum(_valid(other) for other in folder.glob("*.ticket") if other.name < ticket.name)
        if place == 0:
            try:
                lock.acquire(timeout=0)
                return
            except Timeout:
                place = 1  # one that came later drew the lock before this ticket was written
        if place != told:
            on_place(place)
            told = place
        time.sleep(POLL_SECONDS)


def _valid(ticket: Path) -> bool:
    """Whether its owner still lives; the ticket of one that does not is swept away."""
    try:
        started, pid = float(ticket.read_text() or "nan"), int(ticket.stem.split("-")[1])
    except FileNotFoundError:
        return False
    except ValueError:
        return True  # being written at this moment
    if started != started or alive(pid, started):
        return True
    ticket.unlink(missing_ok=True)
    return False


def waiting(folder: Path) -> int:
    """How many runs hold a ticket now, the one that trains included."""
    return sum(_valid(ticket) for ticket in folder.glob("*.ticket")) if folder.is_dir() else 0
