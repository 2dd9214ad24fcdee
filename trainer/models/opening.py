"""A model's weights brought into memory, once it is known that they are the model that config.json describes.

Nothing of the folder is given to transformers but numbers: the config is built from the fields that its class declares
for itself, and the weights are handed over as tensors. So no value in a file can make `from_pretrained` look for
another file, an adapter, a quantiser, a kernel of the Hub or code.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import CONFIG_MAPPING, MODEL_FOR_CTC_MAPPING, PreTrainedConfig, PreTrainedModel

from trainer.errors import UserError
from trainer.hub.refusals import size
from trainer.models.architectures import ARCHITECTURES
from trainer.models.mctct import register
from trainer.models.memory import free_memory
from trainer.models.weights import Shapes, check_weights, weight_files
from trainer.settings import Settings

SOME_LETTERS = 32
BYTES = 4  # of a parameter: all are held as float32
# Also learnt, but only used while training: a base that was trained without masking has none.
_MAY_LACK = ("masked_spec_embed",)
_ALSO = ("initializer_range",)  # declared by no class where a nested one has it
ELSEWHERE, SMALLER = "Choose another model.", "Choose a smaller model."


def check_builds(config: dict[str, Any]) -> None:
    """Raises UserError where config.json builds no model, or one too large for the memory. Allocates nothing."""
    try:
        cleaned = _clean({**config, "vocab_size": config.get("vocab_size") or SOME_LETTERS})  # a base may have none
        with torch.device("meta"):
            plan = _class_for(cleaned)(cleaned)
    except Exception as error:  # there is no end of what a strange config makes a model's constructor raise
        raise UserError("This model's config.json does not describe a model that can be built.", ELSEWHERE) from error
    _check_memory(plan)


def check_fits(config: dict[str, Any], shapes: Shapes) -> None:
    """Raises UserError where weights of these shapes are not those of the config's model. Allocates nothing."""
    _plan({**config, "vocab_size": config.get("vocab_size") or SOME_LETTERS}, {}, shapes, None)


def load(
    folder: Path, config: dict[str, Any], settings: dict[str, Any], attention: str | None = None
) -> tuple[PreTrainedModel, set[str]]:
    """The model in float32, and the names of its head's weights that the files do not hold, or not in that size.

    `settings` are put over `config`'s values. Raises UserError where weights and config do not fit together or not into
    memory: names and shapes are compared on the meta device, before anything is allocated.
    """
    cleaned, new = _plan(config, settings, check_weights(folder), attention)
    with _broken(), ExitStack() as opened:
        files = [opened.enter_context(safe_open(file, framework="pt")) for file in weight_files(folder)]
        views = {name: file.get_slice(name) for file in files for name in file.keys()}  # noqa: SIM118
        model, _ = _assemble(cleaned, views, attention)
    return model, new


def _plan(
    config: dict[str, Any], settings: dict[str, Any], shapes: Shapes, attention: str | None
) -> tuple[PreTrainedConfig, set[str]]:
    """The load on the meta device: the config to load with, and the names that `load` gives."""
    cleaned = _configured(config, settings)
    with _broken():
        state: dict[str, Any] = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
        plan, found = _assemble(cleaned, state, attention, device_map="meta")
    new = _only_head(config, found)
    _check_memory(plan)
    return cleaned, new


def _clean(config: dict[str, Any]) -> PreTrainedConfig:
    """Only the fields that the config's class declares for itself: none of those that all configs share."""
    register()
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
    kind: Any = MODEL_FOR_CTC_MAPPING[type(config)]  # typed for model types that have several
    return kind


def _configured(config: dict[str, Any], settings: dict[str, Any]) -> PreTrainedConfig:
    with _broken():
        cleaned = _clean(config)
    _set(cleaned, settings)
    return cleaned


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


def _only_head(config: dict[str, Any], found: dict[str, Any]) -> set[str]:
    """The new weights' names. Raises UserError where more than the head is missing or of another size."""
    head = ARCHITECTURES[config["model_type"]].head
    other = {key[0] for key in found["mismatched_keys"]}
    new = set(found["missing_keys"]) | other
    body = {name for name in new if name.split(".")[0] != head and name.split(".")[-1] not in _MAY_LACK}
    if body & other:
        raise UserError("This model's weights are of another size than its config.json says.", ELSEWHERE)
    if body:
        raise UserError("This model's weights lack parts that its config.json names.", ELSEWHERE)
    return new


def _check_memory(plan: PreTrainedModel) -> None:
    """Raises UserError where a model on the meta device would not fit the settings' limit or the free memory."""
    needed = BYTES * sum(tensor.numel() for tensor in (*plan.parameters(), *plan.buffers()))
    most = Settings.from_env().max_load_bytes
    if needed > most:
        raise UserError(f"This model takes {size(needed)} of memory, where {size(most)} is the most.", SMALLER)
    if needed > (free := free_memory()):
        raise UserError(f"This model takes {size(needed)} of memory, and only {size(free)} are free.", SMALLER)


@contextmanager
def _broken() -> Iterator[None]:
    """Whatever strange files make transformers or safetensors raise, and there is no end of it, in a sentence."""
    try:
        yield
    except Exception as error:
        raise UserError("I cannot open this model: its files are broken or do not fit together.", ELSEWHERE) from error
