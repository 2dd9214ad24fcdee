"""A model's weights brought into memory, once it is known that they are the model that config.json describes.

Nothing of the folder is given to transformers but numbers: the config is built from the fields that its class declares
for itself, and the weights are handed over as tensors. So no value in a file can make `from_pretrained` look for
another file, an adapter, a quantiser, a kernel of the Hub or code.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from safetensors import safe_open
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CTC_MAPPING,
    PreTrainedConfig,
    PreTrainedModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from trainer.errors import UserError, is_memory_full
from trainer.formatting import memory_size
from trainer.hardware import free_memory
from trainer.hub.repo import of_decoder
from trainer.models import mctct, whisper_ctc
from trainer.models.model_config import ModelConfig
from trainer.models.model_files import ModelFiles
from trainer.models.safetensors_header import Shapes

SOME_LETTERS = 32
BYTES = 4  # of a parameter: all are held as float32
# Parts of names. One is also learnt, but only used while training: a base that was trained without masking has none.
# The other, Whisper's positions, are sinusoids that need not be stored.
_MAY_LACK = {"masked_spec_embed", "embed_positions"}
_ALSO = ("initializer_range",)  # declared by no class where a nested one has it
ELSEWHERE, SMALLER = "Choose another model.", "Choose a smaller model."


def check_builds(config: ModelConfig, most_bytes: int, seq2seq: bool = False) -> None:
    """Raises UserError where config.json builds no model, or one too large for the memory. Allocates nothing."""
    try:
        cleaned = _clean(config.values) if seq2seq else _with_letters(config)
        with torch.device("meta"):
            model = _class_for(cleaned)(cleaned)
    except Exception as error:  # there is no end of what a strange config makes a model's constructor raise
        if is_memory_full(error):
            raise _no_memory() from error
        raise UserError("This model's config.json does not describe a model that can be built.", ELSEWHERE) from error
    _check_memory(_memory_of(model), most_bytes)


def compare(config: ModelConfig, shapes: Shapes, most_bytes: int, whole: bool = False) -> int:
    """Bytes of memory that the config's model takes, once its weights are known to have these shapes. `whole` as of
    `ModelFiles`.

    Raises UserError where they have not, where config.json builds no model, and for one larger than `most_bytes` or
    the free memory. Allocates nothing.
    """
    seq2seq = whole and not config.has_letters
    state: dict[str, Any] = {
        name: torch.empty(shape, device="meta") for name, shape in shapes.items() if seq2seq or not of_decoder(name)
    }
    try:
        with _broken():
            cleaned = _clean(config.values) if seq2seq else _with_letters(config)
            model, found = _assemble(cleaned, state, None, device_map="meta")
    except UserError:
        check_builds(config, most_bytes, seq2seq)  # where it is the config's fault, it is said so
        raise
    _check_memory(memory := _memory_of(model), most_bytes)
    _only_head(None if seq2seq else config.architecture.head, found)
    return memory


def load(
    files: ModelFiles, overrides: dict[str, Any], attention: str | None = None
) -> tuple[PreTrainedModel, set[str]]:
    """The model in float32, and the names of its head's weights that the files do not hold, or not in that size.

    `overrides` are put over the config's values. Raises UserError where weights and config do not fit together or not
    into memory: names and shapes are compared on the meta device, before anything is allocated, where that was not
    done when the files were fetched.
    """
    if files.memory is None:
        compare(files.config, files.shapes, files.most_bytes, files.whole)
    else:
        _check_memory(files.memory, files.most_bytes)  # what is free has changed since
    with _broken():
        config = _clean(files.config.values if files.seq2seq else files.config.model_values)
    _set(config, overrides)
    with _broken(), ExitStack() as opened:
        parts = [opened.enter_context(safe_open(part, framework="pt")) for part in files.weights]
        # Of names that are there twice the last counts: a head apart comes after its body.
        views = {name: part.get_slice(name) for part in parts for name in part.keys()}  # noqa: SIM118
        if {name: tuple(view.get_shape()) for name, view in views.items()} != files.shapes:
            raise ValueError("other weights than those that were looked at")
        model, found = _assemble(
            config, {name: view for name, view in views.items() if files.seq2seq or not of_decoder(name)}, attention
        )
    return model, _only_head(None if files.seq2seq else files.config.architecture.head, found)


def _with_letters(config: ModelConfig) -> PreTrainedConfig:
    """A base may have no letters of its own yet."""
    return _clean({**config.model_values, "vocab_size": config.labels or SOME_LETTERS})


def _clean(config: dict[str, Any]) -> PreTrainedConfig:
    """Only the fields that the config's class declares for itself: none of those that all configs share."""
    mctct.register()
    whisper_ctc.register()
    return _fields_alone(CONFIG_MAPPING[config["model_type"]], config)


