"""Batches of clips of like length, bounded by seconds of audio or by a number of clips.

Their shapes come from a short list: a CPU makes its kernels anew for every shape it has not met, which takes longer
than a step of a small model.
"""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice, repeat

from torch.utils.data import Sampler

GRID_RATIO = 1.12  # between two padded lengths that are neighbours: 6 % of padding in the mean
SHORTEST = 8_000  # samples; the grid's first length, half a second


def padded_length(samples: int) -> int:
    """The grid's next length for a batch whose longest clip has so many samples."""
    steps = max(0, math.ceil(math.log(samples / SHORTEST) / math.log(GRID_RATIO) - 1e-9))
    return max(samples, int(SHORTEST * GRID_RATIO**steps))


class LengthBatchSampler(Sampler[list[int]]):
    """Yields lists of indices, as many in every epoch; what does not fill a batch waits for the next epoch.

    `lengths` are seconds. A batch holds at most `batch_seconds` of audio, padding included (a longer clip stands
    alone), or `batch_clips` clips.
    """

    def __init__(
        self, lengths: Sequence[float], batch_seconds: float | None, batch_clips: int | None, seed: int
    ) -> None:
        self._seconds, self._clips, self._seed = batch_seconds, batch_clips, seed
        self._kinds = [*self._divide(lengths)]
        self._count = sum(len(kind) // self._size(kind, lengths) for kind in self._kinds)
        self._stream = self._batches([self._size(kind, lengths) for kind in self._kinds])

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        return islice(self._stream, self._count)

    def _divide(self, lengths: Sequence[float]) -> Iterator[list[int]]:
        """All indices, in lists of like length: as narrow as GRID_RATIO where that fills a batch, else wider."""
        kind: list[int] = []
        for index in sorted(range(len(lengths)), key=lengths.__getitem__):
            longer = kind and lengths[index] > GRID_RATIO * lengths[kind[0]]
            if longer and len(kind) >= self._most(lengths[kind[-1]]):
                yield kind
                kind = []
            kind.append(index)
        if kind:
            yield kind

    def _most(self, longest: float) -> int:
        return self._clips or max(1, int((self._seconds or 0) / longest))

    def _size(self, kind: list[int], lengths: Sequence[float]) -> int:
        return min(len(kind), self._most(lengths[kind[-1]]))

    def _batches(self, sizes: list[int]) -> Iterator[list[int]]:
        kind_of = {index: number for number, kind in enumerate(self._kinds) for index in kind}
        waiting: list[list[int]] = [[] for _ in sizes]
        for epoch in count():
            order = [*kind_of]
            random.Random(self._seed * 1_000_003 + epoch).shuffle(order)
            for index in order:
                number = kind_of[index]
                waiting[number].append(index)
                if len(waiting[number]) == sizes[number]:
                    yield waiting[number]
                    waiting[number] = []


class Stretch(Sampler[list[int]]):
    """The batches from number `start` up to number `end` of a sampler's epochs, one after the other.

    Those before are passed over, which takes a second for a million clips.
    """

    def __init__(self, sampler: LengthBatchSampler, start: int, end: int) -> None:
        self._sampler, self._start, self._end = sampler, start, end

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[list[int]]:
        return islice(chain.from_iterable(repeat(self._sampler)), self._start, self._end)
