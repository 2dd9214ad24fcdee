"""The talk with huggingface_hub: look at a repo, take its files, find them again in the cache."""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trainer.hub.refusals import broken_off, explain, no_revision

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

CONFIG = "config.json"
SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")

Progress = Callable[[int, int], None]  # bytes done, bytes in all; may be called from another thread


@dataclass(frozen=True)
class Source:
    """Where a model comes from and where it goes."""

    repo_id: str
    revision: str  # a commit, branch or tag
    token: str | Literal[False]
    endpoint: str
    cache_dir: Path

    @classmethod
    def of(
        cls, repo_id: str, revision: str | None, token: object, endpoint: str | None, cache_dir: Path | None
    ) -> "Source":
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
        )

    def look(self, seconds: float) -> "ModelInfo":
        """The repo's commit and the sizes of its files, in one request."""
        from huggingface_hub import HfApi, constants

        revision = None if self.revision == constants.DEFAULT_REVISION else self.revision
        return HfApi(endpoint=self.endpoint, token=self.token).model_info(
            self.repo_id, revision=revision, files_metadata=True, timeout=seconds, token=self.token
        )

    def cached(self, allow_pickle: bool) -> Path | None:
        """The snapshot folder of an earlier fetch that got as far as the weights."""
        if not self.has(CONFIG, self.revision):
            return None
        for name in (SAFETENSORS, PICKLE)[: 1 + allow_pickle]:
            if weights := self.has(name, self.revision):
                return weights.parent
        return None

    def has(self, name: str, revision: str) -> Path | None:
        """The cached file, if it is there."""
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.repo_id, name, cache_dir=self.cache_dir, revision=revision)
        return Path(path) if isinstance(path, str) else None

    def download(self, commit: str, files: Mapping[str, int], on_progress: Progress | None) -> Path:
        """Get `files` (name to bytes, the weights last) and make the revision's name point to them."""
        from huggingface_hub import hf_hub_download

        count = _Count(sum(files.values()), on_progress)
        try:
            for name, size in files.items():
                path = hf_hub_download(
                    self.repo_id,
                    name,
                    revision=commit,
                    endpoint=self.endpoint,
                    cache_dir=self.cache_dir,
                    token=self.token,
                    tqdm_class=count.bar(),
                )
                count.complete(size)
            self._remember(Path(path).parent)
        except Exception as error:  # huggingface_hub names no end of what it may raise, and hf_xet adds its own
            raise explain(error, self.repo_id, broken_off(self.repo_id)) from error
        return Path(path).parent

    def _remember(self, folder: Path) -> None:
        """Write the cache's refs/<revision>, which huggingface_hub leaves out when asked for a commit.

        Last, so that a fetch that broke off never hides an earlier one that did not.
        """
        if folder.name == self.revision:
            return
        ref = folder.parent.parent / "refs" / self.revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        draft = ref.with_name(f"{ref.name}.{uuid.uuid4().hex}.tmp")
        draft.write_text(folder.name)
        draft.replace(ref)


class _Count:
    """Bytes over several files, for `on_progress`."""

    def __init__(self, total: int, on_progress: Progress | None) -> None:
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
