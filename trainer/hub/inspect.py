"""A repo looked at before anything of it is downloaded: which files would be taken, and whether they will do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.errors import UserError
from trainer.hub import refusals
from trainer.hub.ids import CHOOSE
from trainer.hub.reading import CONFIG_BYTES, SMALL_BYTES
from trainer.hub.source import CONFIG, INDEX, PICKLE, SAFETENSORS, Source, is_shard

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


@dataclass(frozen=True)
class Listing:
    """A repo's files at one commit, with their bytes; None where the Hub does not say."""

    repo_id: str
    commit: str
    sizes: Mapping[str, int | None]

    @classmethod
    def of(cls, info: "ModelInfo", source: Source) -> "Listing":
        """Raises UserError where the repo's files may not be had."""
        if info.disabled:
            raise refusals.not_found(source.repo_id)
        if info.gated and not source.token:
            raise refusals.gated(source.repo_id)
        if not COMMIT.fullmatch(info.sha or ""):  # it becomes a folder's name
            raise refusals.out_of_reach(source.repo_id)
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
                    f"The {name} of {self.repo_id} is {refusals.size(size)}, far more than it can need.", CHOOSE
                )
        return files

    def weights(self, allow_pickle: bool, limits: FetchLimits) -> dict[str, int]:
        """The file with the weights, or the index of its shards. Raises UserError where there is neither."""
        names = {SAFETENSORS, INDEX} | ({PICKLE} if allow_pickle else set())
        for name in (SAFETENSORS, INDEX, PICKLE):
            if name in names and name in self.sizes:
                size = self._size(name)
                if name == INDEX and size > limits.small_bytes:
                    raise refusals.bad_index(self.repo_id)
                return {name: size}
        raise self._no_weights()

    def shards(self, index: Mapping[str, Any]) -> dict[str, int]:
        """The files that a shard index names. Raises UserError for one that is not a plain name or not there."""
        where = index.get("weight_map")
        if not isinstance(where, dict) or not where:
            raise refusals.bad_index(self.repo_id)
        names = set(map(str, where.values()))
        if len(names) > MOST_SHARDS or not all(isinstance(name, str) and is_shard(name) for name in where.values()):
            raise refusals.bad_index(self.repo_id)
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
            return refusals.pickle_only(self.repo_id, PICKLE)
        if pickles:
            return refusals.pickle_only(self.repo_id, "a PyTorch pickle")
        return UserError(f"{self.repo_id} has no {SAFETENSORS}, so there are no weights to load.", CHOOSE)
