"""Where a long recording can be cut: at pauses, found by how loud it is; where there is none, with an overlap.

A recording comes as one array or as blocks of any sizes, of which no more than some tens of seconds are held at once;
how it is cut depends neither on the blocks nor on what comes more than a second after the longest piece that could be
cut off, so that one which is still being spoken is cut as it will be once it has ended. Every sample is in a piece,
apart from the middles of pauses.
"""

import copy
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.speech.audio import SAMPLE_RATE

PAUSE_SECONDS = 0.3  # between phrases; the closures of stops within words take up to 0.12 s
SHORT_PAUSE_SECONDS = 0.15  # where there is no longer one
KEPT_SECONDS = 0.3  # of a pause, on either side of what is said; the rest of it is heard by nobody
LONGEST_OVERLAP_SECONDS = 4.0  # some seconds around every frame, as much as an encoder uses
CONTEXT_SECONDS = 20.0  # of sound before a piece, by which is told what is quiet; at the start, of what comes after
AHEAD_SECONDS = 1.0  # of sound behind the longest piece, so that a pause at its end is seen as long as it is
LEAST_RANGE = 12.0  # dB between the quiet and the loud; with less nothing is told apart, and nothing is a pause
THRESHOLD_SHARE = 0.3  # of the way from the noise to the speech, in dB
MOST_ABOVE_NOISE = 15.0  # dB: however loud the speech, quieter words than that beside it stay words
_FRAME = SAMPLE_RATE // 100  # samples by which loudness is measured
_SMOOTHED = 3  # such frames
_MEASURED = 6_000  # frames at once: an hour that lies on disk is not to be in memory
_RANGE = (5, 95)  # percentiles of loudness: what is quiet, and what is loud
_CONTEXT = int(CONTEXT_SECONDS * SAMPLE_RATE) // _FRAME * _FRAME
_FLOOR = 1e-5  # -100 dBFS: digital silence is not infinitely quieter than a muted microphone


@dataclass(frozen=True, eq=False)
class Piece:
    """`samples` (n,) from sample `start` of the recording on.

    The first `before` of them end the piece before, too; the last `after` begin the next one. 0 at pauses and edges.
    """

    start: int
    samples: np.ndarray
    before: int = 0
    after: int = 0

    @property
    def end(self) -> int:
        """The sample after its last one."""
        return self.start + len(self.samples)


