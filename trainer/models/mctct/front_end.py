"""From mel features to the frames that the transformer sees: a scale, then convolutions with gates."""

from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

from trainer.models.frames import mctct_convolved, mctct_padding
from trainer.models.mctct.config import MCTCTConfig

LengthsT = TypeVar("LengthsT", int, torch.Tensor)


def frames_after_convolutions(config: MCTCTConfig, features: LengthsT) -> LengthsT:
    """Output frames for so many feature frames: a number, or a tensor of them.

    For one convolution, which every published model has, this is what Transformers 4 told. For several, its figure
    was not what its convolutions gave unless all but the last had stride 1; this is.
    """
    length: LengthsT = mctct_convolved(features, config.conv_kernel, config.conv_stride)
    return max(length, 0) if isinstance(length, int) else length.clamp(min=0)


def frame_mask(config: MCTCTConfig, attention_mask: torch.Tensor, frames: int) -> torch.Tensor:
    """The mask of feature frames, (clips, features), as one of output frames: (clips, frames), bool."""
    lengths = frames_after_convolutions(config, attention_mask.sum(-1))
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


class MCTCTScale(nn.Module):
    """One factor and one offset for every feature: what is left of Flashlight's layer norm over a whole clip."""

    def __init__(self) -> None:
        super().__init__()
        self.singleton_weight = nn.Parameter(torch.ones(1))
        self.singleton_bias = nn.Parameter(torch.zeros(1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Any shape, which stays."""
        return features * self.singleton_weight + self.singleton_bias


class MCTCTConvolutions(nn.Module):
    """1-D convolutions over time, each with a gated linear unit (Dauphin et al. 2017, arXiv 1612.08083)."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__()
        self.padding = mctct_padding(config.conv_kernel)
        self.conv_layers = nn.ModuleList(
            nn.Conv1d(inputs, outputs, kernel, stride)
            for inputs, outputs, kernel, stride in zip(
                config.conv_inputs, config.conv_outputs, config.conv_kernel, config.conv_stride, strict=True
            )
        )
        self.dropout = nn.Dropout(config.conv_dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(clips, features frames, features) -> (clips, frames, hidden)."""
        hidden = functional.pad(features.transpose(1, 2), (self.padding, self.padding))
        for convolution in self.conv_layers:
            hidden = self.dropout(functional.glu(convolution(hidden), dim=1))
        return hidden.transpose(1, 2)
