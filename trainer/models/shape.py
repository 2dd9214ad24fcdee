"""The sizes of a model that decide how much memory and time a training takes, read from its config."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

SAMPLE_RATE = 16_000
_STACKED_MS = 20  # wav2vec2-bert: two frames of 10 ms side by side
_MEL_MS = 10  # parakeet and M-CTC-T, before their convolutions


@dataclass(frozen=True)
class Shape:
    """What is repeated `layers` times, and the convolutions in front of it.

    `frames_per_second` of the layers' own; `channels_per_second` are the values that the convolutions hold for a
    second of audio, all layers together, and `widest_per_second` those of the largest two neighbours.
    """

    layers: int
    hidden: int
    inner: int
    heads: int
    frames_per_second: float = 50.0
    channels_per_second: float = 0.0
    widest_per_second: float = 0.0
    front_gflop: float = 0.0  # multiplications and additions of the convolutions, for a second of audio
    conformer: bool = False  # two feed-forwards and a convolution a layer

    @property
    def layer_weights(self) -> int:
        """Parameters of all the repeated layers."""
        attention, feed_forward = 4 * self.hidden**2, 2 * self.hidden * self.inner
        more = feed_forward + 3 * self.hidden**2 if self.conformer else 0
        return self.layers * (attention + feed_forward + more)

    def forward_gflop(self, clip_seconds: float) -> float:
        """Billions of operations that a second of audio takes in a clip so long, forwards."""
        attention = 2 * self.layers * 2 * self.frames_per_second * clip_seconds * self.hidden
        return self.front_gflop + self.frames_per_second * (2 * self.layer_weights + attention) / 1e9


def shape_of(config: Mapping[str, Any]) -> Shape:
    """From a config.json that `limits.check_limits` found in bounds; what it does not say is as in wav2vec2-base."""
    inner_config = config.get("encoder_config")
    body = inner_config if isinstance(inner_config, Mapping) else config
    common: dict[str, Any] = {
        "layers": _number(body, "num_hidden_layers", 12),
        "hidden": _number(body, "hidden_size", 768),
        "inner": _number(body, "intermediate_size", 3072),
        "heads": _number(body, "num_attention_heads", 12),
    }
    kind = config.get("model_type")
    if kind == "wav2vec2-bert":
        return Shape(**common, frames_per_second=1000 / _STACKED_MS, conformer=True)
    if kind == "parakeet_ctc":
        return Shape(
            **common, frames_per_second=1000 / _MEL_MS / _number(body, "subsampling_factor", 8), conformer=True
        )
    if kind == "mctct":
        return Shape(**common, frames_per_second=1000 / _MEL_MS / prod(_list(config, "conv_stride", [3])))
    return _with_convolutions(config, common)


def _with_convolutions(config: Mapping[str, Any], common: dict[str, Any]) -> Shape:
    dims = _list(config, "conv_dim", [512] * 7)
    kernels = _list(config, "conv_kernel", [10, 3, 3, 3, 3, 2, 2])
    strides = _list(config, "conv_stride", [5, 2, 2, 2, 2, 2, 2])
    rate, before, held, gflop = float(SAMPLE_RATE), 1, [], 0.0
    for dim, kernel, stride in zip(dims, kernels, strides, strict=False):
        rate /= stride
        held.append(rate * dim)
        gflop += 2 * rate * dim * before * kernel / 1e9
        before = dim
    return Shape(
        **common,
        frames_per_second=rate / _number(config, "squeeze_factor", 1),
        channels_per_second=sum(held),
        widest_per_second=max((a + b for a, b in pairwise(held)), default=sum(held)),
        front_gflop=gflop,
        conformer=config.get("model_type") == "wav2vec2-conformer",
    )


def _number(config: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = config.get(name)
    return value if isinstance(value, int) and value > 0 else otherwise


def _list(config: Mapping[str, Any], name: str, otherwise: list[int]) -> list[int]:
    value = config.get(name)
    return [int(item) for item in value] if isinstance(value, list) and value else otherwise
