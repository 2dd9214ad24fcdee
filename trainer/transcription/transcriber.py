"""A loaded model that writes down sound of any length."""

from dataclasses import dataclass

import numpy as np
import torch

from trainer.models.decoding import Word, text_of, words_of
from trainer.models.loading import Checkpoint
from trainer.speech.audio import SAMPLE_RATE
from trainer.training.evaluating import hear, spikes_of

# Attention's memory grows with the square of the length, so long sound is heard in windows that overlap; of each
# overlap the first half is taken from the earlier window and the second from the later one, so that every frame
# kept has heard some seconds around it.
MOST_SECONDS = 34.0  # heard at once; less where the model's positions end before
OVERLAP_SECONDS = 4.0


@dataclass(frozen=True)
class Hearing:
    """The text and its words; times in seconds from the start of the sound."""

    text: str
    words: tuple[Word, ...]


class Transcriber:
    """Writes down what a checkpoint hears."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def __call__(self, waveform: np.ndarray) -> Hearing:
        """`waveform` is mono float32 at 16 kHz of at least one frame."""
        logits = self._logits(waveform)
        spikes = spikes_of(self._checkpoint, logits)
        vocabulary = self._checkpoint.vocabulary
        per_frame = len(waveform) / SAMPLE_RATE / max(1, len(logits))
        return Hearing(text_of(spikes, vocabulary), tuple(words_of(spikes, vocabulary, per_frame)))

    def _logits(self, waveform: np.ndarray) -> torch.Tensor:
        stride = self._checkpoint.stride
        most = min(int(MOST_SECONDS * SAMPLE_RATE), self._checkpoint.longest or len(waveform))
        if len(waveform) <= most:
            return hear(self._checkpoint, waveform)
        overlap = int(OVERLAP_SECONDS * SAMPLE_RATE) // (2 * stride) * 2 * stride
        window = (most - overlap) // stride * stride
        step, half = window - overlap, overlap // 2 // stride  # in samples; in frames
        parts = []
        for start in range(0, len(waveform) - overlap, step):
            logits = hear(self._checkpoint, waveform[start : start + window])
            last = start + window >= len(waveform)
            parts.append(logits[half if start else 0 : None if last else step // stride + half])
        return torch.cat(parts)
