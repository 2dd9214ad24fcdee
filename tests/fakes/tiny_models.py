"""Tiny random models, one a model type of the table: real classes, a few thousand parameters."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCTC, PreTrainedModel

from trainer.models import mctct, whisper_ctc

_BODY: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.02,
    "vocab_size": 8,
    "pad_token_id": 0,
}
_FRONT: dict[str, Any] = {
    **_BODY,
    "conv_dim": (8,) * 7,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
_SEW: dict[str, Any] = {**_FRONT, "squeeze_factor": 2}

TINY: dict[str, dict[str, Any]] = {
    "wav2vec2": _FRONT,
    "wav2vec2-conformer": _FRONT,
    "hubert": _FRONT,
    "wavlm": _FRONT,
    "unispeech": _FRONT,
    "unispeech-sat": _FRONT,
    "sew": _SEW,
    "sew-d": {**_SEW, "max_position_embeddings": 512, "position_buckets": 32},
    "data2vec-audio": {**_FRONT, "conv_pos_kernel_size": 3, "num_conv_pos_embeddings": 2},
    "mctct": {**_BODY, "attention_head_dim": 8, "input_feat_per_channel": 80},
    "wav2vec2-bert": _BODY,
    "parakeet_ctc": {
        "vocab_size": 8,
        "pad_token_id": 0,
        "encoder_config": {
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "subsampling_conv_channels": 8,
        },
    },
    "whisper_ctc": {
        "d_model": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "initializer_range": 0.02,
        "head_layers": 1,
        "head_kernel": 3,
        "vocab_size": 8,
        "pad_token_id": 0,
    },
}


# Large enough to learn a few clips by heart. Weights as small as the published ones' would let no gradient through.
_LEARNING_BODY: dict[str, Any] = {
    "hidden_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "initializer_range": 0.1,
}
_LEARNING: dict[str, Any] = {
    **_LEARNING_BODY,
    "conv_dim": (16, 16, 32, 32, 64, 64, 64),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "attention_head_dim": 24,
    "encoder_config": {**_LEARNING_BODY, "subsampling_conv_channels": 32},
    "d_model": 96,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 256,
}


def tiny_model(model_type: str) -> PreTrainedModel:
    """In evaluation mode."""
    return _model(model_type, TINY[model_type])


def learning_model(model_type: str) -> PreTrainedModel:
    """The same with some 300,000 parameters, of which each model takes what it has."""
    return _model(model_type, {key: _LEARNING.get(key, value) for key, value in TINY[model_type].items()})


def save_tiny(model_type: str, folder: Path, **values: Any) -> None:
    """One with these config values."""
    _model(model_type, TINY[model_type] | values).save_pretrained(folder)


def _model(model_type: str, config: dict[str, Any]) -> PreTrainedModel:
    mctct.register()
    whisper_ctc.register()
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCTC.from_config(AutoConfig.for_model(model_type, **config))
    return model.eval()
