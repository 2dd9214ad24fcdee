"""Examples as the model is fed: normalised waveforms, labels, and batches of them."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import BatchFeature

from trainer.models.loading import Checkpoint
from trainer.speech.audio import SAMPLE_RATE
from trainer.speech.dataset import Example, frames_needed
from trainer.training.augmenting import augment
from trainer.training.batching import padded_length

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

    def __getitem__(self, index: int) -> Item:
        example = self.examples[index]
        waveform = example.waveform()
        if self._augmented:
            waveform = self._changed(waveform, example)
        return {"waveform": waveform, "labels": self._checkpoint.vocabulary.encode(example.units)}

    def _changed(self, waveform: np.ndarray, example: Example) -> np.ndarray:
        # Spoken faster, the labels must still fit the frames: else CTC's loss is infinite and, with
        # zero_infinity, the clip is silently skipped.
        changed = augment(waveform, shortest=min(len(waveform), SAMPLE_RATE // 2))
        fits = self._checkpoint.frames(len(changed)) >= frames_needed(example.units)
        return changed if fits else waveform


class Collator:
    """Pads a batch: the model's input and `attention_mask` (clips, inputs), `lengths` in samples, `labels` with -100.

    Every model gets a mask, also those that are used without one: see `models.padding`.

    Labels are padded here, not by the tokenizer: an id that means padding and blank at once cannot be told apart
    from a label later.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._name, self._hop = checkpoint.architecture.input_name, checkpoint.architecture.hop

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
        for name in (self._name, "attention_mask"):
            batch[name] = torch.stack([_padded(clip[name][0], longest) for clip in clips])
        labels = [torch.tensor(item["labels"], dtype=torch.long) for item in items]
        batch["labels"] = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
        return batch

    def _listen(self, waveform: np.ndarray) -> BatchFeature:
        return self._checkpoint.extractor(
            waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt", return_attention_mask=True
        )


def _padded(inputs: torch.Tensor, longest: int) -> torch.Tensor:
    """(inputs, …) -> (longest, …), zeros after it."""
    padded = inputs.new_zeros(longest, *inputs.shape[1:])
    padded[: len(inputs)] = inputs
    return padded
