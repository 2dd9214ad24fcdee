"""The model types that fine-tune here, one row each. Nothing else asks which architecture a checkpoint is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.hub.reading import CONFIG_BYTES, read_json
from trainer.models.frames import (
    HOP,
    convolved,
    from_mctct_features,
    from_pooled_samples,
    from_samples,
    from_stacked_features,
    from_subsampled_features,
    kept_to_pool,
)
from trainer.models.limits import check_limits

LONGEST_FIRST_FRAME = 16_000  # samples; real models need a twentieth
# Samples from one CTC frame to the next: 320 to 1280 in published models. A step of one sample, which no weight shows,
# would make attention take the square of 16,000 frames a second of memory.
STRIDES = range(160, 3201)

_EVERYWHERE = ("eager", "sdpa")
_DROPOUTS = ("attention_dropout", "hidden_dropout", "activation_dropout")
# layerdrop's random skips help only in long trainings of large models, and cost reproducibility
_ZEROED = ("feat_proj_dropout", "final_dropout", "layerdrop")


@dataclass(frozen=True)
class Architecture:
    """A CTC model on audio at 16 kHz.

    `frames`: CTC frames by (config, samples). `kept`: of so many samples those that it can use, likewise.
    `listener`: the kind of extractor and processor, a row of `listeners.LISTENERS`. `input_name`: what the model's
    forward calls its sound; `hop`: samples from one of its inputs to the next. `positions`: the config key of the most
    frames that it can tell the order of, where there is a most.
    `attention`: the implementations that it has. `attention_mask`: whether a padded batch needs one; None: the config's
    `feat_extract_norm` decides, since a model with "group" norm was trained without and gets worse with one.
    `head`: the attribute of its CTC head. `freezes`: whether it has `freeze_feature_encoder()`.
    `dropouts` are config keys set to a recipe's dropout, `zeroed` those that are 0 whenever it chooses one; they lie in
    the config's part `part`, if there is one.
    `masks_time`: whether it knows SpecAugment's `mask_time_*`; `masks_features` likewise.
    """

    model_type: str
    title: str
    frames: Callable[[dict[str, Any], int], int] = from_samples
    kept: Callable[[dict[str, Any], int], int] = lambda config, samples: samples
    listener: str = "samples"
    input_name: str = "input_values"
    hop: int = 1
    positions: str | None = None
    attention: tuple[str, ...] = _EVERYWHERE
    attention_mask: bool | None = None
    head: str = "lm_head"
    freezes: bool = True
    part: str | None = None
    dropouts: tuple[str, ...] = _DROPOUTS
    zeroed: tuple[str, ...] = _ZEROED
    masks_time: bool = True
    masks_features: bool = True

    def with_dropout(self, share: float) -> dict[str, Any]:
        """Config values for training with this dropout."""
        values = dict.fromkeys(self.dropouts, share) | dict.fromkeys(self.zeroed, 0.0)
        return {self.part: values} if self.part else values


_ROWS = (
    Architecture("wav2vec2", "Wav2Vec2"),
    Architecture("wav2vec2-conformer", "Wav2Vec2-Conformer", zeroed=(*_ZEROED, "conformer_conv_dropout")),
    Architecture("hubert", "HuBERT"),
    Architecture("wavlm", "WavLM", attention=("eager",), masks_features=False),  # masking features crashes it
    Architecture("unispeech", "UniSpeech"),
    Architecture("unispeech-sat", "UniSpeechSat"),
    Architecture("sew", "SEW", from_pooled_samples, kept=kept_to_pool),
    Architecture(
        "sew-d",
        "SEW-D",
        from_pooled_samples,
        kept=kept_to_pool,
        attention=("eager",),
        zeroed=("feat_proj_dropout", "final_dropout"),
    ),
    Architecture("data2vec-audio", "Data2VecAudio", attention_mask=True),
    Architecture(
        "mctct",
        "M-CTC-T",
        from_mctct_features,
        listener="mctct",
        input_name="input_features",
        hop=HOP,
        positions="max_position_embeddings",
        attention=("eager",),
        attention_mask=True,
        head="ctc_head",
        dropouts=("attention_dropout", "hidden_dropout"),
        zeroed=("feat_proj_dropout", "layerdrop"),
    ),
    Architecture(
        "wav2vec2-bert",
        "Wav2Vec2-BERT",
        from_stacked_features,
        listener="stacked",
        input_name="input_features",
        hop=2 * HOP,
        attention_mask=True,
        freezes=False,
        zeroed=(*_ZEROED, "conformer_conv_dropout"),
    ),
    Architecture(
        "parakeet_ctc",
        "Parakeet-CTC",
        from_subsampled_features,
        listener="parakeet",
        input_name="input_features",
        hop=HOP,
        attention_mask=True,
        head="ctc_head",
        freezes=False,
        part="encoder_config",
        dropouts=("attention_dropout", "dropout", "activation_dropout"),
        zeroed=("dropout_positions", "layerdrop"),
        masks_time=False,
        masks_features=False,
    ),
)

ARCHITECTURES: dict[str, Architecture] = {row.model_type: row for row in _ROWS}


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint, checked to be of a known type and within bounds. Raises UserError."""
    config = read_json(folder, "config.json", CONFIG_BYTES)
    if config is None:
        raise UserError("This is not a model I can read: its config.json is missing.", "Choose another model.")
    check_architecture(config)
    return config


