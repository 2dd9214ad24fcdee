"""The talk with huggingface_hub: look at a repo, take its files, find them again in the cache."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trainer.errors import UserError
from trainer.hub.errors import broken_off, no_revision, read_error
from trainer.hub.safe_json import CONFIG_BYTES, SMALL_BYTES, read_json

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo
CONFIG = "config.json"
SAFETENSORS = "model.safetensors"
INDEX = f"{SAFETENSORS}.index.json"  # which shard holds which tensor
PICKLE = "pytorch_model.bin"
# Tensors of Whisper's decoder, which hears as it is; as a base only the encoder beside it is used.
_DECODER = re.compile(r"(model\.)?decoder\.|proj_out\.")
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}\.safetensors")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")
DownloadProgress = Callable[[int, int], None]  # bytes done, bytes in all; may be called from another thread


@dataclass(frozen=True)
class Repo:
    """Where a model comes from and where it goes.

    `shared` is a second cache that is only read: what other programs have fetched into it is used where it lies.
    """

    repo_id: str
    revision: str  # a commit, branch or tag
    token: str | Literal[False]
    endpoint: str
    cache_dir: Path
    shared: Path | None = None

    @classmethod
    def of(
        cls,
        repo_id: str,
        revision: str | None,
        token: object,
        endpoint: str | None,
        cache_dir: Path | None,
        shared: Path | None = None,
    ) -> "Repo":
        from huggingface_hub import constants

        revision = revision or constants.DEFAULT_REVISION
        if not _REVISION.fullmatch(revision) or ".." in revision:
            raise no_revision(repo_id)
        return cls(
            repo_id,
            revision,
            token if isinstance(token, str) and token else False,  # None and True would send the host's own
            (endpoint or constants.ENDPOINT).rstrip("/"),
            Path(cache_dir or constants.HF_HUB_CACHE),
            shared,
        )

    @property
    def folder(self) -> Path:
        """All that the cache holds of the repo: its blobs, snapshots and names of revisions."""
        return self.cache_dir / f"models--{self.repo_id.replace('/', '--')}"

    def look(self, seconds: float) -> "ModelInfo":
        """The repo's commit and the sizes of its files, in one request."""
        from huggingface_hub import HfApi, constants

        revision = None if self.revision == constants.DEFAULT_REVISION else self.revision
        return HfApi(endpoint=self.endpoint, token=self.token).model_info(
            self.repo_id, revision=revision, files_metadata=True, timeout=seconds, token=self.token
        )

    def cached(self, allow_pickle: bool) -> Path | None:
        """The snapshot folder of an earlier fetch that got as far as the weights."""
        for cache in self._caches:
            for name in (SAFETENSORS, INDEX, *([PICKLE] if allow_pickle else [])):
                weights = self._in(cache, name, self.revision)
                if weights and self._in(cache, CONFIG, self.revision) and _complete(weights):
                    return weights.parent
        return None

    def whole(self, commit: str, files: Mapping[str, int]) -> Path | None:
        """The snapshot folder that holds all these files (name to bytes) already."""
        for cache in self._caches:
            found = [self._in(cache, name, commit, size) for name, size in files.items()]
            if found and found[0] and all(found):
                return found[0].parent
        return None

    def has(self, name: str, commit: str, size: int) -> bool:
        """Whether the file, of so many bytes, is in the cache that downloads go to."""
        return self._in(self.cache_dir, name, commit, size) is not None

    def read(self, name: str, commit: str, size: int) -> dict[str, Any]:
        """A small JSON file of the repo, of `size` bytes, from the cache or else the Hub. Raises UserError."""
        found = next((path for cache in self._caches if (path := self._in(cache, name, commit, size))), None)
        with self.explaining():
            path = found or self._get(name, commit, size)
        values = read_json(path.parent, name, CONFIG_BYTES if name == CONFIG else SMALL_BYTES)
        if values is None:  # deleted in this instant
            raise broken_off(self.repo_id)
        return values

    @property
    def _caches(self) -> tuple[Path, ...]:
        return (self.cache_dir,) if self.shared is None else (self.cache_dir, self.shared)

    def _in(self, cache: Path, name: str, revision: str, size: int | None = None) -> Path | None:
        """A file in a cache; `size`: only where it has so many bytes."""
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.repo_id, name, cache_dir=cache, revision=revision)
        if not isinstance(path, str) or size not in (None, Path(path).stat().st_size):
            return None
        return Path(path)

    def _get(self, name: str, commit: str, size: int, **options: Any) -> Path:
        """A file of `size` bytes, downloaded where the cache has none of that size.

        huggingface_hub takes whatever lies in the cache for the file itself: one that a full disk cut off (where the
        system knows no links it copies) would be given for ever.
        """
        from huggingface_hub import hf_hub_download

        for _ in range(2):
            path = Path(
                hf_hub_download(
                    self.repo_id,
                    name,
                    revision=commit,
                    endpoint=self.endpoint,
                    cache_dir=self.cache_dir,
                    token=self.token,
                    **options,
                )
            )
            if path.stat().st_size == size:
                return path
            path.resolve().unlink()  # the blob, where the path is a link to it
            path.unlink(missing_ok=True)
        raise OSError(f"{name} does not have the size that the Hub says")

    def download(self, commit: str, files: Mapping[str, int], on_progress: DownloadProgress | None) -> Path:
        """Get `files` (name to bytes, the weights last) and make the revision's name point to them."""
        count = _Count(sum(files.values()), on_progress)
        with self.explaining():
            for name, size in files.items():
                path = self._get(name, commit, size, tqdm_class=count.bar())
                count.complete(size)
            self.remember(path.parent)
        return path.parent

    def get_all(self, files: Mapping[str, int], commit: str) -> Path:
        """Get some files (name to bytes) alone, and leave the revision's name as it is.

        Raises what huggingface_hub raises.
        """
        paths = [self._get(name, commit, size) for name, size in files.items()]
        return paths[0].parent

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """What breaks while something is fetched, in a UserError."""
        try:
            yield
        except Exception as error:  # huggingface_hub names no end of what it may raise, and hf_xet adds its own
            raise read_error(error, self.repo_id, broken_off(self.repo_id)) from error

    def remember(self, folder: Path) -> None:
        """Write the cache's refs/<revision>, which huggingface_hub leaves out when asked for a commit.

        Last, so that a fetch that broke off never hides an earlier one that did not. Nothing is written to `shared`.
        """
        if folder.name == self.revision or not folder.is_relative_to(self.cache_dir):
            return
        ref = folder.parent.parent / "refs" / self.revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        draft = ref.with_name(f"{ref.name}.{uuid.uuid4().hex}.tmp")
        draft.write_text(folder.name)
        draft.replace(ref)