def _fields_alone(kind: type[PreTrainedConfig], values: dict[str, Any]) -> PreTrainedConfig:
    shared = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    own = ({field.name for field in dataclasses.fields(kind)} - shared) | kind.attribute_map.keys() | set(_ALSO)
    kept = {name: value for name, value in values.items() if name in own}
    for name, spec in kind.sub_configs_defaults.items():
        if isinstance(inner := kept.get(name), dict):
            kept[name] = _fields_alone(spec.get_config_class(spec.model_type), inner)
    return kind(**kept)


def _class_for(config: PreTrainedConfig) -> type[PreTrainedModel]:
    if isinstance(config, WhisperConfig):
        return WhisperForConditionalGeneration
    kind: Any = MODEL_FOR_CTC_MAPPING[type(config)]  # typed for model types that have several
    return kind


def _set(config: PreTrainedConfig, settings: dict[str, Any]) -> None:
    """Values that are dicts belong to the part of that name. Raises TypeError for a name that is not known."""
    for name, value in settings.items():
        if not hasattr(config, name):
            raise TypeError(f"{config.model_type} knows no {name}")
        part = getattr(config, name)
        if isinstance(part, PreTrainedConfig) and isinstance(value, dict):
            _set(part, value)
        else:
            setattr(config, name, value)


def _assemble(
    config: PreTrainedConfig, state: dict[str, Any], attention: str | None, **options: Any
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """By transformers, which knows the names that weights had in earlier versions, but from tensors, not a folder."""
    assembled: Any = _class_for(config).from_pretrained(  # a pair, since `output_loading_info` is set
        None,
        config=config,
        state_dict=state,
        dtype=torch.float32,  # the default "auto" would train fp16 checkpoints in fp16
        attn_implementation=attention,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **options,
    )
    model, found = assembled
    model.config.name_or_path = ""
    return model, found


def _only_head(head: str | None, found: dict[str, Any]) -> set[str]:
    """The new weights' names. Raises UserError where more than the head is missing or of another size."""
    other = {key[0] for key in found["mismatched_keys"]}
    new = set(found["missing_keys"]) | other
    body = {name for name in new if name.split(".")[0] != head and not _MAY_LACK & {*name.split(".")}}
    if body & other:
        raise UserError("This model's weights are of another size than its config.json says.", ELSEWHERE)
    if body:
        raise UserError("This model's weights lack parts that its config.json names.", ELSEWHERE)
    return new


def _memory_of(model: PreTrainedModel) -> int:
    return BYTES * sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))


def _check_memory(needed: int, most: int) -> None:
    """Raises UserError where so many bytes are more than the host allows, or than are free."""
    if needed > most:
        raise UserError(
            f"This model takes {memory_size(needed)} of memory, where {memory_size(most)} is the most.", SMALLER
        )
    if needed > (free := free_memory()):
        raise UserError(
            f"This model takes {memory_size(needed)} of memory, and only {memory_size(free)} are free.", SMALLER
        )


def _no_memory() -> UserError:
    return UserError(
        "There is not enough memory to open this model.",
        "Close other programs and try again, or choose a smaller model.",
    )


@contextmanager
def _broken() -> Iterator[None]:
    """Whatever strange files make transformers or safetensors raise, and there is no end of it, in a sentence."""
    try:
        yield
    except Exception as error:
        if is_memory_full(error):
            raise _no_memory() from error
        raise UserError("I cannot open this model: its files are broken or do not fit together.", ELSEWHERE) from error
