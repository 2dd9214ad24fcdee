"""How large a base is, from the table, from its folder or from the Hub, without its weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.hub.peeking import peek_model
from trainer.models.base import BYTES_EACH, STARTER_ID, Base
from trainer.models.bases import BASES
from trainer.models.limits import check_limits
from trainer.models.shape import Shape, shape_of
from trainer.settings import STARTER, Settings

_HEADS_AND_FRONT = 1.08  # parameters that are not in the repeated layers, in models where nobody counted them
_asked: dict[str, "Sizes"] = {}


@dataclass(frozen=True)
class Sizes:
    """What decides memory and time. `parameters` in all."""

    shape: Shape
    parameters: int


def sizes_of(base: str) -> Sizes | None:
    """Of a row of the table, of a folder (its whole path), or of what was asked for before.

    None for what only the Hub knows. A name that is no whole path is an id on the Hub, whatever folders the host has.
    """
    if row := BASES.get(base):
        return Sizes(shape_of(config_of(row)), row.parameters)
    if base in _asked:
        return _asked[base]
    folder = Path(base)
    if not folder.is_absolute() or not (folder / "config.json").is_file():
        return None
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return _sizes(_local_config(folder), weights)


def ask_sizes(repo_id: str) -> Sizes:
    """Also of what only the Hub knows, by its config.json. Raises UserError where it cannot be
    looked at. Whether it is of a kind that can be trained, fetching it says."""
    if known := sizes_of(repo_id):
        return known
    from huggingface_hub import constants

    settings = Settings.from_env()
    peek = peek_model(
        repo_id,
        endpoint=settings.hub_endpoint,
        cache_dir=settings.models_dir,
        shared=Path(constants.HF_HUB_CACHE),  # as `fetching.fetch_checked`
    )
    check_limits(dict(peek.config))
    _asked[repo_id] = _sizes(peek.config, peek.weight_bytes)
    return _asked[repo_id]


def config_of(row: Base) -> Mapping[str, Any]:
    """The sizes in a row's config.json, as far as the table or its folder tells them."""
    return _local_config(STARTER) if row.id == STARTER_ID else row.config


def _sizes(config: Mapping[str, Any], weight_bytes: int) -> Sizes:
    """Weights may be stored in 16 bits; then the layers say more of their number than the file does."""
    shape = shape_of(config)
    return Sizes(shape, max(weight_bytes // BYTES_EACH, int(shape.layer_weights * _HEADS_AND_FRONT)))


def _local_config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
