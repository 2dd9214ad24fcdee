"""A model's config.json, checked once: what kind it is, and how its CTC frames follow from samples at 16 kHz.

A plain Whisper (OpenAI's or somebody's fine-tune) is read as its encoder with a new CTC head: here its values become
those of "whisper_ctc", and nothing else knows of the difference but who asks for letters.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.hub.safe_json import CONFIG_BYTES, read_json
from trainer.models.architectures import ARCHITECTURES, Architecture
from trainer.models.config_limits import check_limits
from trainer.models.frames import convolved

LONGEST_FIRST_FRAME = 16_000  # samples; real models need a twentieth
# Samples from one CTC frame to the next: 320 to 1280 in published models. A step of one sample, which no weight shows,
# would make attention take the square of 16,000 frames a second of memory.
STRIDES = range(160, 3201)
WHISPER = "whisper"  # the model type of encoder and decoder
# What of its config.json makes the encoder, under the same names.
_ENCODER = (
    "num_mel_bins",
    "d_model",
    "encoder_layers",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "encoder_layerdrop",
    "activation_function",
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "scale_embedding",
    "max_source_positions",
)
NEW_HEAD_LAYERS = 2  # convolutions; alone over a frozen encoder they learn in minutes what a linear map cannot


@dataclass(frozen=True)
class ModelConfig:
    """The values of a config.json of a known kind and within bounds, as the file has them.

    Raises UserError for a model type that is not in the table, for values out of bounds, for those that name code or
    lead to files, and for a front end that gives no frames.
    """

    values: dict[str, Any]

    def __post_init__(self) -> None:
        model_type = self.values.get("model_type")
        if not isinstance(model_type, str) or not model_type:
            raise UserError("This is not a model I can read: its config.json names no kind.", "Choose another model.")
        if model_type not in ARCHITECTURES and model_type != WHISPER:
            raise UserError(
                f"This model is of the kind “{model_type[:40]}”, not one that writes down speech letter by letter.",
                f"Choose one of these kinds: {', '.join(row.title for row in ARCHITECTURES.values())}.",
            )
        check_limits(self.values)
        try:
            hears = self.shortest <= LONGEST_FIRST_FRAME and self.stride in STRIDES
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
            hears = False
        if not hears:
            raise UserError("This model's config.json does not tell how it listens.", "Choose another model.")

    @classmethod
    def read(cls, folder: Path) -> "ModelConfig":
        """Of a checkpoint's folder. Raises UserError, also where there is no config.json."""
        values = read_json(folder, "config.json", CONFIG_BYTES)
        if values is None:
            raise UserError("This is not a model I can read: its config.json is missing.", "Choose another model.")
        return cls(values)

    @property
    def architecture(self) -> Architecture:
        """The row of its model type."""
        return ARCHITECTURES[self.model_values["model_type"]]

    @property
    def model_values(self) -> dict[str, Any]:
        """The values of the model that is made of it, in its class's names."""
        return self.values if self.has_letters else _of_encoder(self.values)

    @property
    def has_letters(self) -> bool:
        """False where a vocab.json beside it does not list letters: a plain Whisper's lists its decoder's tokens."""
        return self.values["model_type"] != WHISPER

    @cached_property
    def complete(self) -> dict[str, Any]:
        """The values that are read here, with transformers' own where config.json does not say."""
        return self.architecture.complete(self.model_values)

    @property
    def labels(self) -> int | None:
        """Of its CTC head; None for a kind without a default whose config.json does not say."""
        labels: int | None = self.complete["vocab_size"]
        return labels

    @property
    def wants_attention_mask(self) -> bool:
        """Whether padded batches of this model come with a mask."""
        fixed = self.architecture.attention_mask
        return self.complete["feat_extract_norm"] == "layer" if fixed is None else fixed

    def frames(self, samples: int) -> int:
        """CTC frames for so many samples of a clip heard alone; 0 where it is too short to be heard."""
        return self.architecture.frames(self.complete, samples)

    def encoder_frames(self, samples: int) -> int:
        """Frames that the transformer sees: an adapter after it shortens them to those that are put out."""
        return self.architecture.frames({**self.complete, "add_adapter": False}, samples)

    def first_frames(self, samples: int) -> int:
        """Frames after the first convolution on raw audio; 0 for a model that takes features."""
        if self.architecture.hop > 1:
            return 0
        return max(0, convolved(samples, self.complete["conv_kernel"][:1], self.complete["conv_stride"][:1]))

    def kept(self, samples: int) -> int:
        """Of so many samples at 16 kHz those that it can use: SEW drops what makes no whole pool of frames."""
        return self.architecture.kept(self.complete, samples)

    @cached_property
    def shortest(self) -> int:
        """The fewest samples at 16 kHz that give a frame."""
        few, many = 0, 1
        while not self.frames(many):
            few, many = many, 2 * many
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if self.frames(middle) else (middle, many)
        return many

    @property
    def longest(self) -> int | None:
        """The most samples whose frames it can tell the order of; None where there is no most."""
        positions = self.architecture.positions
        return None if positions is None else int(self.complete[positions]) * self.stride

    @cached_property
    def stride(self) -> int:
        """Samples from one CTC frame to the next: from how many more frames 100 s more give."""
        first = 16000  # samples: well past the windows of every front end
        long = first * 101
        return round((long - first) / (self.frames(long) - self.frames(first)))


def _of_encoder(values: dict[str, Any]) -> dict[str, Any]:
    """A plain Whisper's values as "whisper_ctc" has them, with a new head and no labels yet."""
    kept = {name: values[name] for name in _ENCODER if values.get(name) is not None}
    if values.get("init_std") is not None:
        kept["initializer_range"] = values["init_std"]
    return {"model_type": "whisper_ctc", "head_layers": NEW_HEAD_LAYERS, **kept}
