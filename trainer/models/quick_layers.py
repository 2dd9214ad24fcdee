"""A model that only listens, made quicker: products of matrices in bf16, and convolutions as the products they are.

A processor's bf16 instructions (AMX, AVX512-bf16) multiply matrices several times as fast as fp32 ones. Convolutions
over time gain little from them as they are: what is computed with a frame's channels beside each other is copied back
to all frames of one channel, which takes longer than the arithmetic. Here frames stay rows from one layer to the next.
Sums over layers, norms and the map to the labels stay in fp32: all in bf16, a third of the practice clips read
differently by a letter or more, and it is no quicker. What a model learns with is never changed: `quicken` is for one
that was opened to listen with.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

QUICK = torch.bfloat16


class FrameConvolution(nn.Module):
    """A convolution over time whose frames are rows: (clips, channels, frames) in and out, as Conv1d, in `QUICK`."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        (self._kernel,), (self._stride,) = convolution.kernel_size, convolution.stride
        self._padding = int(convolution.padding[0])
        # Rows of a window: all channels of its first frame, then of its second.
        self.weight = nn.Parameter(convolution.weight.detach().permute(0, 2, 1).flatten(1).to(QUICK), False)
        self.bias = None if convolution.bias is None else nn.Parameter(convolution.bias.detach().to(QUICK), False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Raises RuntimeError where there are fewer frames than the kernel has."""
        frames = functional.pad(hidden.to(QUICK).transpose(1, 2), (0, 0, self._padding, self._padding)).contiguous()
        clips, length, channels = frames.shape
        windows = frames.as_strided(
            (clips, (length - self._kernel) // self._stride + 1, self._kernel * channels),
            (length * channels, self._stride * channels, 1),
        )
        # Clip by clip: of a batch, the weights would be copied for each clip.
        return torch.stack([functional.linear(clip, self.weight, self.bias) for clip in windows]).transpose(1, 2)


class NormedConvolution(nn.Module):
    """The first convolution on samples and the norm after it, of each channel over the whole clip, in one.

    A channel's mean and variance follow from the mean and covariance of the windows of samples, which are few: nothing
    has to be read twice. They are computed in fp32. Samples and weights are each split into two bf16 numbers, so that
    what is quiet is heard as it is with fp32.
    """

    def __init__(self, convolution: nn.Conv1d, norm: nn.GroupNorm) -> None:
        super().__init__()
        (self._kernel,), (self._stride,), self._eps = convolution.kernel_size, convolution.stride, norm.eps
        self.weight = nn.Parameter(convolution.weight.detach().flatten(1), False)  # any bias is normed away
        self.scale, self.shift = nn.Parameter(norm.weight.detach(), False), nn.Parameter(norm.bias.detach(), False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """(clips, 1, samples) in fp32 -> (clips, channels, frames) in `QUICK`."""
        with exactly(samples):
            return torch.stack([self._heard(clip) for clip in samples[:, 0].float().contiguous()]).transpose(1, 2)

    def _heard(self, clip: torch.Tensor) -> torch.Tensor:
        clip = clip - clip.mean()  # what is normed away need not be rounded
        windows = clip.unfold(0, self._kernel, self._stride)  # (frames, kernel), a view
        mean = windows.mean(0)
        covariance = (windows.T @ windows) / len(windows) - torch.outer(mean, mean)
        variance = ((self.weight @ covariance) * self.weight).sum(1).clamp(min=0)
        scale = self.scale * torch.rsqrt(variance + self._eps)
        weight, bias = self.weight * scale[:, None], self.shift - (self.weight @ mean) * scale
        coarse, weights = windows.to(QUICK), weight.to(QUICK)
        fine, lesser = (windows - coarse.float()).to(QUICK), (weight - weights.float()).to(QUICK)
        return functional.linear(
            torch.cat([coarse, fine, coarse], 1), torch.cat([weights, weights, lesser], 1), bias.to(QUICK)
        )


class ExactConvolution(nn.Conv1d):
    """One of groups of channels, in fp32 as all else.

    With 8 channels a group, oneDNN's in bf16 puts out something else altogether (torch 2.13.0 on AMX: 0.8 to 0.9 of a
    standard deviation away); with 16, 24 or 48 it does not.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # the name that Conv1d gives it
        """(clips, channels, frames) in any precision -> the same in fp32."""
        with exactly(input):
            return super().forward(input.float())


class ExactLinear(nn.Linear):
    """The map to the labels in fp32: how sure a model is, is told from small differences."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # the name that Linear gives it
        """(…, hidden) in any precision -> (…, labels) in fp32."""
        with exactly(input):
            return super().forward(input.float())


def exactly(values: torch.Tensor) -> torch.autocast:
    """Inside, arithmetic is in the precision that its operands have."""
    return torch.autocast(values.device.type, enabled=False)


def quickly(model: PreTrainedModel) -> torch.autocast:
    """Inside, a model that was made quick can listen."""
    return torch.autocast(model.device.type, QUICK, cache_enabled=False)  # its weights have been cast once for all


def quicken(model: nn.Module, output_layer: str) -> None:
    """Change a model in evaluation mode in place: inside `quickly` it listens quicker, and cannot learn or be saved.

    `output_layer` names its map to the labels, which stays in fp32.
    """
    with torch.no_grad():
        for module in list(model.modules()):
            if parametrize.is_parametrized(module):  # a weight norm, which would be computed for each clip anew
                for name in list(module.parametrizations):  # type: ignore[arg-type]  # a ModuleDict by its stub
                    parametrize.remove_parametrizations(module, name)
        output = model.get_submodule(output_layer)
        for parent, first, norm in list(_normed_fronts(model)):
            parent.add_module("conv", NormedConvolution(first, norm))
            parent.add_module("layer_norm", nn.Identity())
        for parent, name, convolution in list(_convolutions(model)):
            parent.add_module(name, FrameConvolution(convolution))
        for module in model.modules():
            if type(module) is nn.Conv1d and module.groups > 1 and module.in_channels // module.groups % 16:
                module.__class__ = ExactConvolution
            elif isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d) and module is not output:
                for weight in module.parameters(recurse=False):
                    weight.data = weight.data.to(QUICK)
        if type(output) is nn.Linear:
            output.__class__ = ExactLinear


def _normed_fronts(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Conv1d, nn.GroupNorm]]:
    """Layers of one channel of samples whose norm is of each channel over the whole clip."""
    for module in model.modules():
        first, norm = getattr(module, "conv", None), getattr(module, "layer_norm", None)
        if (
            isinstance(first, nn.Conv1d)
            and isinstance(norm, nn.GroupNorm)
            and first.in_channels == 1
            and _is_plain(first)
            and first.padding == (0,)
            and norm.num_groups == norm.num_channels
        ):
            yield module, first, norm


def _convolutions(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Conv1d]]:
    """Those over time that hear all channels at once."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if type(child) is nn.Conv1d and _is_plain(child):
                yield parent, name, child


def _is_plain(convolution: nn.Conv1d) -> bool:
    return (
        convolution.groups == 1
        and convolution.dilation == (1,)
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
    )
