"""The queue of recordings: bounded, nobody's second before anybody's first, and nobody asks for their place."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from tests.fakes.asynchronous import run_apart
from trainer.errors import UserError
from trainer.transcription.fair_queue import FairQueue, QueuedRecording

PATIENCE = 20.0  # seconds, for what takes none


class Stand:
    """Somebody in the queue, until they leave."""

    def __init__(self, queue: FairQueue, visitor: object, most: int = 9) -> None:
        self._stack = ExitStack()
        self.recording: QueuedRecording = self._stack.enter_context(queue.joined(visitor, most))

    @property
    def place(self) -> int:
        return self.recording.place

    def leave(self) -> None:
        self._stack.close()


def places(*stands: Stand) -> list[int]:
    return [stand.place for stand in stands]


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it where sleeping is an error: who waits is woken, and looks at nothing again and again."""

    async def limited() -> None:
        async with asyncio.timeout(PATIENCE):
            await test()

    async def never(*_: object) -> None:
        raise AssertionError("somebody polls")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", never)
        run_apart(limited())


async def turn_of(loop_turns: int = 5) -> None:
    """Let everybody who was woken have a word."""
    for _ in range(loop_turns):
        woken = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(woken.set_result, None)
        await woken


def test_one_at_a_time_in_order() -> None:
    queue = FairQueue("test")
    first, second, third = (Stand(queue, name) for name in "abc")
    assert places(first, second, third) == [0, 1, 2]
    second.leave()
    assert places(first, third) == [0, 1]
    first.leave()
    assert third.place == 0 and queue.waiting == 0


def test_everybody_s_first_comes_before_anybody_s_second() -> None:
    queue = FairQueue("test")
    greedy = [Stand(queue, "greedy") for _ in range(3)]
    other = Stand(queue, "other")
    assert places(*greedy, other) == [0, 2, 3, 1]
    greedy[0].leave()
    late = Stand(queue, "late")
    assert places(other, late, greedy[1], greedy[2]) == [0, 1, 2, 3], "though the second is older than they are"
    other.leave()
    late.leave()
    assert greedy[1].place == 0
    later = Stand(queue, "later")
    assert places(later, greedy[2]) == [1, 2]


def test_who_comes_late_waits_behind_a_second_whose_round_it_is() -> None:
    """Else new names without end would keep a second waiting for ever."""
    queue = FairQueue("test")
    served, patient = [Stand(queue, "x"), Stand(queue, "x")], [Stand(queue, "patient"), Stand(queue, "patient")]
    assert places(*served, *patient) == [0, 2, 1, 3]
    served[0].leave()
    patient[0].leave()
    assert served[1].place == 0, "the second round"
    assert places(patient[1], Stand(queue, "new")) == [1, 2]


def test_a_full_queue_refuses_with_a_sentence_and_takes_the_next_when_one_has_left() -> None:
    queue = FairQueue("test")
    served, *waiting = [Stand(queue, number, 2) for number in range(3)]
    with pytest.raises(UserError, match="2 recordings wait already"):
        Stand(queue, "late", 2)
    assert places(served, *waiting) == [0, 1, 2]
    served.leave()
    late = Stand(queue, "late", 2)
    waiting[0].leave()
    waiting[1].leave()
    assert late.place == 0


def test_a_visitor_has_only_so_many_workers() -> None:
    queue = FairQueue("test", workers=3, each=2)
    greedy = [Stand(queue, "greedy") for _ in range(3)]
    other = Stand(queue, "other")
    assert places(*greedy, other) == [0, 0, 1, 0]
    other.leave()
    assert greedy[2].place == 1, "a worker is free, but not for them"
    greedy[0].leave()
    assert greedy[2].place == 0


def test_who_waits_is_woken_when_their_place_changes_and_told_it() -> None:
    async def test() -> None:
        queue, told = FairQueue("test"), list[int]()
        first, second, third = (Stand(queue, name) for name in "abc")

        async def follow() -> None:
            async for place in third.recording.places():
                told.append(place)

        waits = asyncio.create_task(follow())
        await turn_of()
        assert told == [2]
        second.leave()
        await turn_of()
        assert told == [2, 1]
        first.leave()
        await waits
        assert told == [2, 1] and third.place == 0

    in_loop(test)


def test_tasks_are_done_one_after_the_other() -> None:
    async def test() -> None:
        queue, order, at_once = FairQueue("test"), list[str](), threading.Lock()

        def task(name: str) -> str:
            with at_once:
                assert not order or order[-1].isupper(), "the one before has ended"
                order.extend([name, name.upper()])
            return name

        async def one(name: str) -> str:
            with queue.joined(name, 9) as recording:
                return await queue.run(recording, lambda left: task(name))

        assert await asyncio.gather(*map(one, "abcd")) == list("abcd")
        assert order == ["a", "A", "b", "B", "c", "C", "d", "D"]

    in_loop(test)


def test_who_leaves_while_waiting_makes_way_at_once() -> None:
    async def test() -> None:
        queue, ran = FairQueue("test"), list[str]()
        served = Stand(queue, "a")

        async def one(name: str) -> None:
            with queue.joined(name, 9) as recording:
                await queue.run(recording, lambda left: ran.append(name))

        gone, stays = asyncio.create_task(one("b")), asyncio.create_task(one("c"))
        await turn_of()
        gone.cancel()
        await asyncio.wait([gone])
        assert queue.waiting == 1
        served.leave()
        await stays
        assert ran == ["c"]

    in_loop(test)


def test_who_leaves_while_served_tells_the_worker_and_frees_it() -> None:
    async def test() -> None:
        queue, began, told = FairQueue("test"), threading.Event(), threading.Event()

        def task(left: threading.Event) -> None:
            began.set()
            if left.wait(PATIENCE):
                told.set()

        async def one(name: str, task: Callable[[threading.Event], None]) -> None:
            with queue.joined(name, 9) as recording:
                await queue.run(recording, task)

        gone = asyncio.create_task(one("a", task))
        stays = asyncio.create_task(one("b", lambda left: None))
        await asyncio.to_thread(began.wait, PATIENCE)
        gone.cancel()
        await stays
        assert told.is_set() and gone.cancelled()

    in_loop(test)


def test_a_worker_that_cannot_be_stopped_counts_until_it_has_ended() -> None:
    async def test() -> None:
        queue, began, end = FairQueue("test"), threading.Event(), threading.Event()

        def stubborn(left: threading.Event) -> None:
            began.set()
            end.wait(PATIENCE)

        async def one() -> None:
            with queue.joined("a", 9) as recording:
                await queue.run(recording, stubborn)

        gone = asyncio.create_task(one())
        await turn_of()
        await asyncio.to_thread(began.wait, PATIENCE)
        gone.cancel()
        await asyncio.wait([gone])
        assert gone.cancelled(), "they are let go at once"
        waits = Stand(queue, "b")
        assert waits.place == 1
        end.set()
        async for _ in waits.recording.places():
            pass
        assert waits.place == 0

    in_loop(test)


def test_one_visitor_does_not_fill_the_queue() -> None:
    async def test() -> None:
        queue = FairQueue("test")
        greedy = [Stand(queue, "greedy", 8) for _ in range(5)]
        with pytest.raises(UserError, match="4 of your recordings wait already"):
            Stand(queue, "greedy", 8)
        others = [Stand(queue, visitor, 8) for visitor in "abcd"]
        assert places(*greedy, *others) == [0, 5, 6, 7, 8, 1, 2, 3, 4]
        for stand in (*greedy, *others):
            stand.leave()

    in_loop(test)
