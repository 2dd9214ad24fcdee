"""A model from the Hub: looked at before anything is downloaded, then its named files alone, at the commit seen.

No token of the host ever goes along, nothing of a repo is run, and every failure is a `UserError`. What kind of
model it is, only the floor above knows.
"""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from trainer.hub.cache import Quota
from trainer.hub.connectivity import reachable
from trainer.hub.errors import broken_off, disk_full, out_of_reach, passing, read_error, too_large
from trainer.hub.inspect import COMMIT, FetchLimits, Head, Listing, fetch_head
from trainer.hub.repo import CONFIG, INDEX, DownloadProgress, Repo, is_shard
from trainer.hub.repo_id import check_repo_id

LIMITS = FetchLimits()


class Checks(Protocol):
    """What the floor above asks of a model before its weights are downloaded. Each raises UserError."""

    def config(self, config: dict[str, Any]) -> None:
        """Of config.json, before anything else is downloaded."""

    def rest(self, folder: Path, heads: Mapping[str, Head]) -> None:
        """Of all small files, which are in the folder, and of how its safetensors files begin, which are not there
        yet, by their names."""


def fetch_model(
    repo_id: str,
    *,
    revision: str | None = None,
    allow_pickle: bool = False,
    token: str | Literal[False] = False,
    limits: FetchLimits = LIMITS,
    checks: Checks | None = None,
    quota_bytes: int | None = None,
    on_progress: DownloadProgress | None = None,
    endpoint: str | None = None,
    cache_dir: Path | None = None,
    shared: Path | None = None,
) -> Path:
    """Fetch a model's named files and return their folder, a snapshot in a cache of huggingface_hub's layout.

    `revision` is a branch, tag or commit (the default branch where None). `allow_pickle` takes
    pytorch_model.bin where there is no model.safetensors: for curated bases alone, so it demands a commit.
    `checks` see the small files and what the weights hold before those are downloaded. `endpoint` and `cache_dir` are
    huggingface_hub's own where None; `shared` is another such cache, which is only read. With `quota_bytes` the models
    in `cache_dir` that were used least recently make room, and this one is held until `quota.release(folder)`. Where
    the Hub is out of reach or in trouble, what was fetched earlier is returned.

    Raises UserError, with a sentence for each way this can fail, and ValueError for a pickle without a commit.
    """
    if allow_pickle and not COMMIT.fullmatch(revision or ""):
        raise ValueError("allow_pickle needs a pinned commit: a branch may change to anything")
    source = Repo.of(check_repo_id(repo_id), revision, token, endpoint, cache_dir, shared)
    quota = Quota(source.cache_dir, quota_bytes) if quota_bytes is not None else None
    try:
        with quota.holding(source.folder) if quota else contextlib.nullcontext():
            return _fetch(source, allow_pickle, limits, checks, quota, on_progress)
    except OSError as error:  # of the quota's marks: a folder that cannot be written, a disk that is full
        raise read_error(error, source.repo_id, broken_off(source.repo_id)) from error


def _fetch(
    source: Repo,
    allow_pickle: bool,
    limits: FetchLimits,
    checks: Checks | None,
    quota: Quota | None,
    on_progress: DownloadProgress | None,
) -> Path:
    if not reachable(source.endpoint, limits.reach_seconds):
        if folder := source.cached(allow_pickle):
            return folder
        raise out_of_reach(source.repo_id)
    try:
        info = source.look(limits.look_seconds)
    except Exception as error:  # huggingface_hub names no end of what it may raise
        if passing(error) and (folder := source.cached(allow_pickle)):
            return folder
        raise read_error(error, source.repo_id, out_of_reach(source.repo_id)) from error
    listing = Listing.of(info, source)
    small, weights = _choose(source, listing, allow_pickle, limits, checks)
    files = small | weights
    total = sum(files.values())
    if folder := source.whole(listing.commit, files):
        if on_progress:
            on_progress(total, total)
        with contextlib.suppress(OSError):  # only the name of the revision is missing then, for a day without the Hub
            source.remember(folder)
        return folder
    missing = sum(size for name, size in files.items() if not source.has(name, listing.commit, size))
    if quota:
        quota.make_room(source.folder, source.repo_id, total, missing)
    _check_disk(source, missing, limits)
    if checks:
        with source.explaining():
            folder = source.get_all(small, listing.commit)
            heads = {
                name: fetch_head(source, name, listing.commit, weights[name]) for name in weights if is_shard(name)
            }
        checks.rest(folder, heads)
    return source.download(listing.commit, files, on_progress)


def _choose(
    source: Repo, listing: Listing, allow_pickle: bool, limits: FetchLimits, checks: Checks | None
) -> tuple[dict[str, int], dict[str, int]]:
    """The small files and those of the weights, with their bytes. Raises UserError where they will not do."""
    small = listing.small(limits)
    weights = listing.weights(allow_pickle, limits)
    _check_total(source, small | weights, limits)
    if checks:
        checks.config(source.read(CONFIG, listing.commit, small[CONFIG]))
    if INDEX in weights:
        weights |= listing.shards(source.read(INDEX, listing.commit, weights[INDEX]), limits.decoder)
        _check_total(source, small | weights, limits)
    return small, weights


def _check_total(source: Repo, files: Mapping[str, int], limits: FetchLimits) -> None:
    if (total := sum(files.values())) > limits.total_bytes:
        raise too_large(source.repo_id, total, limits.total_bytes)


def _check_disk(source: Repo, missing: int, limits: FetchLimits) -> None:
    """Raise UserError where the files still missing would leave less than the spare bytes."""
    cache = source.cache_dir.resolve()
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free
    if missing and missing + limits.spare_disk_bytes > free:
        raise disk_full(source.repo_id, missing, free, limits.spare_disk_bytes)
