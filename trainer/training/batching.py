"""Batches of clips of like length, bounded by seconds of audio or by a number of clips."""

import random
from collections.abc import Iterator, Sequence
from itertools import chain

from torch.utils.data import Sampler

# Clips are sorted by length within chunks of so many batches: wide enough that a batch wastes little on padding,
# narrow enough that batches differ from epoch to epoch.
CHUNK_BATCHES = 8


class LengthBatchSampler(Sampler[list[int]]):
    """Yields lists of indices. An epoch has always the same number of batches, which the Trainer counts on.

    `lengths` are seconds. A batch holds at most `batch_seconds` of audio, padding included (a longer clip stands
    alone), or `batch_clips` clips.
    """

    def __init__(
        self, lengths: Sequence[float], batch_seconds: float | None, batch_clips: int | None, seed: int
    ) -> None:
        self._lengths = list(lengths)
        self._seconds = batch_seconds
        self._clips = batch_clips
        self._seed = seed
        self._count = len(self._shuffled(0))
        # Epochs differ in how many batches they fill, so batches come from one endless stream.
        self._stream: Iterator[list[int]] = chain.from_iterable(self._shuffled(epoch) for epoch in _naturals())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self._count):
            yield next(self._stream)

    def _shuffled(self, epoch: int) -> list[list[int]]:
        draw = random.Random(self._seed * 1_000_003 + epoch)
        order = list(range(len(self._lengths)))
        draw.shuffle(order)
        mean = sum(self._lengths) / len(self._lengths)
        size = max(1, self._clips or int((self._seconds or 0) / mean)) * CHUNK_BATCHES
        chunks = [order[start : start + size] for start in range(0, len(order), size)]
        batches = [batch for chunk in chunks for batch in self._fill(sorted(chunk, key=self._lengths.__getitem__))]
        draw.shuffle(batches)
        return batches

    def _fill(self, order: list[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in order:  # shortest first, so the newest clip is the longest
            full = (
                len(batch) >= self._clips
                if self._clips is not None
                else (len(batch) + 1) * self._lengths[index] > (self._seconds or 0)
            )
            if batch and full:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch


def _naturals() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1
