"""A repo looked at before anything of it is downloaded: which files would be taken, and whether they will do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import UserError
from trainer.formatting import file_size
from trainer.hub import errors
from trainer.hub.connectivity import reachable
from trainer.hub.errors import broken_off, out_of_reach, read_error
from trainer.hub.repo import CONFIG, INDEX, PICKLE, SAFETENSORS, Repo, is_shard, shards_named
from trainer.hub.repo_id import CHOOSE, check_repo_id
from trainer.hub.safe_json import CONFIG_BYTES, SMALL_BYTES, read_json

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
    "tokenizer.json",  # of which its tokens are read
    "generation_config.json",  # of which token ids are read
)
MOST_SHARDS = 32  # 5 GB each is what transformers writes
COMMIT = re.compile(r"[0-9a-f]{40}")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True)
class FetchLimits:
    """What a fetch may take. Sizes in bytes, times in seconds."""

    total_bytes: int = 6 * 10**9  # wav2vec2 with 1 B parameters is 4 GB
    config_bytes: int = CONFIG_BYTES
    small_bytes: int = SMALL_BYTES
    spare_disk_bytes: int = 500 * 10**6  # left free for the runs
    reach_seconds: float = 4.0  # until the Hub counts as out of reach
    look_seconds: float = 10.0  # for the list of a repo's files
    decoder: bool = False  # shards that hold a decoder alone too


@dataclass(frozen=True)
class Listing:
    """A repo's files at one commit, with their bytes; None where the Hub does not say."""

    repo_id: str
    commit: str
    sizes: Mapping[str, int | None]

    @classmethod
    def of(cls, info: "ModelInfo", source: Repo) -> "Listing":
        """Raises UserError where the repo's files may not be had."""
        if info.disabled:
            raise errors.not_found(source.repo_id)
        if info.gated and not source.token:
            raise errors.gated(source.repo_id)
        if not COMMIT.fullmatch(info.sha or ""):  # it becomes a folder's name
            raise errors.out_of_reach(source.repo_id)
        sizes = {file.rfilename: file.lfs.size if file.lfs else file.size for file in info.siblings or []}
        return cls(source.repo_id, str(info.sha), sizes)

    def small(self, limits: FetchLimits) -> dict[str, int]:
        """The small files that there are, config.json first. Raises UserError for one too large, or no config.json."""
        if CONFIG not in self.sizes:
            raise UserError(f"{self.repo_id} has no config.json, so it is not a Transformers model.", CHOOSE)
        files = {name: self._size(name) for name in SMALL_FILES if name in self.sizes}
        for name, size in files.items():
            if size > (limits.config_bytes if name == CONFIG else limits.small_bytes):
                raise UserError(
                    f"The {name} of {self.repo_id} is {file_size(size)}, far more than it can need.", CHOOSE
                )
        return files

    def weights(self, allow_pickle: bool, limits: FetchLimits) -> dict[str, int]:
        """The file with the weights, or the index of its shards. Raises UserError where there is neither."""
        names = {SAFETENSORS, INDEX} | ({PICKLE} if allow_pickle else set())
        for name in (SAFETENSORS, INDEX, PICKLE):
            if name in names and name in self.sizes:
                size = self._size(name)
                if name == INDEX and size > limits.small_bytes:
                    raise errors.bad_index(self.repo_id)
                return {name: size}
        raise self._no_weights()

    def shards(self, index: Mapping[str, Any], decoder: bool = False) -> dict[str, int]:
        """The files that a shard index names, as `shards_named`. Raises UserError for one that is not a plain name or
        not there."""
        where = index.get("weight_map")
        if not isinstance(where, dict) or not where:
            raise errors.bad_index(self.repo_id)
        names = shards_named(index, decoder)
        if not 0 < len(names) <= MOST_SHARDS or not all(
            isinstance(name, str) and is_shard(name) for name in where.values()
        ):
            raise errors.bad_index(self.repo_id)
        if missing := names - self.sizes.keys():
            raise UserError(f"{self.repo_id} lacks a part of its weights: {min(missing)}.", CHOOSE)
        return {name: self._size(name) for name in sorted(names)}

    def _size(self, name: str) -> int:
        size = self.sizes[name]
        if size is None or size < 0:
            raise UserError(f"The Hub does not say how large the files of {self.repo_id} are.", CHOOSE)
        return size

    def _no_weights(self) -> UserError:
        pickles = [name for name in self.sizes if "/" not in name and name.endswith(_PICKLES)]
        if PICKLE in pickles or f"{PICKLE}.index.json" in self.sizes:
            return errors.pickle_only(self.repo_id, PICKLE)
        if pickles:
            return errors.pickle_only(self.repo_id, "a PyTorch pickle")
        return UserError(f"{self.repo_id} has no {SAFETENSORS}, so there are no weights to load.", CHOOSE)


