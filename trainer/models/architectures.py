"""The model types that fine-tune here, one row each. Nothing else asks which architecture a checkpoint is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import UserError

CONFIG_BYTES = 2**20  # a real config.json has a few kilobytes


@dataclass(frozen=True)
class Architecture:
    """A CTC model on raw audio.

    `attention_mask`: whether a padded batch needs one. None: the config's `feat_extract_norm` decides, since a
    model with "group" norm was trained without and gets worse with one.
    """

    model_type: str
    title: str
    attention_mask: bool | None = None


_ROWS = (
    Architecture("wav2vec2", "Wav2Vec2"),
    Architecture("wav2vec2-conformer", "Wav2Vec2-Conformer"),
    Architecture("hubert", "HuBERT"),
    Architecture("wavlm", "WavLM"),
    Architecture("unispeech", "UniSpeech"),
    Architecture("unispeech-sat", "UniSpeechSat"),
    Architecture("sew", "SEW"),
    Architecture("sew-d", "SEW-D"),
    Architecture("data2vec-audio", "Data2VecAudio", attention_mask=True),
)

ARCHITECTURES: dict[str, Architecture] = {row.model_type: row for row in _ROWS}


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint, checked to be of a known type. Raises UserError."""
    file = folder / "config.json"
    try:
        if file.stat().st_size > CONFIG_BYTES:
            raise ValueError
        config = json.loads(file.read_text(encoding="utf-8"))
        model_type = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            "This is not a model I can read: its config.json is missing or broken.", "Choose another model."
        ) from None
    if model_type not in ARCHITECTURES:
        raise UserError(
            f"This model is of the kind “{str(model_type)[:40]}”, not one that writes down speech letter by letter.",
            f"Choose one of these kinds: {', '.join(row.title for row in _ROWS)}.",
        )
    return config


def wants_attention_mask(config: dict[str, Any]) -> bool:
    """Whether padded batches of this model come with a mask."""
    fixed = ARCHITECTURES[config["model_type"]].attention_mask
    return config.get("feat_extract_norm", "group") == "layer" if fixed is None else fixed


def output_frames(config: dict[str, Any], samples: int) -> int:
    """CTC frames for so many samples: each layer of the front end shortens by its kernel and stride."""
    length = samples
    for kernel, stride in zip(config["conv_kernel"], config["conv_stride"], strict=True):
        length = (length - kernel) // stride + 1
    if config.get("add_adapter"):
        for _ in range(config.get("num_adapter_layers", 3)):
            length = (length - 1) // config.get("adapter_stride", 2) + 1
    return max(0, length)
