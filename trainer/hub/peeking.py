"""What a model is, before its weights are downloaded: its config.json and how large the weights are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.hub.fetch import FetchLimits
from trainer.hub.ids import CHOOSE, check_repo_id
from trainer.hub.reach import reachable
from trainer.hub.refusals import explain, gated, out_of_reach
from trainer.hub.source import CONFIG, PICKLE, SAFETENSORS, Source

_SHARD = ".safetensors"
LIMITS = FetchLimits()


@dataclass(frozen=True)
class Peek:
    """`config` as the repo has it, unchecked; `weight_bytes` 0 where the Hub does not say."""

    config: Mapping[str, Any]
    weight_bytes: int


def peek_model(
    repo_id: str,
    *,
    revision: str | None = None,
    limits: FetchLimits = LIMITS,
    endpoint: str | None = None,
    cache_dir: Path | None = None,
) -> Peek:
    """Look at a repo and download its config.json alone, some 5 kB; no token goes along.

    Where the Hub is out of reach, what an earlier fetch left in the cache is looked at. Raises UserError.
    """
    source = Source.of(check_repo_id(repo_id), revision, False, endpoint, cache_dir)
    if not reachable(source.endpoint, limits.reach_seconds):
        folder = source.cached(allow_pickle=True)
        if folder is None:
            raise out_of_reach(source.repo_id)
        return Peek(_read(folder, source.repo_id), _on_disk(folder))
    try:
        info = source.look(limits.look_seconds)
    except Exception as error:  # huggingface_hub names no end of what it may raise
        raise explain(error, source.repo_id, out_of_reach(source.repo_id)) from error
    if info.gated:
        raise gated(source.repo_id)
    sizes = {file.rfilename: (file.lfs.size if file.lfs else file.size) or 0 for file in info.siblings or []}
    if CONFIG not in sizes:
        raise UserError(f"{source.repo_id} has no config.json, so it is not a Transformers model.", CHOOSE)
    if sizes[CONFIG] > limits.config_bytes:
        raise UserError(f"The config.json of {source.repo_id} is far larger than any real one.", CHOOSE)
    folder = source.download(str(info.sha), {CONFIG: sizes[CONFIG]}, None)
    return Peek(_read(folder, source.repo_id), _weight_bytes(sizes))


def in_cache(repo_id: str, revision: str | None = None, cache_dir: Path | None = None) -> bool:
    """Whether a model was fetched before, so that it works without the Hub."""
    return Source.of(repo_id, revision, False, None, cache_dir).cached(allow_pickle=True) is not None


def _weight_bytes(sizes: Mapping[str, int]) -> int:
    shards = [size for name, size in sizes.items() if name.endswith(_SHARD) and "/" not in name]
    return sizes.get(SAFETENSORS) or sum(shards) or sizes.get(PICKLE, 0)


def _on_disk(folder: Path) -> int:
    return _weight_bytes({file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()})


def _read(folder: Path, repo_id: str) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise UserError(f"The config.json of {repo_id} is broken.", CHOOSE)
    return config
