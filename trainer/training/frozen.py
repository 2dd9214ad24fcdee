"""What layers that are never trained make of clips: computed once a clip and kept.

Invariant: what a step learns from depends on the recipe and the step's number alone, however much memory there is and
wherever the training was resumed. So each clip is computed by itself, unpadded, and its changed copies are drawn by
generators of their own. Copies are computed when they are first drawn, not before the first step: training begins at
once, and a short one computes no more than it uses.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.utils.data import Dataset, Sampler

from trainer.hardware import free_memory
from trainer.models.ctc_model import Checkpoint
from trainer.speech.audio import SAMPLE_RATE
from trainer.speech.dataset import Example
from trainer.training.data import Batch, pad_labels, padded_length, varied

SHARE = 0.4  # of the free memory that may be filled with states
BYTES_EACH = 2  # bf16


@dataclass(frozen=True)
class States:
    """What the frozen layers made of a clip of so many samples: (frames, hidden), bf16, on the CPU."""

    hidden: torch.Tensor
    samples: int


class LowerPart(nn.Module):
    """A model's front end and lowest layers as a module of their own."""

    def __init__(self, model: Any, layers: int) -> None:
        super().__init__()
        self.model, self.layers = model, layers

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """As its `lower_states`, for a single clip."""
        states: torch.Tensor = self.model.lower_states(features, None, self.layers)
        return states


class FrozenLayers:
    """The part of a checkpoint that is not trained, once `Checkpoint.freeze_layers` has frozen it.

    With `in_bf16` it computes with a copy of its weights in bf16, as quick as it gets; else with the weights
    themselves. What it puts out is rounded to bf16 either way.
    """

    def __init__(self, checkpoint: Checkpoint, count: int, in_bf16: bool) -> None:
        self.count = count
        self._checkpoint, self._in_bf16 = checkpoint, in_bf16
        self._part = LowerPart(checkpoint.model, count)
        self._names = [name for name, weight in self._part.named_parameters() if not weight.requires_grad]

    @cached_property
    def _weights(self) -> dict[str, torch.Tensor]:
        """Copied when first used: then the model lies on its device, with what was restored of it."""
        weights = dict(self._part.named_parameters())
        return {name: weights[name].detach().bfloat16() for name in self._names}

    @torch.no_grad()  # not inference_mode: what is learnt above keeps the states for its backward pass
    def __call__(self, waveform: np.ndarray) -> States:
        """`waveform` is mono float32 at 16 kHz."""
        waveform = self._checkpoint.fit(waveform)
        model = self._checkpoint.model
        heard = self._checkpoint.extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        features = heard[self._checkpoint.architecture.input_name].to(model.device)
        learning = model.training
        model.eval()
        try:
            if self._in_bf16:
                hidden = functional_call(self._part, self._weights, (features.bfloat16(),))
            else:
                hidden = self._part(features)
        finally:
            model.train(learning)
        own = hidden[0, : self._checkpoint.frames(len(waveform))]
        return States(own.to("cpu", torch.bfloat16, copy=True), len(waveform))

    def logits(self, states: States) -> torch.Tensor:
        """(frames, labels), float32, on the CPU: what the whole model makes of a clip, as `inference.logits_of`."""
        model = self._checkpoint.model
        hidden = states.hidden[None].to(model.device, torch.float32)
        with torch.inference_mode():
            logits: torch.Tensor = model(hidden_states=hidden, first_layer=self.count).logits[0]
        return logits.float().cpu()


