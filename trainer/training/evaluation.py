"""Listening to clips that are never trained on: hypotheses, loss, WER and CER."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from trainer.models.ctc_model import Checkpoint
from trainer.models.decoding import AlignedToken, text_of
from trainer.models.inference import Decoder, greedy_tokens, logits_of
from trainer.speech.dataset import Example
from trainer.speech.evaluate_metrics import measured
from trainer.speech.locales import Locale
from trainer.speech.metrics import ErrorRates
from trainer.speech.text import normalise


@dataclass(frozen=True)
class Evaluation:
    """Error rates as fractions over all clips together; loss as in training; one hypothesis a clip.

    `with_phrases` are the rates of what a decoder with phrases made of the same sound, `phrased` its texts; None where
    there was none.
    """

    loss: float
    rates: ErrorRates
    hypotheses: list[str]
    with_phrases: ErrorRates | None = None
    phrased: list[str] | None = None


def evaluate(
    checkpoint: Checkpoint,
    examples: Sequence[Example],
    locale: Locale,
    on_clip: Callable[[int], None] = lambda done: None,
    logits_for: Callable[[int], torch.Tensor] | None = None,
    phrases: Decoder | None = None,
) -> Evaluation:
    """Listen to each clip by itself, as a person's recording is listened to.

    In a batch the padding would change what models with group normalisation put out, and padded frames would be
    read as text. Hypotheses are normalised as the references are. `on_clip` hears how many are done and may raise
    to stop. `logits_for` gives a clip's logits by its number; without it they are computed from its
    sound. `phrases` decodes the same logits once more; hypotheses and loss know nothing of it.
    """
    was_training = checkpoint.model.training
    checkpoint.model.eval()
    vocabulary, losses = checkpoint.vocabulary, list[float]()
    hypotheses, taught = list[str](), list[str]()

    def written(tokens: list[AlignedToken]) -> str:
        return normalise(text_of(tokens, vocabulary), locale, vocabulary.case)

    try:
        for done, example in enumerate(examples, start=1):
            logits = logits_for(done - 1) if logits_for else logits_of(checkpoint, example.waveform())
            labels = torch.tensor([vocabulary.encode(example.units)])
            frames = torch.tensor([len(logits)])
            losses.append(float(ctc_loss(logits[None], frames, labels, vocabulary.blank)))
            hypotheses.append(written(greedy_tokens(checkpoint, logits)))
            if phrases:
                taught.append(written(phrases(logits.numpy())))
            on_clip(done)
    finally:
        checkpoint.model.train(was_training)
    texts = [example.text for example in examples]
    with_phrases = measured(texts, taught) if phrases else None
    return Evaluation(
        float(np.mean(losses)), measured(texts, hypotheses), hypotheses, with_phrases, taught if phrases else None
    )


def ctc_loss(logits: torch.Tensor, frames: torch.Tensor, labels: torch.Tensor, blank: int) -> torch.Tensor:
    """Mean over clips of the loss a label (Graves et al. 2006), in nats.

    logits: (clips, frames, labels), any float type; frames: (clips,) valid frames of each clip; labels: (clips,
    longest) padded with -100. Frames that are only padding do not count, whether or not the model takes a mask.
    """
    keep = labels >= 0
    log_probabilities = functional.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    with torch.backends.cudnn.flags(enabled=False):  # cuDNN's needs the blank at id 0 and is not deterministic
        return functional.ctc_loss(
            log_probabilities,
            labels.masked_select(keep),
            frames.clamp(max=logits.shape[1]),
            keep.sum(-1),
            blank=blank,
            reduction="mean",
            # A clip that does not fit its frames is left out while preparing; this is for augmented speech.
            zero_infinity=True,
        )
