"""Who talks live: the open microphones of all visitors, heard in the line in which recordings wait, too.

Each is heard again whenever a hearing is done and something came meanwhile, so that a slow machine hears less often and
not later and later. Whoever cannot be kept up with is told so, and makes way: the finished recording is written down
as ever. Everything that comes is bounded: see the constants. Used from one event loop.
"""

import asyncio
import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import soxr

from trainer.errors import UserError
from trainer.runs.queue import recent_tickets
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE
from trainer.transcription import zerogpu
from trainer.transcription.fair_queue import FairQueue
from trainer.transcription.live import Ear
from trainer.transcription.model_list import fetched_before, folder_here, folder_of_choice
from trainer.transcription.transcribe import USUAL, Listening, opened_for

log = logging.getLogger("voicetune.live")
ResultT = TypeVar("ResultT")
MOST_STREAMS = 4  # of all visitors; of one visitor, one; of those without cookies, one a page
RATES = (8_000, 96_000)  # that browsers record at
MOST_CHUNK_SECONDS = 2.0
BURST_SECONDS = 25.0  # by which sound may come ahead of the clock: what was said before the first chunk could be sent
MOST_UNHEARD_SECONDS = 30.0  # while the model wakes up, or others are in line
SECONDS_UNTIL_GONE = 10.0  # without sound: the page is gone, or its line is
ANSWER_SECONDS = 1.0  # to wait for words, before what is known is sent
# Words are to come within about a second. A hearing that takes longer than this, three times in a row, is no use live.
SLOWEST_SECONDS = 2.5
MEASURED_HEARINGS = 3
State = Literal["waking", "live", "late", "over"]

AT_THE_END = "The words come once you stop."
LOST = UserError("The connection was lost for a moment.", AT_THE_END)


@dataclass(frozen=True)
class Chunk:
    """Sound from a microphone: 16-bit mono `samples` (n,) at `rate`, the `number`th of its stream from 0 on."""

    stream: str
    number: int
    rate: int
    samples: np.ndarray


@dataclass(frozen=True)
class Caption:
    """What is heard so far. "over": nothing more comes of this stream, and `error` says why."""

    settled: str = ""
    unsettled: str = ""
    state: State = "waking"
    error: Exception | None = None


@dataclass(eq=False)
class _Stream:
    """One open microphone. `unheard` is filled by the loop and emptied by a worker."""

    name: str
    owner: str
    rate: int
    began: float = field(default_factory=time.monotonic)
    came: float = 0.0  # seconds of sound
    following: int = 0  # the number of the chunk that comes next
    heard: int = 0  # how many chunks are
    unheard: "deque[np.ndarray]" = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    since: float | None = None  # when the hearing that is under way was asked for
    caption: Caption = Caption()
    work: "asyncio.Task[None] | None" = None

    def show(self, caption: Caption) -> None:
        """Let everybody who waits see it."""
        self.caption = caption
        self.changed.set()


