"""Opening checkpoints: a base to train from, or a model to listen with. Safetensors only, no code from the repo."""

import json
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from trainer.errors import UserError
from trainer.hub.quota import release
from trainer.models.architectures import (
    ARCHITECTURES,
    Architecture,
    encoder_frames,
    first_frames,
    frame_stride,
    longest_samples,
    output_frames,
    shortest_samples,
)
from trainer.models.checking import check_folder
from trainer.models.opening import load
from trainer.models.padding import clip_lengths, ignore_padding
from trainer.models.processors import feature_extractor_for, save_processor
from trainer.models.vocabulary import Vocabulary, read_vocabulary
from trainer.speech.audio import from_16_bit, to_16_bit

# That a base gets a new head is no warning here, and a load takes less time than its progress bar.
logging.set_verbosity_error()
logging.disable_progress_bar()

BLANK_BIAS = 2.0  # logit; those of a new head's other labels are within 1 of 0
NOTES = "voicetune.json"  # what we know of a model that its config has no place for: locale, base, error rates


@dataclass(frozen=True)
class Checkpoint:
    """A model with all that is needed to use it."""

    model: PreTrainedModel
    extractor: Any  # a SequenceFeatureExtractor, which declares no call
    vocabulary: Vocabulary
    config: dict[str, Any]

    @property
    def architecture(self) -> Architecture:
        """Its row of the table."""
        return ARCHITECTURES[self.config["model_type"]]

    def frames(self, samples: int) -> int:
        """CTC frames for so many samples."""
        return output_frames(self.config, samples)

    @property
    def stride(self) -> int:
        """Samples at 16 kHz from one CTC frame to the next."""
        return frame_stride(self.config)

    def fit(self, waveform: np.ndarray) -> np.ndarray:
        """A clip as the model can hear it: with silence after one too short for a single frame.

        It is rounded to 16 bits, as clips to train on are kept. Where a band of sound is empty (all above 4 kHz in what
        was recorded at 8 kHz), the rounding is all that is heard there, and features that are normalised band by band
        make it as loud as speech: without it, it would sound like another band.
        """
        waveform = from_16_bit(to_16_bit(waveform[: self.architecture.kept(self.config, len(waveform))]))
        return np.pad(waveform, (0, max(0, shortest_samples(self.config) - len(waveform))))

    @property
    def longest(self) -> int | None:
        """The most samples that are well heard at once; None where there is no most."""
        return longest_samples(self.config)

    def clip_lengths(self, samples: torch.Tensor) -> AbstractContextManager[None]:
        """Inside, a padded batch whose clips have so many samples is heard as if each were alone."""
        first = torch.tensor([first_frames(self.config, int(length)) for length in samples])
        encoder = torch.tensor([encoder_frames(self.config, int(length)) for length in samples])
        return clip_lengths(self.model, first, encoder)

    def freeze_front_end(self) -> None:
        """Leave the convolutions as they were pretrained: they cost a third of a step and rarely gain from it."""
        if self.architecture.freezes:
            freeze: Any = self.model.freeze_feature_encoder  # their base class has it not
            freeze()

    def save(self, folder: Path, notes: dict[str, Any]) -> None:
        """Write the standard layout. The folder appears whole or not at all: it is made beside and renamed."""
        draft, old = folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")
        _remove(draft)
        self.model.save_pretrained(draft)
        save_processor(draft, self.extractor, self.vocabulary, self.config)
        (draft / NOTES).write_text(json.dumps(notes, indent=2, ensure_ascii=False), encoding="utf-8")
        _remove(old)
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        _remove(old)


def read_notes(folder: Path) -> dict[str, Any]:
    """What `save` noted; {} for a checkpoint from elsewhere."""
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def open_checkpoint(folder: Path) -> Checkpoint:
    """A fine-tuned model, ready to listen. Raises UserError where it is not one."""
    config = check_folder(folder)
    vocabulary = read_vocabulary(folder)
    if vocabulary is None:
        raise UserError(
            "This model was only pretrained: it has no list of letters yet.",
            "Fine-tune it first, or choose one that was fine-tuned for speech recognition.",
        )
    model, new_weights = _load(folder, config, {"pad_token_id": vocabulary.blank})
    if any(name.startswith(ARCHITECTURES[config["model_type"]].head) for name in new_weights):
        raise UserError("This model was not taught to write letters yet.", "Fine-tune it first, or choose another.")
    if model.config.vocab_size < max(vocabulary.tokens.values()) + 1:
        raise UserError("This model and its list of letters do not belong together.", "Choose another model.")
    model.eval()
    return Checkpoint(model, feature_extractor_for(folder, config), vocabulary, config)


def open_base(
    folder: Path, vocabulary: Vocabulary, overrides: dict[str, Any], keep_head: bool, attention: str | None = None
) -> Checkpoint:
    """A base to train: with its own head, or with a new one of the vocabulary's size.

    `overrides` are config values (dropouts, SpecAugment); `attention` is "eager", "sdpa", …, or None for the
    library's choice. Raises UserError where the checkpoint is unusable.
    """
    config = check_folder(folder)
    settings: dict[str, Any] = {
        "pad_token_id": vocabulary.blank,
        "ctc_loss_reduction": "mean",
        "ctc_zero_infinity": True,
        **overrides,
    }
    if not keep_head:
        settings["vocab_size"] = max(vocabulary.tokens.values()) + 1
    row = ARCHITECTURES[config["model_type"]]
    model, new_weights = _load(folder, config, settings, attention if attention in row.attention else None)
    if not keep_head or any(name.startswith(row.head) for name in new_weights):
        # A head that fits by chance was still trained for other labels.
        head = getattr(model, row.head)
        torch.nn.init.normal_(head.weight, std=model.config.initializer_range)
        torch.nn.init.zeros_(head.bias)
        # It begins in silence, as every CTC model does after some steps: before training, exactly all words are wrong.
        with torch.no_grad():
            head.bias[vocabulary.blank] = BLANK_BIAS
    ignore_padding(model)
    # Upstream issue 47688: every CTC forward takes **kwargs, so the Trainer believes that the loss is divided by
    # the batch's items already, and gradient accumulation multiplies it.
    setattr(model, "accepts_loss_kwargs", False)  # noqa: B010  # a plain assignment is taken for a submodule
    return Checkpoint(model, feature_extractor_for(folder, config), vocabulary, config)


def _load(
    folder: Path, config: dict[str, Any], settings: dict[str, Any], attention: str | None = None
) -> tuple[PreTrainedModel, set[str]]:
    """As `opening.load`; what was downloaded may make way for other models then."""
    try:
        return load(folder, config, settings, attention)
    finally:
        release(folder)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