def overlap_for(most: int, stride: int) -> int:
    """How many samples pieces of at most `most` share where there is no pause: an even number of strides."""
    return min(int(LONGEST_OVERLAP_SECONDS * SAMPLE_RATE), most // 2) // (2 * stride) * 2 * stride


def cut(sound: np.ndarray | Iterable[np.ndarray], most: int, stride: int = 1) -> Iterator[Piece]:
    """Pieces of at most `most` samples, as long as pauses allow, in order.

    `sound` is mono float32 at 16 kHz: an array (n,), or blocks of it. Pieces that overlap start whole strides apart.
    A recording that is no longer than `most` is one piece; one in which nothing is said throughout is none.
    """
    cutter = Cutter(most, stride)
    for block in [sound] if isinstance(sound, np.ndarray) else sound:
        yield from cutter.add(block)
    yield from cutter.end()


class Cutter:
    """Cuts a recording while it comes. Arguments as of `cut`."""

    def __init__(self, most: int, stride: int = 1) -> None:
        self._most, self._stride = most, stride
        self._tape = _Tape()
        self._position, self._overlap = 0, 0  # where the next piece starts, and how much of it is in the last one, too
        self._ended = False

    @property
    def start(self) -> int:
        """The first sample that is in no piece yet."""
        return self._position + self._overlap

    def add(self, block: np.ndarray) -> Iterator[Piece]:
        """The pieces of which is known, with these samples (n,), where they end."""
        self._tape.add(block)
        return self._known()

    def end(self) -> Iterator[Piece]:
        """The pieces that are left, now that nothing more comes."""
        self._ended = True
        return self._known()

    @property
    def held(self) -> int:
        """How many samples are in memory."""
        return self._tape.held

    def rest(self) -> np.ndarray:
        """The samples (n,) that are in no piece yet."""
        return self._tape.between(self.start, self._tape.end)

    def pending(self) -> list[Piece]:
        """The pieces that `end` would give now. They may turn out others once more has come."""
        twin = copy.copy(self)
        twin._tape = copy.copy(self._tape)  # whose arrays are replaced and never written to
        return list(twin.end())

    def _known(self) -> Iterator[Piece]:
        whole = self._position == 0 and self._ended and self._tape.end <= self._most
        if whole and self._tape.end:
            yield Piece(0, self._tape.between(0, self._tape.end))
        if whole:
            self._position = self._tape.end
        while (until := self._window()) is not None:
            if piece := self._step(until):
                yield piece

    def _window(self) -> int | None:
        """Up to where the next piece is decided by what has come; None where more must come first, or all is cut."""
        end = self._tape.end
        if self._ended and self._position + self._overlap >= end:
            return None
        until = self._position + self._most + int(AHEAD_SECONDS * SAMPLE_RATE)
        for least in (until, max(until, _CONTEXT)):
            if not self._ended and end < least + _FRAME:
                return None
            if self._tape.tells_apart(self._position - _CONTEXT, least):
                return least
        return max(until, _CONTEXT)  # until so much has come, a voice or the quiet may be still to come

    def _step(self, until: int) -> Piece | None:
        """The next piece; None where a pause was passed over instead."""
        tape, position, overlap = self._tape, self._position, self._overlap
        end = tape.end if self._ended else sys.maxsize
        tape.forget(position - _CONTEXT)
        quiet = tape.quiet_runs(position - _CONTEXT, until, self._ended)
        if not overlap and (later := _skipped(position, quiet, end)) > position:
            self._position = later
            return None
        ends, after = _next_cut(position, overlap, self._most, quiet, end)
        if ends is None:  # no pause
            following = overlap_for(self._most, self._stride)
            ends = position + self._most // self._stride * self._stride
            self._position, self._overlap = ends - following, following
            return Piece(position, tape.between(position, ends), overlap, following)
        self._position, self._overlap = after, 0
        return Piece(position, tape.between(position, ends), overlap)


Runs = Sequence[tuple[int, int]]  # [first sample, the one after the last)


def _skipped(position: int, quiet: Runs, end: int) -> int:
    """Where the first thing is said from here on, and a little before it."""
    return next(
        (
            end if last >= end else max(position, last - int(KEPT_SECONDS * SAMPLE_RATE))
            for first, last in quiet
            if first <= position < last
        ),
        position,
    )


def _next_cut(position: int, overlap: int, most: int, quiet: Runs, end: int) -> tuple[int | None, int]:
    """Where the piece from `position` on ends and the next begins; None where no pause is within `most` samples."""
    kept = int(KEPT_SECONDS * SAMPLE_RATE)
    limit = position + most
    if end <= limit:
        last = next((first for first, last in quiet if last >= end and first > position + overlap // 2), end)
        return min(end, last + kept), end
    for shortest in (PAUSE_SECONDS, SHORT_PAUSE_SECONDS):
        least = int(shortest * SAMPLE_RATE)
        # Some of what is said must be new, and half of the pause, or enough of it, has to fit.
        usable = [
            (first, last)
            for first, last in quiet
            if last - first >= least
            and first > position + overlap // 2
            and first + min(kept, (last - first) // 2) <= limit
        ]
        if usable:
            first, last = usable[-1]
            half = min(kept, (last - first) // 2)
            return first + half, end if last >= end else last - half
    return None, position


class _Tape:
    """Blocks that come one after the other, of which the last ones are held."""

    def __init__(self) -> None:
        self._start = 0  # the first sample held; a multiple of _FRAME
        self._held = np.zeros(0, np.float32)
        self._levels = np.zeros(0)  # dB of each whole frame held
        self._noise = -np.inf  # dB; of the last stretch where it could be told from speech

    @property
    def end(self) -> int:
        """The sample after the last one that has come."""
        return self._start + len(self._held)

    @property
    def held(self) -> int:
        """How many samples are in memory."""
        return len(self._held)

    def add(self, block: np.ndarray) -> None:
        """The next samples (n,)."""
        block = np.asarray(block, np.float32)
        self._held = np.concatenate([self._held, block]) if len(self._held) else block
        self._measure()

    def between(self, start: int, end: int) -> np.ndarray:
        """Those samples, which are held."""
        return self._held[start - self._start : end - self._start]

    def forget(self, before: int) -> None:
        """Hold no sample before this one any more."""
        frames = max(0, before - self._start) // _FRAME
        if frames:
            self._held = self._held[frames * _FRAME :]
            self._levels = self._levels[frames:]
            self._start += frames * _FRAME

    def tells_apart(self, start: int, end: int) -> bool:
        """Whether what is loud is told from what is quiet between two samples, or was before."""
        smooth = self._smooth(start, end)
        return self._noise > -np.inf or (len(smooth) > 0 and bool(np.ptp(np.percentile(smooth, _RANGE)) >= LEAST_RANGE))

    def quiet_runs(self, start: int, end: int, ended: bool) -> Runs:
        """Where it is quiet for a while between two samples, in order, compared with what is around it there.

        `ended`: nothing comes after what has come.
        """
        smooth = self._smooth(start, end)
        if not len(smooth):
            return []
        noise, loud = np.percentile(smooth, _RANGE)
        if loud - noise >= LEAST_RANGE:
            self._noise = float(noise)
            threshold = noise + min(THRESHOLD_SHARE * (loud - noise), MOST_ABOVE_NOISE)
        else:  # all is equally loud, or nothing is said for a minute
            threshold = self._noise + LEAST_RANGE / 2
        edges = np.flatnonzero(np.diff(np.concatenate([[False], smooth < threshold, [False]])))
        first = self._start + max(0, start - self._start) // _FRAME * _FRAME
        bounds = np.array([edges[::2], edges[1::2]]).T * _FRAME + first
        runs = [(int(a), int(b)) for a, b in bounds if b - a >= SHORT_PAUSE_SECONDS * SAMPLE_RATE]
        if runs and ended and self.end - runs[-1][1] < _FRAME:  # less than a frame is left over, and goes with it
            runs[-1] = (runs[-1][0], self.end)
        return runs

    def _smooth(self, start: int, end: int) -> np.ndarray:
        """dB of each frame between two samples, of it and its neighbours there."""
        first = max(0, start - self._start) // _FRAME
        levels = self._levels[first : max(first, (min(end, self.end) - self._start) // _FRAME)]
        if not len(levels):
            return levels
        return np.convolve(np.pad(levels, _SMOOTHED // 2, mode="edge"), np.ones(_SMOOTHED) / _SMOOTHED, "valid")

    def _measure(self) -> None:
        known, whole = len(self._levels), len(self._held) // _FRAME
        parts = [self._levels]
        for first in range(known, whole, _MEASURED):
            part = self._held[first * _FRAME : min(first + _MEASURED, whole) * _FRAME].reshape(-1, _FRAME)
            power = np.square(part - part.mean(axis=1, keepdims=True)).mean(axis=1)
            parts.append(10 * np.log10(np.maximum(power, _FLOOR**2)))
        self._levels = np.concatenate(parts)