class LiveStreams:
    """`line` is where recordings wait to be written down, at most `settings.limits.waiting_recordings`."""

    def __init__(self, settings: Settings, line: FairQueue, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._line, self._clock = settings, line, clock
        self._streams: dict[Hashable, _Stream] = {}

    @property
    def open(self) -> int:
        """How many microphones are."""
        return len(self._streams)

    async def take(
        self,
        owner: str,
        page: Hashable,
        chunk: Chunk,
        choice: str,
        listening: Listening = USUAL,
        *,
        shared: bool = False,
    ) -> Caption:
        """Hear a chunk of an open page's microphone; its first one opens the stream, in place of one before it.

        `shared`: several people have this owner's name, so that one before it is only the same page's.
        Answers once the chunk is heard, or after `ANSWER_SECONDS`. Raises nothing: what is wrong ends the stream.
        """
        try:
            if chunk.number == 0:
                self._make_way(owner, page, shared)
            stream = self._stream_for(owner, page, chunk, choice, listening)
            self._add(stream, chunk)
        except UserError as error:
            self.close(page)
            return Caption(state="over", error=error)
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while stream.heard <= chunk.number and stream.caption.state != "over":
                    stream.changed.clear()
                    await stream.changed.wait()
        return self._seen(stream)

    def close(self, page: Hashable) -> None:
        """The page's microphone is shut, or nobody listens any more. Its place is free once a worker has noticed."""
        stream = self._streams.pop(page, None)
        if stream and stream.work:
            stream.work.cancel()

    def _make_way(self, owner: str, page: Hashable, shared: bool) -> None:
        for other, stream in list(self._streams.items()):
            if other == page or (stream.owner == owner and not shared):
                self.close(other)

    def _stream_for(self, owner: str, page: Hashable, chunk: Chunk, choice: str, listening: Listening) -> _Stream:
        if chunk.number == 0:
            self._open(owner, page, chunk, choice, listening)
        stream = self._streams.get(page)
        if stream is None or stream.name != chunk.stream or stream.following != chunk.number:
            raise LOST
        return stream

    def _open(self, owner: str, page: Hashable, chunk: Chunk, choice: str, listening: Listening) -> None:
        if len(self._streams) >= MOST_STREAMS:
            raise UserError(f"{len(self._streams)} people are talking live just now, as many as can.", AT_THE_END)
        folder = folder_here(choice, self._settings, owner)
        if folder is None and not fetched_before(choice, self._settings):
            raise UserError("This model has to be fetched first.", AT_THE_END)
        stream = self._streams[page] = _Stream(chunk.stream, owner, chunk.rate)
        stream.began = self._clock()
        stream.work = asyncio.create_task(self._follow(page, stream, folder or choice, listening))

    def _add(self, stream: _Stream, chunk: Chunk) -> None:
        seconds = len(chunk.samples) / chunk.rate
        passed = self._clock() - stream.began
        if chunk.rate != stream.rate or seconds > MOST_CHUNK_SECONDS or stream.came + seconds > passed + BURST_SECONDS:
            raise UserError("More sound came than anybody can speak.", AT_THE_END)
        if stream.came + seconds > self._settings.max_audio_seconds:
            raise UserError("That is as long as a recording may be.", "Stop, and begin a new one.")
        if sum(map(len, stream.unheard)) / stream.rate > MOST_UNHEARD_SECONDS:
            raise self._slow()
        stream.came += seconds
        stream.following += 1
        stream.unheard.append(chunk.samples)
        stream.more.set()

    def _seen(self, stream: _Stream) -> Caption:
        caption = stream.caption
        late = stream.since is not None and self._clock() - stream.since > SLOWEST_SECONDS
        if caption.state == "live" and late:
            return Caption(caption.settled, caption.unsettled, "late")
        return caption

    async def _follow(self, page: Hashable, stream: _Stream, model: Path | str, listening: Listening) -> None:
        """Hear what comes, until the page is gone or cannot be kept up with. `model`: its folder, or which it is."""
        try:
            folder = await asyncio.to_thread(self._folder, model, stream.owner)
            ear = await self._turn(stream, lambda: Ear(*opened_for(folder, self._settings, listening)))
            resampler = soxr.ResampleStream(stream.rate, SAMPLE_RATE, 1, "float32", "HQ")
            took: deque[float] = deque(maxlen=MEASURED_HEARINGS)
            while await self._more_of(stream):
                stream.since = self._clock()
                heard, worked = await self._turn(stream, lambda: _hear(ear, stream, resampler))
                took.append(self._clock() - stream.since)
                stream.since, stream.heard = None, stream.heard + heard
                if len(took) == MEASURED_HEARINGS and statistics.median(took) > SLOWEST_SECONDS:
                    raise self._slow()
                stream.show(Caption(ear.settled, ear.unsettled, "live"))
                # As long a rest as the work: others, and a training, get half of the machine at least.
                await asyncio.sleep(worked)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if not isinstance(error, UserError):
                log.exception("A live stream broke off")
            stream.show(Caption(stream.caption.settled, stream.caption.unsettled, "over", error))
        if self._streams.get(page) is stream:
            del self._streams[page]

    async def _more_of(self, stream: _Stream) -> bool:
        """Whether more sound comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_UNTIL_GONE):
                await stream.more.wait()
                stream.more.clear()
                return True
        stream.show(Caption(stream.caption.settled, stream.caption.unsettled, "over", LOST))
        return False

    async def _turn(self, stream: _Stream, task: Callable[[], ResultT]) -> ResultT:
        def unless_left(left: threading.Event) -> ResultT:
            return task()

        with self._line.joined(stream.owner, self._settings.limits.waiting_recordings) as turn:
            return await self._line.run(turn, unless_left)

    def _folder(self, model: Path | str, owner: str) -> Path:
        folder = model if isinstance(model, Path) else folder_of_choice(model, self._settings, owner)
        if zerogpu.helps(folder):
            raise UserError("This model listens on a GPU that is lent for whole recordings.", AT_THE_END)
        return folder

    def _slow(self) -> UserError:
        """Why this machine cannot keep up, as far as it is known."""
        if self._line.waiting or len(self._streams) > 1:
            return UserError("Others are talking too, and this computer cannot keep up with everybody.", AT_THE_END)
        if recent_tickets(self._settings.queue_dir):
            return UserError("A model is being trained here, and this computer cannot keep up besides.", AT_THE_END)
        return UserError("This computer is too slow to write along with this model.", AT_THE_END)


def _hear(ear: Ear, stream: _Stream, resampler: soxr.ResampleStream) -> tuple[int, float]:
    """Hear all that has come: how many chunks that were, and the seconds it took."""
    began = time.perf_counter()
    chunks = []
    while stream.unheard:
        chunks.append(stream.unheard.popleft())
    sound = np.concatenate(chunks).astype(np.float32) / 32768.0
    ear.hear(sound if stream.rate == SAMPLE_RATE else resampler.resample_chunk(sound))
    return len(chunks), time.perf_counter() - began
