"""A model from the Hub: looked at before anything is downloaded, then its named files alone, at the commit seen.

No token of the host ever goes along, nothing of a repo is run, and every failure is a `UserError`. What kind of
model it is, only the floor above knows.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trainer.errors import UserError
from trainer.hub.ids import CHOOSE, HOME, check_repo_id
from trainer.hub.reach import reachable
from trainer.hub.refusals import explain, gated, not_found, out_of_reach, passing
from trainer.hub.source import CONFIG, PICKLE, SAFETENSORS, Progress, Source

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

SMALL_FILES = (
    CONFIG,
    "preprocessor_config.json",
    "processor_config.json",  # all that transformers 5 saves of a processor beside its tokenizer
    "vocab.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class FetchLimits:
    """What a fetch may take. Sizes in bytes, times in seconds."""

    total_bytes: int = 6 * 10**9  # wav2vec2 with 1 B parameters is 4 GB
    config_bytes: int = 2**20  # a real config.json has some 5 kB
    small_bytes: int = 16 * 2**20  # of each other file that is not the weights; a vocabulary has some kB
    spare_disk_bytes: int = 500 * 10**6  # left free for the runs
    reach_seconds: float = 4.0  # until the Hub counts as out of reach
    look_seconds: float = 10.0  # for the list of a repo's files


def fetch_model(
    repo_id: str,
    *,
    revision: str | None = None,
    allow_pickle: bool = False,
    token: str | Literal[False] = False,
    limits: FetchLimits = FetchLimits(),
    on_progress: Progress | None = None,
    endpoint: str | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Fetch a model's named files and return their folder, a snapshot in the Hub's local cache.

    `revision` is a branch, tag or commit (the default branch where None). `allow_pickle` takes
    pytorch_model.bin where there is no model.safetensors: for curated bases alone, so it demands a commit.
    `endpoint` and `cache_dir` are huggingface_hub's own where None. Where the Hub is out of reach or in
    trouble, what was fetched earlier is returned.

    Raises UserError, with a sentence for each way this can fail, and ValueError for a pickle without a commit.
    """
    if allow_pickle and not _COMMIT.fullmatch(revision or ""):
        raise ValueError("allow_pickle needs a pinned commit: a branch may change to anything")
    source = Source.of(check_repo_id(repo_id), revision, token, endpoint, cache_dir)
    if not reachable(source.endpoint, limits.reach_seconds):
        if folder := source.cached(allow_pickle):
            return folder
        raise out_of_reach(source.repo_id)
    try:
        info = source.look(limits.look_seconds)
    except Exception as error:  # huggingface_hub names no end of what it may raise
        if passing(error) and (folder := source.cached(allow_pickle)):
            return folder
        raise explain(error, source.repo_id, out_of_reach(source.repo_id)) from error
    commit = _commit(info, source)
    files = _choose(source.repo_id, _sizes(info), allow_pickle, limits)
    _check_disk(source, commit, files, limits)
    return source.download(commit, files, on_progress)


def _sizes(info: "ModelInfo") -> dict[str, int | None]:
    """Bytes of each file; None where the Hub does not say."""
    return {f.rfilename: f.lfs.size if f.lfs else f.size for f in info.siblings or []}


def _choose(repo_id: str, sizes: Mapping[str, int | None], allow_pickle: bool, limits: FetchLimits) -> dict[str, int]:
    """The files to download, with their bytes, the weights last. Raises UserError where they will not do."""
    if CONFIG not in sizes:
        raise UserError(f"{repo_id} has no config.json, so it is not a Transformers model.", CHOOSE)
    weights = _weights(repo_id, sizes, allow_pickle)
    chosen: dict[str, int] = {}
    for name in (*(n for n in SMALL_FILES if n in sizes), weights):
        size = sizes[name]
        if size is None:
            raise UserError(f"The Hub does not say how large the files of {repo_id} are.", CHOOSE)
        most = {CONFIG: limits.config_bytes, weights: limits.total_bytes}.get(name, limits.small_bytes)
        if size > most and name != weights:
            raise UserError(f"The {name} of {repo_id} is {_size(size)}, far more than it can need.", CHOOSE)
        chosen[name] = size
    if (total := sum(chosen.values())) > limits.total_bytes:
        raise UserError(
            f"{repo_id} is too large: {_size(total)} to download, where {_size(limits.total_bytes)} is the most.",
            "Choose a smaller model, for example one with “base” in its name.",
        )
    return chosen


def _weights(repo_id: str, sizes: Mapping[str, int | None], allow_pickle: bool) -> str:
    """The name of the one file with the weights."""
    if SAFETENSORS in sizes:
        return SAFETENSORS
    if allow_pickle and PICKLE in sizes:
        return PICKLE
    if f"{SAFETENSORS}.index.json" in sizes:
        raise UserError(
            f"The weights of {repo_id} are split over several files, which Voicetune cannot open yet.",
            f"Choose a model whose weights are one {SAFETENSORS} file.",
        )
    if pickles := [name for name in sizes if "/" not in name and name.endswith((".bin", ".pt", ".pth", ".ckpt"))]:
        name = PICKLE if PICKLE in pickles else "a PyTorch pickle"
        raise UserError(
            f"{repo_id} has its weights only as {name}, a format that can run hidden code on the computer that "
            "opens it, so it was not downloaded.",
            f"Choose a model with a {SAFETENSORS} file; this one's owner can add it with the converter at "
            f"{HOME}/spaces/safetensors/convert.",
        )
    raise UserError(f"{repo_id} has no {SAFETENSORS}, so there are no weights to load.", CHOOSE)


def _commit(info: "ModelInfo", source: Source) -> str:
    """The commit that was looked at, once it is known that its files may be had."""
    if info.disabled:
        raise not_found(source.repo_id)
    if info.gated and not source.token:
        raise gated(source.repo_id)
    if not _COMMIT.fullmatch(info.sha or ""):  # it becomes a folder's name
        raise out_of_reach(source.repo_id)
    return str(info.sha)


def _check_disk(source: Source, commit: str, files: Mapping[str, int], limits: FetchLimits) -> None:
    """Raise UserError where the files still missing would leave less than the spare bytes."""
    missing = sum(size for name, size in files.items() if not source.has(name, commit))
    cache = source.cache_dir.resolve()
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free
    if missing and missing + limits.spare_disk_bytes > free:
        raise UserError(
            f"There is not enough room on the disk: {source.repo_id} takes {_size(missing)}, {_size(free)} are "
            f"free, and {_size(limits.spare_disk_bytes)} must stay so.",
            "Free some space and try again, or choose a smaller model.",
        )


def _size(count: int) -> str:
    """Bytes for people: "4.2 GB"."""
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1000:.1f} kB"
