"""Listening to clips that are never trained on: hypotheses, loss, WER and CER."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trainer.models.decoding import Spike, collapse, text_of
from trainer.models.loading import Checkpoint
from trainer.speech.audio import SAMPLE_RATE
from trainer.speech.dataset import Example
from trainer.speech.locales import Locale
from trainer.speech.metrics import ErrorRates, error_rates
from trainer.speech.text import normalise
from trainer.training.loss import ctc_loss


@dataclass(frozen=True)
class Evaluation:
    """Error rates as fractions over all clips together; loss as in training; one hypothesis a clip."""

    loss: float
    rates: ErrorRates
    hypotheses: list[str]


def hear(checkpoint: Checkpoint, waveform: np.ndarray) -> torch.Tensor:
    """Logits of one clip, (frames, labels), float32, on the CPU. `waveform` is mono float32 at 16 kHz.

    Frames that are only padding are cut off: some extractors round up.
    """
    waveform = checkpoint.fit(waveform)
    inputs = checkpoint.extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
    with torch.inference_mode():
        logits = checkpoint.model(**inputs.to(checkpoint.model.device)).logits[0]
    return logits[: checkpoint.frames(len(waveform))].float().cpu()


def spikes_of(checkpoint: Checkpoint, logits: torch.Tensor) -> list[Spike]:
    """The best label of each frame, collapsed. `logits` has shape (frames, labels)."""
    probabilities, ids = logits.softmax(-1).max(-1)
    return collapse(ids.numpy(), probabilities.numpy(), checkpoint.vocabulary)


def evaluate(
    checkpoint: Checkpoint,
    examples: Sequence[Example],
    locale: Locale,
    on_clip: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Listen to each clip by itself, as a person's recording is listened to.

    In a batch the padding would change what models with group normalisation put out, and padded frames would be
    read as text. Hypotheses are normalised as the references are. `on_clip` hears how many are done and may raise
    to stop.
    """
    was_training = checkpoint.model.training
    checkpoint.model.eval()
    losses, hypotheses = [], []
    try:
        for done, example in enumerate(examples, start=1):
            logits = hear(checkpoint, example.waveform())
            labels = torch.tensor([checkpoint.vocabulary.encode(example.units)])
            frames = torch.tensor([len(logits)])
            losses.append(float(ctc_loss(logits[None], frames, labels, checkpoint.vocabulary.blank)))
            text = text_of(spikes_of(checkpoint, logits), checkpoint.vocabulary)
            hypotheses.append(normalise(text, locale, checkpoint.vocabulary.case))
            on_clip(done)
    finally:
        checkpoint.model.train(was_training)
    rates = error_rates([example.text for example in examples], hypotheses)
    return Evaluation(float(np.mean(losses)), rates, hypotheses)
