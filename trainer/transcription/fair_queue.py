"""A queue in front of a few workers, in which recordings wait for what takes time: to be written down, to be decoded,
for a model to be downloaded.

Fair: everybody's first comes before anybody's second. Who waits is woken when their place changes, and asks for
nothing meanwhile. A worker is a thread; it counts as busy until its task has really ended, also where the visitor who
asked for it has left. Belongs to one event loop, and is used from that loop alone.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from trainer.errors import UserError

ResultT = TypeVar("ResultT")


@dataclass(eq=False)
class QueuedRecording:
    """One recording in the queue. `round`: how many of its visitor's come before it, counted from what is served."""

    visitor: Hashable
    round: int
    place: int = -1  # 0: it is this one's turn, until it leaves; 1: the next
    left: threading.Event = field(default_factory=threading.Event)  # for its task to look at
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    task: "Future[Any] | None" = None

    async def places(self) -> AsyncIterator[int]:
        """How many come before it: now, and whenever that changes. Ends when it is its turn."""
        while self.place:
            self.moved.clear()
            yield self.place
            await self.moved.wait()


class FairQueue:
    """Who waits for one of `workers`, of which one visitor has `each` at most."""

    def __init__(self, name: str, workers: int = 1, each: int = 1) -> None:
        self._workers, self._each = workers, each
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._served: list[QueuedRecording] = []
        self._waiting: list[QueuedRecording] = []
        self._round = 0  # of those served last; who comes now takes part from there on

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextlib.contextmanager
    def joined(self, visitor: Hashable, most: int) -> Iterator[QueuedRecording]:
        """Stand in the queue while inside. Raises UserError where `most` wait already, or half as many of the same
        visitor.

        Whoever leaves, by an error or a cancellation too, makes way at once; their worker is free once the task, which
        is told by `left`, has ended.
        """
        recording = self._join(visitor, most)
        try:
            yield recording
        finally:
            self._leave(recording)

    async def run(self, recording: QueuedRecording, task: Callable[[threading.Event], ResultT]) -> ResultT:
        """Wait for one's turn, then do the task in a worker. It is given `left`, and may end early once that is set."""
        async for _ in recording.places():
            pass
        # The context goes along: on ZeroGPU it holds whose seconds are used.
        work = self._pool.submit(contextvars.copy_context().run, task, recording.left)
        recording.task = work
        return await asyncio.wrap_future(work)

    def _join(self, visitor: Hashable, most: int) -> QueuedRecording:
        mine = [other.round for other in (*self._served, *self._waiting) if other.visitor == visitor]
        recording = QueuedRecording(visitor, max(self._round, max(mine) + 1 if mine else 0))
        if (waiting := sum(other.visitor == visitor for other in self._waiting)) >= max(1, most // 2):
            raise UserError(f"{waiting} of your recordings wait already, the most that may.", "Wait until one is done.")
        if len(self._waiting) >= most and not self._may_be_served(recording):
            raise UserError(
                f"Many people are talking right now: {len(self._waiting)} recordings wait already.",
                "Try again in a minute.",
            )
        self._waiting.append(recording)
        self._advance()
        return recording

    def _leave(self, recording: QueuedRecording) -> None:
        recording.left.set()
        if recording in self._waiting:
            self._waiting.remove(recording)
            self._advance()
        elif recording.task is None or recording.task.cancel() or recording.task.done():
            self._free(recording)
        else:  # its thread still works
            loop = asyncio.get_running_loop()

            def ended(_: "Future[Any]") -> None:
                with contextlib.suppress(RuntimeError):  # the loop has ended, and the queue with it
                    loop.call_soon_threadsafe(self._free, recording)

            recording.task.add_done_callback(ended)

    def _free(self, recording: QueuedRecording) -> None:
        self._served.remove(recording)
        self._advance()

    def _advance(self) -> None:
        """Serve whom there is a worker for, and wake everybody whose place is another now."""
        for recording in self._in_order():
            if self._may_be_served(recording):
                self._waiting.remove(recording)
                self._served.append(recording)
                self._round = max(self._round, recording.round)
                self._move(recording, 0)
        for place, recording in enumerate(self._in_order(), 1):
            self._move(recording, place)

    def _in_order(self) -> list[QueuedRecording]:
        return sorted(self._waiting, key=lambda recording: recording.round)  # stable: within a round by arrival

    def _may_be_served(self, recording: QueuedRecording) -> bool:
        mine = sum(other.visitor == recording.visitor for other in self._served)
        return len(self._served) < self._workers and mine < self._each

    def _move(self, recording: QueuedRecording, place: int) -> None:
        if recording.place != place:
            recording.place = place
            recording.moved.set()
