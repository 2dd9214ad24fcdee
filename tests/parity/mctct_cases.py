"""Models and sounds that M-CTC-T's recordings are about. Drawn, not stored: numpy's RandomState never changes."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RECORDING = Path(__file__).parent / "mctct.safetensors"
RATE = 16000  # Hz
SECONDS = {"clip": 1.3, "shorter": 0.7, "long": 8.0, "short": 0.08, "two_frames": 0.04}
EVERY = 10  # of the long recordings only each tenth frame is kept


@dataclass(frozen=True)
class Case:
    """A small model. `lengths` are feature frames: of the clips in a padded batch, then of single clips without mask.

    `masks` is False where Transformers 4 cannot make a mask (several convolutions with strides over 1).
    """

    config: Mapping[str, Any]
    batch: tuple[int, ...] = (70, 41, 21)
    single: tuple[int, ...] = (70,)
    masks: bool = True


_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "attention_head_dim": 8,
    "intermediate_size": 48,
    "vocab_size": 11,
    "max_position_embeddings": 60,
}

CASES: dict[str, Case] = {
    # As published but for the size: also what the feature extractor's output is fed to.
    "one_convolution": Case(_SMALL),
    # Other widths everywhere, an even kernel, another activation, and a blank at id 0.
    "other_widths": Case(
        {
            **_SMALL,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "hidden_act": "gelu",
            "input_feat_per_channel": 12,
            "input_channels": 2,
            "conv_kernel": [8],
            "conv_stride": [4],
            "layer_norm_eps": 1e-3,
            "pad_token_id": 0,
            "ctc_loss_reduction": "mean",
        }
    ),
    "two_convolutions": Case(
        {
            **_SMALL,
            "num_conv_layers": 2,
            "conv_kernel": [5, 7],
            "conv_stride": [1, 3],
            "conv_channels": [24, 12],
            "input_feat_per_channel": 10,
        }
    ),
    "three_convolutions": Case(
        {
            **_SMALL,
            "num_conv_layers": 3,
            "conv_kernel": [7, 5, 3],
            "conv_stride": [3, 2, 1],
            "conv_channels": [32, 16, 8],
            "input_feat_per_channel": 10,
        },
        masks=False,
    ),
    # The published limit, met and passed: 920, 921 and 1000 frames.
    "limit": Case(
        {**_SMALL, "hidden_size": 16, "num_attention_heads": 2, "max_position_embeddings": 920}
        | {"input_feat_per_channel": 6},
        batch=(2760, 1500),
        single=(2760, 2763, 3000),
    ),
    # Far past the limit: most pairs of frames have no score for their distance.
    "far_past": Case({**_SMALL, "max_position_embeddings": 5, "input_feat_per_channel": 6}),
}


def draw_weights(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    """A value for each weight, by its name and shape alone; norms' weights around 1."""
    weights = {}
    for name, shape in shapes.items():
        values = _random(name, seed).standard_normal(shape).astype(np.float32) * np.float32(0.25)
        is_factor = "norm" in name.lower() and name.endswith("weight")
        weights[name] = values + np.float32(1) if is_factor else values
    return weights


def draw_features(config: Mapping[str, Any], frames: int, seed: int = 0) -> np.ndarray:
    """(frames, features) with mean 0 and variance 1."""
    width = config.get("input_feat_per_channel", 80) * config.get("input_channels", 1)
    return _random(f"features {frames}", seed).standard_normal((frames, width)).astype(np.float32)


def draw_labels(config: Mapping[str, Any], clips: int) -> np.ndarray:
    """(clips, 3); the last clip has one label and two times -100."""
    labels = _random("labels", clips).randint(2, config["vocab_size"], (clips, 3))
    labels[-1, 1:] = -100
    return labels


def draw_waveform(name: str) -> np.ndarray:
    """A gliding tone in noise, with a pause, of `SECONDS[name]`; float32."""
    count = int(SECONDS[name] * RATE)
    time = np.arange(count) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (150 * time + 40 * time**2)) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time))
    noise = 0.01 * _random(name, 0).standard_normal(count)
    pause = (time % 1.0) > 0.9
    return np.where(pause, noise / 100, tone + noise).astype(np.float32)


def padded(items: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Clips (frames, features) -> a batch padded with zeros, and its mask."""
    longest = max(len(item) for item in items)
    batch = np.stack([np.pad(item, ((0, longest - len(item)), (0, 0))) for item in items])
    mask = np.stack([np.arange(longest) < len(item) for item in items]).astype(np.int64)
    return batch, mask


def _random(name: str, seed: int) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(f"{name} {seed}".encode()))