def _complete(weights: Path) -> bool:
    """Whether all shards are there, where these weights are an index of shards."""
    if weights.name != INDEX:
        return True
    try:
        names = shards_named(read_json(weights.parent, INDEX) or {})
    except UserError:
        return False
    return bool(names) and all(is_shard(name) and (weights.parent / name).is_file() for name in names)


def shards_named(index: Mapping[str, Any], decoder: bool = False) -> set[str]:
    """What a shard index names as its files; without `decoder` not those that hold a decoder alone. Nothing of it is
    checked; empty for what is no index."""
    where = index.get("weight_map")
    if not isinstance(where, dict):
        return set()
    return {str(file) for name, file in where.items() if decoder or not of_decoder(name)}


def of_decoder(name: str) -> bool:
    """Whether a tensor of this name is left out when a base is opened."""
    return _DECODER.match(name) is not None


def is_shard(name: str) -> bool:
    """Whether it is the plain name of a safetensors file: no folder, no "..", no other kind."""
    return _SHARD.fullmatch(name) is not None and ".." not in name


class _Count:
    """Bytes over several files, for `on_progress`."""

    def __init__(self, total: int, on_progress: DownloadProgress | None) -> None:
        self.total = total
        self.before = 0  # of files complete
        self.current = 0  # of the file under way
        self.on_progress = on_progress

    def add(self, size: float) -> None:
        self.current += int(size)
        self._tell()

    def complete(self, size: int) -> None:
        """Also for a file that was in the cache, of which no bar ever told."""
        self.before, self.current = self.before + size, 0
        self._tell()

    def _tell(self) -> None:
        if self.on_progress:
            self.on_progress(min(self.before + self.current, self.total), self.total)

    def bar(self) -> type[Any]:
        """A progress bar for huggingface_hub that draws nothing and counts here."""
        from huggingface_hub.utils import tqdm

        count = self

        class Bar(tqdm):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **{**options, "disable": True})

            def update(self, n: float | None = 1) -> None:
                count.add(n or 0)

            # With these, hf_xet's reporter makes one bar and not a second one for what crosses the network.
            def update_transfer(self, n: float | None = 1) -> None: ...
            def set_transfer_postfix_str(self, *args: Any, **options: Any) -> None: ...

        return Bar
