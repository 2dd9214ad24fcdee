"""What is being written down for each open page: its newest recording alone, until that page stops it or is gone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from trainer.ui.visitors import OpenPage

# Gradio notices that a visitor has left only when there is something to send to them.
SECONDS_BETWEEN_SIGNS = 2.0
StepT = TypeVar("StepT")


@dataclass(frozen=True)
class Failed:
    """It ended with this error."""

    error: Exception


@dataclass(frozen=True)
class Stopped:
    """The page has stopped it."""


@dataclass(eq=False)
class _Work(Generic[StepT]):
    """One recording's steps as they come; None at their end."""

    steps: "asyncio.Queue[StepT | Failed | Stopped | None]" = field(default_factory=asyncio.Queue)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    task: "asyncio.Task[None] | None" = None

    def begin(self, steps: AsyncGenerator[StepT, None]) -> None:
        """Take them, until `end`."""
        self.task = asyncio.create_task(self.pour(steps))
        self.task.add_done_callback(lambda _: self.steps.put_nowait(None))

    def end(self) -> None:
        """Take no more of them."""
        if self.task is not None:
            self.task.cancel()

    def stop(self) -> None:
        """The same, and say so."""
        self.steps.put_nowait(Stopped())
        self.end()

    async def pour(self, steps: AsyncGenerator[StepT, None]) -> None:
        """Take them all. An error is the last one."""
        try:
            async with aclosing(steps):
                async for step in steps:
                    self.steps.put_nowait(step)
        except Exception as error:
            self.steps.put_nowait(Failed(error))


class Newest:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._works: dict[OpenPage, _Work] = {}

    def busy(self, page: OpenPage) -> bool:
        """Whether something is being written down for a page."""
        return page in self._works

    def stop(self, page: OpenPage) -> None:
        """Give up what is being written down for a page, where anything is; it is told so. From any thread."""
        if (work := self._works.get(page)) is not None:
            work.loop.call_soon_threadsafe(work.stop)

    async def follow(
        self, page: OpenPage, steps: AsyncGenerator[StepT, None]
    ) -> AsyncGenerator[StepT | Failed | Stopped | None, None]:
        """The steps as they come, and None now and then, until the page has something newer or is gone."""
        work: _Work[StepT] = _Work()
        work.begin(steps)
        if (earlier := self._works.get(page)) is not None:
            earlier.end()
        self._works[page] = work
        try:
            while True:
                try:
                    step = await asyncio.wait_for(work.steps.get(), SECONDS_BETWEEN_SIGNS)
                except TimeoutError:
                    yield None
                    continue
                if self._works.get(page) is not work:
                    yield None  # Gradio sends what was yielded last once more
                    return
                if step is None:
                    return
                yield step
        finally:
            work.end()
            if self._works.get(page) is work:
                del self._works[page]