def check_architecture(config: dict[str, Any]) -> None:
    """Raises UserError for a config.json of a model type that is not in the table, or out of bounds."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise UserError("This is not a model I can read: its config.json names no kind.", "Choose another model.")
    if model_type not in ARCHITECTURES:
        raise UserError(
            f"This model is of the kind “{model_type[:40]}”, not one that writes down speech letter by letter.",
            f"Choose one of these kinds: {', '.join(row.title for row in _ROWS)}.",
        )
    check_limits(config)
    _check_frames(config)


def _check_frames(config: dict[str, Any]) -> None:
    try:
        hears = shortest_samples(config) <= LONGEST_FIRST_FRAME and frame_stride(config) in STRIDES
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        hears = False
    if not hears:
        raise UserError("This model's config.json does not tell how it listens.", "Choose another model.")


def wants_attention_mask(config: dict[str, Any]) -> bool:
    """Whether padded batches of this model come with a mask."""
    fixed = ARCHITECTURES[config["model_type"]].attention_mask
    return config.get("feat_extract_norm", "group") == "layer" if fixed is None else fixed


def output_frames(config: dict[str, Any], samples: int) -> int:
    """CTC frames for so many samples of a clip heard alone; 0 where it is too short to be heard."""
    return ARCHITECTURES[config["model_type"]].frames(config, samples)


def encoder_frames(config: dict[str, Any], samples: int) -> int:
    """Frames that the transformer sees: an adapter after it shortens them to those that are put out."""
    return output_frames({**config, "add_adapter": False}, samples)


def first_frames(config: dict[str, Any], samples: int) -> int:
    """Frames after the first convolution on raw audio; 0 for a model that takes features."""
    if ARCHITECTURES[config["model_type"]].hop > 1:
        return 0
    return max(0, convolved(samples, config["conv_kernel"][:1], config["conv_stride"][:1]))


def shortest_samples(config: dict[str, Any]) -> int:
    """The fewest samples that give a frame."""
    few, many = 0, 1
    while not output_frames(config, many):
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if output_frames(config, middle) else (middle, many)
    return many


def longest_samples(config: dict[str, Any]) -> int | None:
    """The most samples whose frames it can tell the order of; None where there is no most."""
    positions = ARCHITECTURES[config["model_type"]].positions
    return None if positions is None else config.get(positions, 920) * frame_stride(config)


def frame_stride(config: dict[str, Any]) -> int:
    """Samples from one CTC frame to the next: from how many more frames 100 s more give."""
    first = 16000  # samples: well past the windows of every front end
    frames, samples = output_frames(config, first), first
    long = first * 101
    return round((long - samples) / (output_frames(config, long) - frames))
