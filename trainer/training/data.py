"""Examples as the model is fed: normalised waveforms, labels, and batches of them."""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice, repeat
from typing import Any, TypedDict, TypeVar

import librosa
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler
from transformers import BatchFeature

from trainer.models.ctc_model import Checkpoint
from trainer.speech.audio import SAMPLE_RATE
from trainer.speech.dataset import Example, frames_needed

AnyT = TypeVar("AnyT")
Batch = dict[str, torch.Tensor]


class Item(TypedDict):
    """One clip: a float32 waveform and its label ids."""

    waveform: np.ndarray
    labels: list[int]


class ClipDataset(Dataset[Item]):
    """Examples with, if asked for, changes drawn anew at each access."""

    def __init__(self, examples: Sequence[Example], checkpoint: Checkpoint, augmented: bool = False) -> None:
        self.examples = list(examples)
        self._checkpoint = checkpoint
        self._augmented = augmented

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def longest_seconds(self) -> list[float]:
        """What each clip may come to last: longer than its recording where it may be slowed."""
        return [example.seconds / (SPEEDS[0] if self._augmented else 1.0) for example in self.examples]

    def __getitem__(self, index: int) -> Item:
        example = self.examples[index]
        waveform = example.waveform()
        if self._augmented:
            waveform = varied(example, self._checkpoint)
        return {"waveform": waveform, "labels": self._checkpoint.vocabulary.encode(example.units)}


class Collator:
    """Pads a batch: the model's input and `attention_mask`, along time, `lengths` in samples, `labels` with -100.

    Every model gets a mask, also those that are used without one: see `models.padding`.

    Labels are padded here, not by the tokenizer: an id that means padding and blank at once cannot be told apart
    from a label later.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        row = checkpoint.architecture
        self._hop, self._axes = row.hop, {row.input_name: row.time_axis, "attention_mask": 0}

    def __call__(self, items: Sequence[Item]) -> Batch:
        """Normalise each clip by itself, then pad.

        Given a whole batch, an extractor without attention mask (every model with group norm) takes mean and
        variance over the padding too, so that a short clip beside a long one comes out too loud.
        """
        waveforms = [self._checkpoint.fit(item["waveform"]) for item in items]
        lengths = [len(waveform) for waveform in waveforms]
        clips = [self._listen(waveform) for waveform in waveforms]
        # An extractor may pad at the end for one input more.
        longest = padded_length(max(lengths)) // self._hop + (self._hop > 1)
        batch: Batch = {"lengths": torch.tensor(lengths)}
        for name, axis in self._axes.items():
            batch[name] = torch.stack([_padded(clip[name][0], longest, axis) for clip in clips])
        batch["labels"] = pad_labels([item["labels"] for item in items])
        return batch

    def _listen(self, waveform: np.ndarray) -> BatchFeature:
        return self._checkpoint.extractor(
            waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt", return_attention_mask=True
        )


def pad_labels(labels: Sequence[list[int]]) -> torch.Tensor:
    """(clips, longest), with -100 after a clip's own."""
    rows = [torch.tensor(row, dtype=torch.long) for row in labels]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)


def _padded(inputs: torch.Tensor, longest: int, axis: int) -> torch.Tensor:
    """As long as `longest` along an axis, with zeros after it."""
    shape = [*inputs.shape]
    shape[axis] = longest
    padded = inputs.new_zeros(shape)
    padded.narrow(axis, 0, inputs.shape[axis]).copy_(inputs)
    return padded


GRID_RATIO = 1.12  # between two padded lengths that are neighbours: 6 % of padding in the mean
SHORTEST = 8_000  # samples; the grid's first length, half a second


def padded_length(samples: int) -> int:
    """The grid's next length for a batch whose longest clip has so many samples."""
    steps = max(0, math.ceil(math.log(samples / SHORTEST) / math.log(GRID_RATIO) - 1e-9))
    return max(samples, int(SHORTEST * GRID_RATIO**steps))


class LengthBatchSampler(Sampler[list[int]]):
    """Yields lists of indices, as many in every epoch; what does not fill a batch waits for the next epoch.

    `lengths` are seconds, as clips are heard at most (see `ClipDataset.longest_seconds`). A batch holds at most
    `batch_seconds` of audio, all clips counted as long as its longest (a clip that is longer stands alone), or
    `batch_clips` clips. The collator's grid of lengths may add up to GRID_RATIO to it.
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


class BatchRange(Sampler[list[AnyT]]):
    """The batches from number `start` up to number `end` of a sampler's epochs, one after the other.

    Those before are passed over, which takes a second for a million clips.
    """

    def __init__(self, sampler: Sampler[list[AnyT]], start: int, end: int) -> None:
        self._sampler, self._start, self._end = sampler, start, end

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[list[AnyT]]:
        return islice(chain.from_iterable(repeat(self._sampler)), self._start, self._end)


SPEEDS = (0.85, 1.2)  # factor; changes the pitch too, so that a few voices stand for more
TILTS = (-0.4, 0.4)  # of a first-order filter: duller or brighter, as telephones and rooms are
NOISE_DB = (12.0, 40.0)  # signal to noise ratio; below 10 dB words get lost


def varied(example: Example, checkpoint: Checkpoint, rng: np.random.Generator | None = None) -> np.ndarray:
    """A clip's waveform as `augment` changes it, or as it is where its labels would not fit the frames any more.

    CTC's loss would be infinite then and, with zero_infinity, the clip silently skipped.
    """
    waveform = example.waveform()
    changed = augment(waveform, min(len(waveform), SAMPLE_RATE // 2), rng)
    return changed if checkpoint.frames(len(changed)) >= frames_needed(example.units) else waveform


def augment(waveform: np.ndarray, shortest: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Change speed (and with it pitch) and add noise; float32 in, float32 out, never under `shortest` samples.

    Draws from `rng`; without, from numpy's global generator, which the Trainer seeds and transformers' SpecAugment
    draws from too.
    """
    draw: Any = np.random if rng is None else rng
    factor = min(draw.uniform(*SPEEDS), len(waveform) / shortest)
    # soxr's quick kind: in a twentieth of its best kind's time, and telephone speech has no overtones to spoil.
    changed = librosa.resample(waveform, orig_sr=factor, target_sr=1.0, res_type="soxr_qq")
    changed[1:] += draw.uniform(*TILTS) * changed[:-1]
    level = np.sqrt(np.mean(np.square(changed)) + 1e-9)
    noise = draw.standard_normal(len(changed)) * level * 10 ** (-draw.uniform(*NOISE_DB) / 20)
    return (changed + noise).astype(np.float32)
