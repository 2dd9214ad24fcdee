"""A model as an ONNX graph, from the waveform to the logits: what its feature extractor does is a part of it."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from trainer.errors import UserError
from trainer.formatting import memory_size
from trainer.hardware import free_memory
from trainer.models.build import BYTES
from trainer.models.ctc_model import Checkpoint
from trainer.models.onnx_files import (
    GRAPH,
    INPUT,
    LETTERS,
    MOST_PARAMETERS,
    OPSET,
    OUTPUT,
    SCRIPT,
    check_exportable,
    script,
)
from trainer.speech.audio import SAMPLE_RATE

COPIES = 5  # of the weights, that the exporter holds at once: measured, rounded up
FULL_SCALE = 32_768.0  # of 16 bits
QUIETEST = 1e-10  # power of a mel band that is still told from silence
RANGE = 8.0  # powers of ten below the loudest moment, that are told apart


class Rounding(nn.Module):
    """Samples as 16 bits hold them: what `Checkpoint.fit` makes of a clip, without silence after a short one."""

    def __init__(self, kept: Callable[[int], int]) -> None:
        super().__init__()
        self._kept = kept

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(1, samples) -> (1, samples that the model can use)."""
        waveform = waveform[:, : self._kept(waveform.shape[1])]
        peak = waveform.abs().amax().clamp(min=1.0)
        return torch.round(waveform * (FULL_SCALE / peak)).clamp(-FULL_SCALE, FULL_SCALE - 1) / FULL_SCALE


class Normalisation(nn.Module):
    """Wav2Vec2FeatureExtractor's: mean 0, variance 1."""

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(1, samples) -> (1, samples)."""
        centred = waveform - waveform.mean(1, keepdim=True)
        return centred / torch.sqrt(centred.square().mean(1, keepdim=True) + 1e-7)


class LogMel(nn.Module):
    """WhisperFeatureExtractor's, its Fourier transform as a convolution: no runtime lacks that."""

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.window, self.hop = extractor.n_fft, extractor.hop_length
        times = torch.arange(self.window, dtype=torch.float64)
        angles = 2 * torch.pi / self.window * torch.arange(self.window // 2 + 1)[:, None] * times
        hann = torch.hann_window(self.window, dtype=torch.float64)
        self.register_buffer("waves", torch.cat([angles.cos() * hann, angles.sin() * hann])[:, None].float())
        self.register_buffer("bands", torch.tensor(extractor.mel_filters, dtype=torch.float32).T.contiguous())

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(1, samples) -> (1, mel bands, frames)."""
        padded = functional.pad(waveform[:, None], (self.window // 2, self.window // 2), mode="reflect")
        real, imaginary = functional.conv1d(padded, self.get_buffer("waves"), stride=self.hop)[..., :-1].chunk(2, dim=1)
        power = self.get_buffer("bands") @ (real.square() + imaginary.square())
        loudness = power.clamp(min=QUIETEST).log10()
        return (torch.maximum(loudness, loudness.amax((1, 2), keepdim=True) - RANGE) + 4.0) / 4.0


class SoundToLogits(nn.Module):
    """A checkpoint with its feature extractor in front, for one clip that is not padded."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self._input_name = checkpoint.architecture.input_name
        self.rounding = Rounding(checkpoint.config.kept)
        self.features = _features_of(checkpoint)
        self.model = checkpoint.model

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """(1, samples) of `ModelConfig.shortest` samples at least -> (1, frames, labels)."""
        logits: torch.Tensor = self.model(**{self._input_name: self.features(self.rounding(waveform))}).logits
        return logits


def export_onnx(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the files of `onnx_files` into a folder, which is made where it is missing; earlier ones are replaced.

    Raises UserError for a kind of model that cannot be written so, one that is too large, and where `onnx` is missing.
    """
    check_exportable(checkpoint.config)
    _check_size(checkpoint.model)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{GRAPH}.part"
    try:
        _write_graph(SoundToLogits(checkpoint).eval(), 2 * SAMPLE_RATE, draft)
        draft.replace(folder / GRAPH)
    finally:
        draft.unlink(missing_ok=True)
    letters = json.dumps(dict(checkpoint.vocabulary.tokens), ensure_ascii=False, indent=1)
    (folder / LETTERS).write_text(letters, encoding="utf-8")
    (folder / SCRIPT).write_text(script(checkpoint.config, checkpoint.vocabulary), encoding="utf-8")


def _features_of(checkpoint: Checkpoint) -> nn.Module:
    if checkpoint.architecture.feature_extractor == "whisper":
        return LogMel(checkpoint.extractor)
    return Normalisation() if checkpoint.extractor.do_normalize else nn.Identity()


def _check_size(model: nn.Module) -> None:
    parameters = sum(tensor.numel() for tensor in model.parameters())
    if parameters > MOST_PARAMETERS:
        raise UserError(
            f"This model has {parameters / 1e6:.0f} million parameters, and an ONNX file holds "
            f"{MOST_PARAMETERS / 1e6:.0f} million at most.",
            "Use it with Transformers.",
        )
    needed = (COPIES - 1) * BYTES * parameters  # one is there already
    if needed > (free := free_memory()):
        raise UserError(
            f"Writing this model as an ONNX file takes {memory_size(needed)} more of memory, and only "
            f"{memory_size(free)} are free.",
            "Close other programs and try again.",
        )


def _write_graph(model: nn.Module, samples: int, file: Path) -> None:
    """By tracing: the exporter that does without needs more packages, and fails on these models."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # it takes sizes for constants, it says; the tests use other sizes
        torch.onnx.export(
            model,
            (torch.randn(1, samples),),
            str(file),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamic_axes={INPUT: {1: "samples"}, OUTPUT: {1: "frames"}},
            dynamo=False,
        )