HEAD_BYTES = 8 + 16 * 2**20  # of the header with its length; a model of 1 B parameters has some 100 kB
FIRST_BYTES = 2**17  # asked for at once: most headers are shorter
SECONDS = 10.0  # until the next bytes


@dataclass(frozen=True)
class Head:
    """The first bytes of a safetensors file of `size` bytes, at least its header if that is within `HEAD_BYTES`."""

    data: bytes
    size: int

    @property
    def length(self) -> int:
        """Bytes of the header, as the file says itself."""
        return int.from_bytes(self.data[:8], "little")

    @property
    def header(self) -> bytes:
        """Its JSON text, without what of the weights came along."""
        return self.data[8 : 8 + self.length]


def fetch_head(source: Repo, name: str, commit: str, size: int) -> Head:
    """Ask for a file's header alone. Raises what huggingface_hub raises.

    Not by `HfApi.parse_safetensors_file_metadata`: it reads all that a Hub sends, takes headers of up to 25 MB, and
    compares shapes with neither offsets nor the file's size, so negative sides, gaps, overlaps and hidden tails pass.
    """
    data = _first(source, name, commit, min(size, FIRST_BYTES))
    whole = 8 + int.from_bytes(data[:8], "little")
    if len(data) < whole <= min(size, HEAD_BYTES):
        data = _first(source, name, commit, whole)
    return Head(data, size)


def _first(source: Repo, name: str, commit: str, count: int) -> bytes:
    """A Hub that sends more than it was asked for is not listened to any longer."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    if not count:
        return b""
    url = hf_hub_url(source.repo_id, name, revision=commit, endpoint=source.endpoint)
    headers = build_hf_headers(token=source.token)
    headers |= {"Range": f"bytes=0-{count - 1}", "Accept-Encoding": "identity"}
    data = bytearray()
    with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=SECONDS) as response:
        hf_raise_for_status(response)
        for part in response.iter_bytes():
            data += part
            if len(data) >= count:
                break
    return bytes(data[:count])


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

    `endpoint`, `cache_dir` and `shared` are as in `download.fetch_model`. Where the Hub is out of reach, what an
    earlier fetch left in the cache is looked at. Raises UserError.
    """
    source = Repo.of(check_repo_id(repo_id), None, False, endpoint, cache_dir, shared)
    if not reachable(source.endpoint, limits.reach_seconds):
        folder = source.cached(allow_pickle=True)
        if folder is None:
            raise out_of_reach(source.repo_id)
        here = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
        return Peek(read_json(folder, CONFIG) or {}, _weight_bytes(here))
    try:
        info = source.look(limits.look_seconds)
    except Exception as error:  # huggingface_hub names no end of what it may raise
        raise read_error(error, source.repo_id, out_of_reach(source.repo_id)) from error
    listing = Listing.of(info, source)
    small = listing.small(limits)
    try:
        return Peek(source.read(CONFIG, listing.commit, small[CONFIG]), _weight_bytes(listing.sizes))
    except OSError as error:  # the cache cannot be written
        raise read_error(error, source.repo_id, broken_off(source.repo_id)) from error


def in_cache(repo_id: str, revision: str | None, cache_dir: Path, shared: bool = True) -> bool:
    """Whether a model was fetched before, so that it works without the Hub. `shared`: or by another program."""
    from huggingface_hub import constants

    others = Path(constants.HF_HUB_CACHE) if shared else None
    return Repo.of(repo_id, revision, False, None, cache_dir, others).cached(allow_pickle=True) is not None


def _weight_bytes(sizes: Mapping[str, int | None]) -> int:
    shards = [size or 0 for name, size in sizes.items() if is_shard(name)]
    return sizes.get(SAFETENSORS) or sum(shards) or sizes.get(PICKLE) or 0
