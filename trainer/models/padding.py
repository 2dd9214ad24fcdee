"""Training in batches what is later heard clip by clip: layers that do not see their padding.

Models with `feat_extract_norm="group"` normalise each channel of their first convolution over the whole input, padding
included. Conformers (Wav2Vec2-Conformer, Parakeet) normalise over the whole batch while they train, and convolutions
inside a transformer (Wav2Vec2-Conformer's, Data2VecAudio's) reach into the padding. So a clip sounds different to them
in a batch than alone, as it is used. Here these layers take each clip's own frames; together with an attention mask, a
clip's logits are then the same in any company.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class OwnFrames:
    """A layer that is told how many frames of each row, (B,), are the clip's own; all, where it is None."""

    frames: torch.Tensor | None = None

    def own(self, values: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Where the own frames of (B, C, T) are: (B, 1, T), bool."""
        return (torch.arange(values.shape[-1], device=values.device) < frames.to(values.device)[:, None])[:, None]


class OwnFramesGroupNorm(OwnFrames, nn.GroupNorm):
    """A group norm of one channel a group."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # the name that GroupNorm gives it
        """(B, C, T) in and out; frames beyond a row's own become the norm's bias."""
        if self.frames is None:
            return super().forward(input)
        values = input.float() * self.own(input, self.frames)
        count = self.frames.to(input.device)[:, None].clamp(min=1)
        mean = values.sum(-1) / count
        variance = (torch.linalg.vector_norm(values, dim=-1).square() / count - mean.square()).clamp(min=0)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul((self.bias - mean * scale)[..., None], values, scale[..., None]).to(input.dtype)


class OwnFramesBatchNorm(OwnFrames, nn.BatchNorm1d):
    """A batch norm whose mean and variance, and the running ones, are of own frames."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(B, C, T) in and out."""
        if self.frames is None or not self.training or int(self.frames.sum()) < 2:  # a single one has no variance
            return super().forward(input)
        own, channels = self.own(input, self.frames)[:, 0], input.transpose(0, 1)
        heard = super().forward(channels[:, own][None])[0]  # as one long clip: (1, C, all own frames)
        return torch.zeros_like(channels, dtype=heard.dtype).masked_scatter(own, heard).transpose(0, 1)


class OwnFramesConvolution(OwnFrames, nn.Conv1d):
    """A convolution over time that hears silence beyond a clip's own frames, as it does beyond its input."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(B, C, T) in and out."""
        return super().forward(input if self.frames is None else input * self.own(input, self.frames))


def ignore_padding(model: nn.Module) -> None:
    """Change a model's layers in place; names and values of its weights stay."""
    for module in model.modules():
        if type(module) is nn.GroupNorm and module.num_groups == module.num_channels:
            module.__class__ = OwnFramesGroupNorm
        elif type(module) is nn.BatchNorm1d:
            module.__class__ = OwnFramesBatchNorm
        elif type(module) is nn.Conv1d and module.groups > 1 and module.padding != (0,):  # not of the front end
            module.__class__ = OwnFramesConvolution


@contextmanager
def clip_lengths(model: nn.Module, first: torch.Tensor, encoder: torch.Tensor) -> Iterator[None]:
    """Inside, a batch is heard as if each clip were alone.

    `first`: frames of each clip after the first convolution; `encoder`: frames that the transformer sees. Both (B,).
    """
    layers = [module for module in model.modules() if isinstance(module, OwnFrames)]
    for layer in layers:
        layer.frames = first if isinstance(layer, OwnFramesGroupNorm) else encoder
    try:
        yield
    finally:
        for layer in layers:
            layer.frames = None