class StatesStore:
    """The states of a training's clips; as much of them as fits is kept, the rest is computed whenever it is asked for.

    `copies` of each training clip are changed ones. `check` is called before a clip is computed, and may raise to stop.
    """

    def __init__(
        self,
        layers: FrozenLayers,
        checkpoint: Checkpoint,
        copies: int,
        seed: int,
        most_bytes: int,
        check: Callable[[], None],
    ) -> None:
        self.layers, self.copies = layers, copies
        self._checkpoint, self._seed, self._check = checkpoint, seed, check
        self._room = most_bytes
        self._kept: dict[tuple[str, int, int], States] = {}
        self.computed = 0.0  # seconds of audio so far

    def of_training(self, example: Example, index: int, copy: int) -> States:
        """Of the training split's clip number `index`; copy 0 is the clip itself."""

        def waveform() -> np.ndarray:
            if copy == 0:
                return example.waveform()
            return varied(example, self._checkpoint, np.random.default_rng((self._seed, index, copy)))

        return self._get(("train", index, copy), waveform)

    def of_validation(self, example: Example, index: int) -> States:
        """Of the validation split's clip number `index`."""
        return self._get(("validation", index, 0), example.waveform)

    def _get(self, key: tuple[str, int, int], waveform: Callable[[], np.ndarray]) -> States:
        if key in self._kept:
            return self._kept[key]
        self._check()
        states = self.layers(waveform())
        self.computed += states.samples / SAMPLE_RATE
        size = states.hidden.numel() * BYTES_EACH
        if size <= self._room:
            self._room -= size
            self._kept[key] = states
        return states


def room_for_states() -> int:
    """Bytes that may be filled with states now."""
    return int(SHARE * free_memory())


def copies_that_fit(
    checkpoint: Checkpoint, train: Sequence[Example], validation: Sequence[Example], wanted: int, room: int
) -> int | None:
    """How many changed copies of each training clip fit so many bytes beside the clips themselves; None: not even they.

    A copy is taken to be as long as its clip, which all of them together are.
    """
    width = checkpoint.model.config.hidden_size * BYTES_EACH
    once, checked = (
        width * sum(checkpoint.frames(len(clip.samples)) for clip in clips) for clips in (train, validation)
    )
    if once + checked > room:
        return None
    return min(wanted, (room - checked) // once - 1)


class VisitSampler(Sampler[list[tuple[int, int]]]):
    """A sampler's batches with, beside each index, how often it was drawn before."""

    def __init__(self, batches: Sampler[list[int]]) -> None:
        self._batches, self._visits = batches, Counter[int]()

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self._batches:
            yield [self._drawn(index) for index in batch]

    def _drawn(self, index: int) -> tuple[int, int]:
        self._visits[index] += 1  # at once: a batch that spans two epochs may hold a clip twice
        return index, self._visits[index] - 1


class StatesItem(TypedDict):
    """One clip as frozen layers hear it, and its label ids."""

    states: States
    labels: list[int]


class StatesDataset(Dataset[StatesItem]):
    """The training clips by (index, visits before): the clip itself first, then its copies in turn, and again."""

    def __init__(self, examples: Sequence[Example], checkpoint: Checkpoint, store: StatesStore) -> None:
        self._examples, self._checkpoint, self._store = list(examples), checkpoint, store

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, draw: tuple[int, int]) -> StatesItem:
        index, visits = draw
        example = self._examples[index]
        states = self._store.of_training(example, index, visits % (self._store.copies + 1))
        return {"states": states, "labels": self._checkpoint.vocabulary.encode(example.units)}


class StatesCollator:
    """Pads a batch: `hidden_states` (clips, frames, hidden) in bf16, `attention_mask` (clips, frames), `lengths` in
    samples, `labels` with -100."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def __call__(self, items: Sequence[StatesItem]) -> Batch:
        """As long as the grid's next length."""
        states = [item["states"] for item in items]
        samples = [clip.samples for clip in states]
        frames = [len(clip.hidden) for clip in states]
        longest = self._checkpoint.frames(padded_length(max(samples)))
        hidden = states[0].hidden.new_zeros(len(states), longest, states[0].hidden.shape[1])
        for row, clip in zip(hidden, states, strict=True):
            row[: len(clip.hidden)] = clip.hidden
        return {
            "hidden_states": hidden,
            "attention_mask": (torch.arange(longest) < torch.tensor(frames)[:, None]).long(),
            "lengths": torch.tensor(samples),
            "labels": pad_labels([item["labels"] for item in items]),
        }
