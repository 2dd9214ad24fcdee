"""The queue in which trainers wait for the one machine: a ticket a run, in order, and a lock for the one that trains.

Files and file locks, since trainers are processes of several apps and shells; one that dies lets go of both.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cachetools import TTLCache, cached
from filelock import FileLock, Timeout

from trainer.errors import UserError
from trainer.runs.follower import view_of
from trainer.runs.process import Identity, alive, identity_in, own_identity
from trainer.runs.run import Run
from trainer.settings import Settings
from trainer.training.estimate import estimate_seconds

POLL_SECONDS = 0.5
SECONDS_A_LOOK_STANDS = 1.0  # all watchers of all pages ask for the same
SECONDS_AN_ESTIMATE_STANDS = 5.0
_SUFFIX = ".ticket"


@dataclass(frozen=True)
class Ticket:
    """A run's place in the queue, and the process that waits with it."""

    file: Path
    run: Run
    holder: Identity

    @property
    def valid(self) -> bool:
        """Whether that process still lives."""
        return alive(self.holder["pid"], self.holder["pid_started"])


def queue_lock(queue_dir: Path) -> FileLock:
    """Held while somebody looks at the queue and then joins it, so that two cannot both take the last place."""
    queue_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileLock(queue_dir / "queue.lock")


def draw_ticket(queue_dir: Path, run: Run, holder: Identity) -> Path:
    """A ticket for this run, behind all others; where it has one already, that one with a new holder.

    To be called while holding the queue lock.
    """
    key = hashlib.sha256(str(run.folder.resolve()).encode()).hexdigest()[:16]
    file = next(queue_dir.glob(f"*-{key}{_SUFFIX}"), queue_dir / f"{time.time_ns():020d}-{key}{_SUFFIX}")
    assign_ticket(file, run, holder)
    return file


def assign_ticket(file: Path, run: Run, holder: Identity) -> None:
    """Name the process that waits with a ticket."""
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps({"run": str(run.folder.resolve()), **holder}), encoding="utf-8")
    draft.replace(file)


def list_tickets(queue_dir: Path) -> list[Ticket]:
    """Who trains (the first) and who waits, in order. Tickets of processes that are gone are swept away."""
    tickets = []
    for file in sorted(queue_dir.glob(f"*{_SUFFIX}")):
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


def waiting(queue_dir: Path) -> int:
    """How many runs hold a ticket now, the one that trains included."""
    return len(list_tickets(queue_dir))


@contextmanager
def hold_turn(
    queue_dir: Path, run: Run, on_place: Callable[[int], object], check: Callable[[], None]
) -> Iterator[None]:
    """Wait for a run's turn and hold it, with the ticket that was drawn for it or, without one, a new one.

    `on_place` hears the place in the queue whenever it changes (1: next). `check` is called while waiting and may
    raise to give up.
    """
    with queue_lock(queue_dir):
        ticket = draw_ticket(queue_dir, run, own_identity())
    lock = FileLock(queue_dir / "turn.lock")
    try:
        _wait(queue_dir, ticket, lock, on_place, check)
        yield
    finally:
        if lock.is_locked:
            lock.release()
        ticket.unlink(missing_ok=True)


def _wait(
    queue_dir: Path, ticket: Path, lock: FileLock, on_place: Callable[[int], object], check: Callable[[], None]
) -> None:
    told = -1
    while True:
        check()
        place = sum(other.file.name < ticket.name for other in list_tickets(queue_dir))
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


def recent_tickets(queue_dir: Path) -> tuple[Ticket, ...]:
    """The queue, at most SECONDS_A_LOOK_STANDS old; never older than the last who joined or left it by themselves."""
    try:
        changed = queue_dir.stat().st_mtime_ns
    except FileNotFoundError:
        return ()
    return _tickets_since(queue_dir, changed)


@cached(TTLCache(maxsize=4, ttl=SECONDS_A_LOOK_STANDS), lock=threading.Lock())
def _tickets_since(queue_dir: Path, changed: int) -> tuple[Ticket, ...]:
    return tuple(list_tickets(queue_dir))


@cached(TTLCache(maxsize=64, ttl=SECONDS_AN_ESTIMATE_STANDS), lock=threading.Lock())
def seconds_until_turn(settings: Settings, run: Run) -> float:
    """What is left of all that come before this run, whosever they are."""
    total = 0.0
    for ticket in recent_tickets(settings.queue_dir):
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
