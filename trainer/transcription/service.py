"""The recordings of many visitors: each is decoded, its model made ready, and then written down, one at a time and long
ones in turns.

Each step has a queue of its own, so that nobody waits for another's slowness: a file that is hard to decode or a model
that is slow to come holds up no recording whose model is here.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.transcription.fair_queue import FairQueue, QueuedRecording
from trainer.transcription.model_list import fetched_before, folder_here, folder_of_choice, name_of, remember_choice
from trainer.transcription.transcribe import USUAL, Listening, Transcript, load_recording, warm_up
from trainer.transcription.turns import InTurns, Progress

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("voicetune.transcription")
ResultT = TypeVar("ResultT")
DECODERS = 4  # more than cores: a short recording is not held up by four long ones
DECODE_SECONDS = 2.0  # of a processor, of a file that no sound comes of; with sound it may take longer
CHECKS = 4  # of models that are here, for which the Hub is asked whether there is a newer one
DOWNLOADS, DOWNLOADS_OF_VISITOR = 8, 2  # threads that mostly wait for the network
MOST_WARMING = 8  # choices waiting to be loaded ahead; who comes later waits a little longer for the first words


@dataclass(frozen=True)
class Waiting:
    """What a recording waits for, and how many come before it: 0 while its own model is fetched, or it is its turn."""

    what: Literal["model", "turn"]
    place: int


Step = Waiting | Progress | Transcript


class SoundError(UserError):
    """It is the sound in which there is nothing to hear, whichever model listens."""


class TranscriptionService:
    """Used from one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoding = FairQueue("decode", DECODERS)
        self._checking = FairQueue("check-model", CHECKS)
        self._fetching = FairQueue("fetch-model", DOWNLOADS, DOWNLOADS_OF_VISITOR)
        self._line = FairQueue("transcribe")  # one at a time uses all cores already
        self._warming = ThreadPoolExecutor(1, thread_name_prefix="warm-up")
        self._to_warm: set[tuple[str, str]] = set()

    async def transcribe(
        self, owner: str, choice: str, path: str, listening: Listening = USUAL
    ) -> AsyncGenerator[Step, None]:
        """What it waits for, whenever that changes, how far it is where it is long, and the transcript.

        Raises UserError, and SoundError where no other model would hear anything either. Who closes it or is cancelled
        makes way: the place is free at once, a worker as soon as it notices.
        """
        samples = await self._do(self._decoding, owner, lambda left: self._load(path))
        folder = folder_here(choice, self._settings, owner)
        if folder is None and fetched_before(choice, self._settings):
            folder = await self._do(self._checking, owner, lambda left: self._fetch(choice, owner, left))
        elif folder is None:
            with self._fetching.joined(owner, self._most) as fetched:
                async for place in fetched.places():
                    yield Waiting("model", place)
                yield Waiting("model", 0)
                folder = await self._fetching.run(fetched, lambda left: self._fetch(choice, owner, left))
        name = name_of(choice, self._settings, owner)
        hearing = InTurns(samples, folder, self._settings, name, listening)
        over = False
        while not over:
            most = sys.maxsize if hearing.begun else self._most  # nobody is sent away halfway
            with self._line.joined(owner, most) as recording:
                async for place in recording.places():
                    yield Waiting("turn", place)
                if not hearing.begun:
                    yield Waiting("turn", 0)
                async with aclosing(self._turn(recording, hearing)) as steps:
                    async for step in steps:
                        if isinstance(step, bool):
                            over = step
                        else:
                            yield step
        yield hearing.transcript()
        remember_choice(choice, self._settings, owner)

    async def _turn(self, recording: QueuedRecording, hearing: InTurns) -> AsyncGenerator[Progress | bool, None]:
        """How far it is, after each piece; at last whether all of it is heard."""
        told: asyncio.Queue[Progress | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(progress: Progress) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(told.put_nowait, progress)

        def hear(left: threading.Event) -> bool:
            return hearing.turn(left, lambda: self._line.waiting > 0, tell)

        work = asyncio.create_task(self._line.run(recording, hear))
        work.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (progress := await told.get()) is not None:
                yield progress
            yield await work
        finally:
            work.cancel()

    def warm_up(self, owner: str, choice: str) -> None:
        """Load what a transcription needs while the person still talks; nothing is downloaded."""
        key = (owner, choice)
        if key not in self._to_warm and len(self._to_warm) < MOST_WARMING:
            self._to_warm.add(key)
            self._warming.submit(self._warm_up, owner, choice)

    @property
    def line(self) -> FairQueue:
        """Where recordings wait to be heard."""
        return self._line

    @property
    def _most(self) -> int:
        return self._settings.limits.waiting_recordings

    async def _do(self, queue: FairQueue, owner: str, task: Callable[[threading.Event], ResultT]) -> ResultT:
        with queue.joined(owner, self._most) as recording:
            return await queue.run(recording, task)

    def _load(self, path: str) -> "np.ndarray":
        try:
            return load_recording(path, self._settings, DECODE_SECONDS)
        except UserError as error:
            raise SoundError(error.what, error.todo) from error

    def _fetch(self, choice: str, owner: str, left: threading.Event) -> Path:
        def go_on(done: int, total: int) -> None:
            if left.is_set():
                raise CancelledError

        return folder_of_choice(choice, self._settings, owner, go_on)

    def _warm_up(self, owner: str, choice: str) -> None:
        try:
            warm_up(folder_here(choice, self._settings, owner) if choice.strip() else None, self._settings)
        except UserError:
            log.info("A model was not warmed up: there is none")  # it will be said when it is used
        except Exception:  # it will show again, and be told, when the model is used
            log.exception("Warming up failed")
        finally:
            self._to_warm.discard((owner, choice))
