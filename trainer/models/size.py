"""How large a base is, from the table, from its folder or from the Hub, without its weights."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from trainer.errors import UserError
from trainer.hub.inspect import peek_model
from trainer.models.base_ref import BaseRef, Folder, HubId, Starter
from trainer.models.catalog import BASES, BYTES_EACH, STARTER_ID, Base
from trainer.models.frames import WHISPER_STRIDE
from trainer.models.model_config import ModelConfig
from trainer.settings import STARTER, Settings

SAMPLE_RATE = 16_000
_STACKED_MS = 20  # wav2vec2-bert: two frames of 10 ms side by side
_MEL_MS = 10  # parakeet, M-CTC-T and Whisper, before their convolutions
_WHISPER_KERNEL = 3


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


def shape_of(config: ModelConfig) -> Shape:
    """What its config.json, and where that does not say its kind, tells of a model."""
    values, kind = config.complete, config.architecture.model_type
    if kind == "whisper_ctc":
        return _whisper(values)
    body = values.get("encoder_config", values)
    common: dict[str, Any] = {
        "layers": max(1, body["num_hidden_layers"]),
        "hidden": max(1, body["hidden_size"]),
        "inner": max(1, body["intermediate_size"]),
        "heads": max(1, body["num_attention_heads"]),
    }
    if kind == "wav2vec2-bert":
        return Shape(**common, frames_per_second=1000 / _STACKED_MS, conformer=True)
    if kind == "parakeet_ctc":
        return Shape(**common, frames_per_second=1000 / _MEL_MS / max(1, body["subsampling_factor"]), conformer=True)
    if kind == "mctct":
        return Shape(**common, frames_per_second=1000 / _MEL_MS / prod(values["conv_stride"]))
    return Shape(**common, **_convolutions(values), conformer=kind == "wav2vec2-conformer")


def _whisper(values: Mapping[str, Any]) -> Shape:
    hidden, mels = max(1, values["d_model"]), 1000 / _MEL_MS
    frames = mels / WHISPER_STRIDE
    return Shape(
        layers=max(1, values["encoder_layers"]),
        hidden=hidden,
        inner=max(1, values["encoder_ffn_dim"]),
        heads=max(1, values["encoder_attention_heads"]),
        frames_per_second=frames,
        channels_per_second=(mels + frames) * hidden,
        widest_per_second=(mels + frames) * hidden,
        front_gflop=2 * _WHISPER_KERNEL * hidden * (mels * values["num_mel_bins"] + frames * hidden) / 1e9,
    )


def _convolutions(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a `Shape` tells of the convolutions on raw audio."""
    rate, before, held, gflop = float(SAMPLE_RATE), 1, list[float](), 0.0
    for dim, kernel, stride in zip(values["conv_dim"], values["conv_kernel"], values["conv_stride"], strict=False):
        rate /= stride
        held.append(rate * dim)
        gflop += 2 * rate * dim * before * kernel / 1e9
        before = dim
    return {
        "frames_per_second": rate / values.get("squeeze_factor", 1),
        "channels_per_second": sum(held),
        "widest_per_second": max((a + b for a, b in pairwise(held)), default=sum(held)),
        "front_gflop": gflop,
    }


_HEADS_AND_FRONT = 1.08  # parameters that are not in the repeated layers, in models where nobody counted them
_MOST_ASKED = 1000  # on a Space strangers name them
_asked: LRUCache[HubId, "Sizes"] = LRUCache(_MOST_ASKED)
_asking = threading.Lock()  # of each touch: reading one makes it the newest


@dataclass(frozen=True)
class Sizes:
    """What decides memory and time. `parameters` in all, `download_bytes` of the files that hold them."""

    shape: Shape
    parameters: int
    download_bytes: int


def sizes_of(base: BaseRef) -> Sizes | None:
    """Of a row of the table, of a folder, or of what was asked for before.

    None for what only the Hub knows, and for a folder without a model that could be trained.
    """
    match base:
        case Starter():
            return _of_row(BASES[STARTER_ID])
        case HubId(row=Base() as row):
            return _of_row(row)
        case HubId():
            with _asking:
                return _asked.get(base)
        case Folder(path):
            try:
                config = ModelConfig.read(path)
            except UserError:
                return None
            return _sizes(config, sum(file.stat().st_size for file in path.glob("*.safetensors")))


def ask_sizes(base: HubId, settings: Settings) -> Sizes:
    """Also of what only the Hub knows, by its config.json alone. Raises UserError where the Hub does not tell, and
    for a model of a kind that cannot be trained."""
    if known := sizes_of(base):
        return known
    from huggingface_hub import constants

    peek = peek_model(
        base.id,
        endpoint=settings.hub_endpoint,
        cache_dir=settings.models_dir,
        shared=Path(constants.HF_HUB_CACHE),  # as `resolve.fetch`
    )
    sizes = _sizes(ModelConfig(dict(peek.config)), peek.weight_bytes)
    with _asking:
        _asked[base] = sizes
    return sizes


def _of_row(row: Base) -> Sizes:
    config = ModelConfig.read(STARTER) if row.id == STARTER_ID else ModelConfig(dict(row.config))
    return Sizes(shape_of(config), row.parameters, row.download_bytes)


def _sizes(config: ModelConfig, weight_bytes: int) -> Sizes:
    """Weights may be stored in 16 bits; then the layers say more of their number than the file does. A plain Whisper's
    file holds a decoder too."""
    shape = shape_of(config)
    if config.architecture.model_type == "whisper_ctc":
        parameters = shape.layer_weights + _whisper_rest(config.complete)
    else:
        parameters = max(weight_bytes // BYTES_EACH, int(shape.layer_weights * _HEADS_AND_FRONT))
    return Sizes(shape, parameters, weight_bytes or BYTES_EACH * parameters)


def _whisper_rest(values: Mapping[str, Any]) -> int:
    """Parameters beside the layers: the convolutions, the positions and the head but for its labels."""
    width = values["d_model"]
    head = values["d_model"] if values["head_size"] is None else values["head_size"]
    front = _WHISPER_KERNEL * width * (values["num_mel_bins"] + width) + width * values["max_source_positions"]
    sizes = [width, *[head] * values["head_layers"]]
    return front + values["head_kernel"] * sum(before * after for before, after in pairwise(sizes))
