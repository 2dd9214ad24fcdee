"""What a model is, before its weights are downloaded: its config.json and how large the weights are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.hub.ids import check_repo_id
from trainer.hub.inspect import FetchLimits, Listing
from trainer.hub.reach import reachable
from trainer.hub.reading import read_json
from trainer.hub.refusals import broken_off, explain, out_of_reach
from trainer.hub.source import CONFIG, PICKLE, SAFETENSORS, Source, is_shard

LIMITS = FetchLimits()


@dataclass(frozen=True)
class Peek:
    """`config` as the repo has it, not yet checked; `weight_bytes` 0 where the Hub does not say."""

    config: Mapping[str, Any]
    weight_bytes: int


def peek_model(
    repo_id: str,
    *,
    limits: FetchLimits = LIMITS,
    endpoint: str | None = None,
    cache_dir: Path | None = None,
    shared: Path | None = None,
) -> Peek:
    """Look at a repo and download its config.json alone, some 5 kB; no token goes along.

    `endpoint`, `cache_dir` and `shared` are as in `fetch.fetch_model`. Where the Hub is out of reach, what an earlier
    fetch left in the cache is looked at. Raises UserError.
    """
    source = Source.of(check_repo_id(repo_id), None, False, endpoint, cache_dir, shared)
    if not reachable(source.endpoint, limits.reach_seconds):
        folder = source.cached(allow_pickle=True)
        if folder is None:
            raise out_of_reach(source.repo_id)
        here = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
        return Peek(read_json(folder, CONFIG) or {}, _weight_bytes(here))
    try:
        info = source.look(limits.look_seconds)
    except Exception as error:  # huggingface_hub names no end of what it may raise
        raise explain(error, source.repo_id, out_of_reach(source.repo_id)) from error
    listing = Listing.of(info, source)
    listing.small(limits)
    try:
        return Peek(source.read(CONFIG, listing.commit), _weight_bytes(listing.sizes))
    except OSError as error:  # the cache cannot be written
        raise explain(error, source.repo_id, broken_off(source.repo_id)) from error


def in_cache(repo_id: str, revision: str | None, cache_dir: Path, shared: bool = True) -> bool:
    """Whether a model was fetched before, so that it works without the Hub. `shared`: or by another program."""
    from huggingface_hub import constants

    others = Path(constants.HF_HUB_CACHE) if shared else None
    return Source.of(repo_id, revision, False, None, cache_dir, others).cached(allow_pickle=True) is not None


def _weight_bytes(sizes: Mapping[str, int | None]) -> int:
    shards = [size or 0 for name, size in sizes.items() if is_shard(name)]
    return sizes.get(SAFETENSORS) or sum(shards) or sizes.get(PICKLE) or 0
