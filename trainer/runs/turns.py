"""One run at a time on a machine: first come, first served, whoever started it.

Every run draws a ticket, a file whose name sorts by time and whose content names the process that waits with it. It is
drawn when Start is pressed, before that process exists, so that the order is that of the presses. A run's turn comes
when all older tickets belong to processes that are gone and it holds the lock, which the system lets go of when a
process dies: there is nothing to clean up after a crash, and no app has to be alive for the line to move.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from trainer.runs.identity import Identity, alive, identity_in, own_identity
from trainer.runs.run import Run

POLL_SECONDS = 0.5
_SUFFIX = ".ticket"


@dataclass(frozen=True)
class Ticket:
    """A run's place in line, and the process that waits with it."""

    file: Path
    run: Run
    holder: Identity

    @property
    def valid(self) -> bool:
        """Whether that process still lives."""
        return alive(self.holder["pid"], self.holder["pid_started"])


def door(turns_dir: Path) -> FileLock:
    """Held while somebody looks at the line and then joins it, so that two cannot both take the last place.

    A process that dies lets go of it.
    """
    turns_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileLock(turns_dir / "door")


def draw(turns_dir: Path, run: Run, holder: Identity) -> Path:
    """A ticket for this run, behind all others; where it has one already, that one with a new holder.

    To be called while holding the door.
    """
    key = hashlib.sha256(str(run.folder.resolve()).encode()).hexdigest()[:16]
    file = next(turns_dir.glob(f"*-{key}{_SUFFIX}"), turns_dir / f"{time.time_ns():020d}-{key}{_SUFFIX}")
    hand_over(file, run, holder)
    return file


def hand_over(file: Path, run: Run, holder: Identity) -> None:
    """Name the process that waits with a ticket."""
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps({"run": str(run.folder.resolve()), **holder}), encoding="utf-8")
    draft.replace(file)


def line(turns_dir: Path) -> list[Ticket]:
    """Who trains (the first) and who waits, in order. Tickets of processes that are gone are swept away."""
    tickets = []
    for file in sorted(turns_dir.glob(f"*{_SUFFIX}")):
        ticket = _read(file)
        if ticket and ticket.valid:
            tickets.append(ticket)
        else:
            file.unlink(missing_ok=True)
    return tickets


def _read(file: Path) -> Ticket | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # gone since it was listed; a ticket is never half written
        return None
    holder = identity_in(content)
    return Ticket(file, Run(Path(content["run"])), holder) if holder and isinstance(content.get("run"), str) else None


def waiting(turns_dir: Path) -> int:
    """How many runs hold a ticket now, the one that trains included."""
    return len(line(turns_dir))


@contextmanager
def turn(turns_dir: Path, run: Run, on_place: Callable[[int], object], check: Callable[[], None]) -> Iterator[None]:
    """Wait for a run's turn and hold it, with the ticket that was drawn for it or, without one, a new one.

    `on_place` hears the place in line whenever it changes (1: next). `check` is called while waiting and may
    raise to give up.
    """
    with door(turns_dir):
        ticket = draw(turns_dir, run, own_identity())
    lock = FileLock(turns_dir / "lock")
    try:
        _wait(turns_dir, ticket, lock, on_place, check)
        yield
    finally:
        if lock.is_locked:
            lock.release()
        ticket.unlink(missing_ok=True)


def _wait(
    turns_dir: Path, ticket: Path, lock: FileLock, on_place: Callable[[int], object], check: Callable[[], None]
) -> None:
    told = -1
    while True:
        check()
        place = sum(other.file.name < ticket.name for other in line(turns_dir))
        if place == 0:
            try:
                lock.acquire(timeout=0)
                return
            except Timeout:
                place = 1  # the one before has given its ticket back, and lets go of the lock in a moment
        if place != told:
            on_place(place)
            told = place
        time.sleep(POLL_SECONDS)
