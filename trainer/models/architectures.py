"""The model types that fine-tune here, one row each. Nothing else asks which architecture a checkpoint is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.hub.reading import CONFIG_BYTES, read_json
from trainer.models.frames import (
    from_mctct_features,
    from_samples,
    from_stacked_features,
    from_subsampled_features,
)

_DROPOUTS = ("attention_dropout", "hidden_dropout", "activation_dropout")
_EVERYWHERE = ("eager", "sdpa")


@dataclass(frozen=True)
class Architecture:
    """A CTC model on audio at 16 kHz.

    `frames`: CTC frames by (config, samples). `input_name`: what the model's forward calls its sound.
    `attention`: the implementations that it has. `attention_mask`: whether a padded batch needs one; None: the config's
    `feat_extract_norm` decides, since a model with "group" norm was trained without and gets worse with one.
    `head`: the attribute of its CTC head. `freezes`: whether it has `freeze_feature_encoder()`.
    `dropouts` are config keys set to a recipe's dropout, `zeroed` those that are 0 whenever it chooses one.
    `masks_time`: whether it knows SpecAugment's `mask_time_*`; `masks_features` likewise. `trains`: whether its input
    path is built here; others are refused with a sentence.
    """

    model_type: str
    title: str
    frames: Callable[[dict[str, Any], int], int] = from_samples
    input_name: str = "input_values"
    attention: tuple[str, ...] = _EVERYWHERE
    attention_mask: bool | None = None
    head: str = "lm_head"
    freezes: bool = True
    dropouts: tuple[str, ...] = _DROPOUTS
    # layerdrop's random skips help only in long trainings of large models, and cost reproducibility
    zeroed: tuple[str, ...] = ("feat_proj_dropout", "final_dropout", "layerdrop")
    masks_time: bool = True
    masks_features: bool = True
    trains: bool = True


_ROWS = (
    Architecture("wav2vec2", "Wav2Vec2"),
    Architecture("wav2vec2-conformer", "Wav2Vec2-Conformer"),
    Architecture("hubert", "HuBERT"),
    Architecture("wavlm", "WavLM", attention=("eager",), masks_features=False),  # masking features crashes it
    Architecture("unispeech", "UniSpeech"),
    Architecture("unispeech-sat", "UniSpeechSat"),
    Architecture("sew", "SEW"),
    Architecture("sew-d", "SEW-D", attention=("eager",), zeroed=("feat_proj_dropout", "final_dropout")),
    Architecture("data2vec-audio", "Data2VecAudio", attention_mask=True),
    Architecture(
        "mctct",
        "M-CTC-T",
        from_mctct_features,
        input_name="input_features",
        attention=("eager",),
        attention_mask=True,
        head="ctc_head",
        dropouts=("attention_dropout", "hidden_dropout"),
        zeroed=("feat_proj_dropout", "layerdrop"),
        trains=False,
    ),
    Architecture(
        "wav2vec2-bert",
        "Wav2Vec2-BERT",
        from_stacked_features,
        input_name="input_features",
        attention_mask=True,
        freezes=False,
        trains=False,
    ),
    Architecture(
        "parakeet_ctc",
        "Parakeet-CTC",
        from_subsampled_features,
        input_name="input_features",
        attention_mask=True,
        head="ctc_head",
        freezes=False,
        dropouts=(),  # they lie in encoder_config
        zeroed=(),
        masks_time=False,
        masks_features=False,
        trains=False,
    ),
)

ARCHITECTURES: dict[str, Architecture] = {row.model_type: row for row in _ROWS}


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint, checked to be of a known type. Raises UserError."""
    config = read_json(folder, "config.json", CONFIG_BYTES)
    if config is None:
        raise UserError("This is not a model I can read: its config.json is missing.", "Choose another model.")
    check_kind(config)
    return config


def check_kind(config: dict[str, Any]) -> None:
    """Raises UserError for a config.json of a model type that is not in the table."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise UserError("This is not a model I can read: its config.json names no kind.", "Choose another model.")
    if model_type not in ARCHITECTURES or not ARCHITECTURES[model_type].trains:
        raise UserError(
            f"This model is of the kind “{model_type[:40]}”, not one that writes down speech letter by letter.",
            f"Choose one of these kinds: {', '.join(row.title for row in _ROWS if row.trains)}.",
        )


def wants_attention_mask(config: dict[str, Any]) -> bool:
    """Whether padded batches of this model come with a mask."""
    fixed = ARCHITECTURES[config["model_type"]].attention_mask
    return config.get("feat_extract_norm", "group") == "layer" if fixed is None else fixed


def output_frames(config: dict[str, Any], samples: int) -> int:
    """CTC frames for so many samples of a clip heard alone."""
    return ARCHITECTURES[config["model_type"]].frames(config, samples)


def frame_stride(config: dict[str, Any]) -> int:
    """Samples from one CTC frame to the next: from how many more frames 100 s more give."""
    first = 16000  # samples: well past the windows of every front end
    frames, samples = output_frames(config, first), first
    long = first * 101
    return round((long - samples) / (output_frames(config, long) - frames))
