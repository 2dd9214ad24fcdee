"""Bounds on a visitor's config.json, checked before anything is built from it: no size in it may take all memory."""

from collections.abc import Iterator
from typing import Any

from trainer.errors import UserError

# The most of each value that decides an allocation; the largest published CTC models (2 B) stay well inside.
MOST = {
    "hidden_size": 4096,
    "num_hidden_layers": 96,
    "num_attention_heads": 128,
    "intermediate_size": 32_768,
    "vocab_size": 100_000,  # Chinese has some thousands
    "num_feat_extract_layers": 16,
    "num_conv_pos_embeddings": 1024,
    "num_conv_pos_embedding_groups": 256,
    "num_codevectors_per_group": 4096,
    "num_codevector_groups": 64,
    "codevector_dim": 4096,
    "proj_codevector_dim": 4096,
    "num_clusters": 10_000,
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
    "conv_depthwise_kernel_size": 1024,
    "conv_pos_kernel_size": 1024,
    "squeeze_factor": 64,
    "position_buckets": 10_000,
}
MOST_IN_LIST = {"conv_dim": 4096, "conv_kernel": 256, "conv_stride": 64, "tdnn_dim": 8192, "tdnn_kernel": 64}
LIST_LENGTH = 32
DEPTH = 8
WHOLE = 2**31  # of any number at all
ELSEWHERE = "Choose another model."


def check_limits(config: dict[str, Any]) -> None:
    """Raises UserError for a config that names code, leads to files, or has a size out of bounds."""
    for name, value in _values(config, DEPTH):
        if name == "auto_map":
            raise UserError("This model brings code of its own, which Voicetune does not run.", ELSEWHERE)
        if isinstance(value, str) and _leads_to_files(value) and name != "_name_or_path":  # that one is never opened
            raise UserError("This model's config.json points to files outside the model.", ELSEWHERE)
        if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) < WHOLE:  # NaN too
            raise _out_of_bounds(name)
    for name, most in MOST.items():
        if (value := config.get(name)) is not None and not _whole(value, most, least=0):
            raise _out_of_bounds(name)
    for name, most in MOST_IN_LIST.items():
        if (value := config.get(name)) is not None and not _list(value, most):
            raise _out_of_bounds(name)
    named = (config.get(name) for name in ("conv_dim", "conv_kernel", "conv_stride"))
    front_end = [values for values in named if isinstance(values, list)]
    if len({len(values) for values in front_end}) > 1:
        raise _out_of_bounds("conv_kernel")


def _values(value: Any, depth: int, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with the name it has, or its list has."""
    if depth == 0:
        raise UserError("This model's config.json is nested deeper than any real one.", ELSEWHERE)
    yield name, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, depth - 1, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, depth - 1, name)


def _whole(value: Any, most: int, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _list(value: Any, most: int) -> bool:
    if isinstance(value, int):  # M-CTC-T's kernels may be one number
        return _whole(value, most)
    return isinstance(value, list) and 0 < len(value) <= LIST_LENGTH and all(_whole(item, most) for item in value)


def _leads_to_files(text: str) -> bool:
    return text.startswith(("/", "\\", "~", "file:")) or ".." in text or text[1:3] in (":\\", ":/")


def _out_of_bounds(name: str) -> UserError:
    shown = name if name in MOST or name in MOST_IN_LIST else "number"
    return UserError(f"This model's config.json has a {shown} that no real model has.", ELSEWHERE)
