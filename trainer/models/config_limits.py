"""Bounds on a visitor's JSON files, checked before anything is built from them: no size in them may take all memory.

Nothing of these files reaches a loader of transformers (see `models.build`), so a key that no loader here knows is
harmless and passes. Those that make one open another file or run code are refused all the same, with a sentence.
"""

from collections.abc import Iterator
from typing import Any

from trainer.errors import UserError

# The most of each value that decides an allocation; the largest published CTC models (2 B) stay well inside.
MOST = {
    "hidden_size": 4096,
    "num_hidden_layers": 96,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "d_model": 4096,
    "encoder_layers": 96,
    "encoder_attention_heads": 128,
    "encoder_ffn_dim": 32_768,
    "head_layers": 16,
    "head_kernel": 64,
    "head_size": 4096,
    "attention_head_dim": 1024,
    "intermediate_size": 32_768,
    "vocab_size": 100_000,  # Chinese has some thousands
    "feature_projection_input_dim": 4096,
    "input_feat_per_channel": 512,
    "input_channels": 16,
    "num_mel_bins": 512,
    "num_conv_layers": 16,
    "conv_kernel_size": 1024,
    "subsampling_factor": 64,
    "subsampling_conv_channels": 4096,
    "subsampling_conv_kernel_size": 64,
    "subsampling_conv_stride": 64,
    "num_feat_extract_layers": 16,
    "num_conv_pos_embeddings": 1024,
    "num_conv_pos_embedding_groups": 256,
    "num_codevectors_per_group": 4096,
    "num_codevector_groups": 64,
    "codevector_dim": 4096,
    "proj_codevector_dim": 4096,
    "num_clusters": 10_000,
    "num_negatives": 10_000,
    "num_adapter_layers": 16,
    "adapter_kernel_size": 64,
    "adapter_stride": 64,
    "adapter_attn_dim": 4096,
    "output_hidden_size": 4096,
    "classifier_proj_size": 8192,
    "xvector_output_dim": 8192,
    "max_bucket_distance": 10_000,
    "num_buckets": 10_000,
    "max_position_embeddings": 100_000,
    "max_source_positions": 100_000,
    "left_max_position_embeddings": 10_000,
    "right_max_position_embeddings": 10_000,
    "conv_depthwise_kernel_size": 1024,
    "conv_pos_kernel_size": 1024,
    "squeeze_factor": 64,
    "position_buckets": 10_000,
    "mask_time_length": 10_000,
    "mask_feature_length": 10_000,
    "mask_time_min_masks": 1000,
    "mask_feature_min_masks": 1000,
}
MOST_IN_LIST = {
    "conv_dim": 4096,
    "conv_kernel": 256,
    "conv_stride": 64,
    "conv_channels": 4096,
    "tdnn_dim": 8192,
    "tdnn_kernel": 64,
    "tdnn_dilation": 64,
}
LIST_LENGTH = 32
DEPTH = 8
WHOLE = 2**31  # of any number at all
TEXT = 4096  # characters of a value
ELSEWHERE = "Choose another model."
# What makes transformers import code from the repo or the Hub; what makes it open another file or repo.
_CODE = ("auto_map", "trust_remote_code", "custom_pipelines", "custom_generate", "kernel_config", "use_kernels")
_FILES = ("configuration_files", "transformers_weights", "fusion_config", "base_model_name_or_path", "extra_files")
_ATTENTION = ("attn_implementation", "experts_implementation")  # also with "_" before and "_internal" after
# Written by transformers on somebody's machine, often with paths of it, and opened by nothing here.
_NOTES = ("_name_or_path", "name_or_path", "special_tokens_map_file")


def check_limits(config: dict[str, Any]) -> None:
    """Raises UserError for a config.json that names code, leads to files, or has a size out of bounds."""
    check_values(config, "config.json")
    for name, value in _values(config, DEPTH, "config.json"):
        if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) < WHOLE:  # NaN too
            raise _out_of_bounds(name)
        if isinstance(value, dict):
            _check_sizes(value)


def _check_sizes(values: dict[str, Any]) -> None:
    """Of config.json itself or of one that is nested in it."""
    for name, value in values.items():
        if value is None:
            continue
        if name in MOST and not _whole(value, MOST[name]):
            raise _out_of_bounds(name)
        if name in MOST_IN_LIST and not _list(value, MOST_IN_LIST[name]):
            raise _out_of_bounds(name)
        if name in ("initializer_range", "init_std") and not (isinstance(value, int | float) and 0 <= value <= 10):
            raise _out_of_bounds(name)
    named = (values.get(name) for name in ("conv_dim", "conv_kernel", "conv_stride"))
    front_end = [value for value in named if isinstance(value, list)]
    if len({len(value) for value in front_end}) > 1:
        raise _out_of_bounds("conv_kernel")


def check_values(values: dict[str, Any], file: str) -> None:
    """Raises UserError for a JSON file of a model that names code or a template, leads to files, or is absurd."""
    for name, value in _values(values, DEPTH, file):
        if name == "auto_map" or (name in _CODE and value):
            raise UserError("This model brings code of its own, which Voicetune does not run.", ELSEWHERE)
        if name.strip("_").removesuffix("_internal") in _ATTENTION and isinstance(value, str) and "/" in value:
            raise UserError("This model asks for code from the Hub, which Voicetune does not run.", ELSEWHERE)
        if name == "chat_template" and value:
            raise UserError("This model brings a chat template, which is code, and Voicetune runs none.", ELSEWHERE)
        if name == "quantization_config" and value:
            raise UserError("This model's weights are quantised, which Voicetune cannot open.", ELSEWHERE)
        if (name in _FILES and value) or (isinstance(value, str) and name not in _NOTES and _leads_to_files(value)):
            raise UserError(f"This model's {file} points to files outside the model.", ELSEWHERE)
        if isinstance(value, str) and len(value) > TEXT:
            raise UserError(f"This model's {file} is far longer than any real one.", ELSEWHERE)


def _values(value: Any, depth: int, file: str, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with the name it has, or its list has."""
    if depth == 0:
        raise UserError(f"This model's {file} is nested deeper than any real one.", ELSEWHERE)
    yield name, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, depth - 1, file, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, depth - 1, file, name)


def _whole(value: Any, most: int, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _list(value: Any, most: int) -> bool:
    if isinstance(value, int):  # M-CTC-T's kernels may be one number
        return _whole(value, most, least=1)
    return (
        isinstance(value, list) and 0 < len(value) <= LIST_LENGTH and all(_whole(item, most, least=1) for item in value)
    )


def _leads_to_files(text: str) -> bool:
    if len(text) < 2:  # a letter of the vocabulary
        return False
    return text.startswith(("/", "\\", "~", "file:")) or ".." in text or "://" in text or text[1:3] in (":\\", ":/")


def _out_of_bounds(name: str) -> UserError:
    shown = name if name in MOST or name in MOST_IN_LIST else "number"
    return UserError(f"This model's config.json has a {shown} that no real model has.", ELSEWHERE)
