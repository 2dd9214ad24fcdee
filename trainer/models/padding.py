"""Training in batches what is later heard clip by clip: a front end that does not see its padding.

Models with `feat_extract_norm="group"` normalise each channel of their first convolution over the whole input, padding
included. So a clip sounds different to them in a batch than alone, as it is used. Here the norm takes each clip's own
frames; together with an attention mask, a clip's logits are then the same in any company.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class OwnFramesNorm(nn.GroupNorm):
    """A group norm of one channel a group over the first `frames` of each row; over all where `frames` is None."""

    frames: torch.Tensor | None = None  # (B,)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # the name that GroupNorm gives it
        """(B, C, T) in and out; frames beyond a row's own become the norm's bias."""
        if self.frames is None:
            return super().forward(input)
        own = torch.arange(input.shape[-1], device=input.device) < self.frames[:, None]
        values = input.float() * own[:, None]
        count = self.frames[:, None].clamp(min=1)
        mean = values.sum(-1) / count
        variance = (torch.linalg.vector_norm(values, dim=-1).square() / count - mean.square()).clamp(min=0)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul((self.bias - mean * scale)[..., None], values, scale[..., None]).to(input.dtype)


def ignore_padding(model: nn.Module) -> None:
    """Change a model's front end in place; names and values of its weights stay."""
    for parent in [*model.modules()]:
        for name, child in [*parent.named_children()]:
            if type(child) is nn.GroupNorm and child.num_groups == child.num_channels:
                norm = OwnFramesNorm(child.num_groups, child.num_channels, child.eps)
                norm.weight, norm.bias = child.weight, child.bias
                setattr(parent, name, norm)


@contextmanager
def clip_lengths(model: nn.Module, lengths: torch.Tensor, kernel: int, stride: int) -> Iterator[None]:
    """Inside, a batch whose clips have so many samples is heard as if each were alone.

    `kernel` and `stride` are the first convolution's.
    """
    norms = [module for module in model.modules() if isinstance(module, OwnFramesNorm)]
    for norm in norms:
        norm.frames = (lengths - kernel) // stride + 1
    try:
        yield
    finally:
        for norm in norms:
            norm.frames = None
