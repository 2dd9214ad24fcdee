"""A model from the Hub: looked at before anything is downloaded, then its named files alone, at the commit seen.

No token of the host ever goes along, nothing of a repo is run, and every failure is a `UserError`. What kind of
model it is, only the floor above knows.
"""

import errno
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from trainer.errors import UserError
from trainer.hub.reach import reachable

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

CONFIG = "config.json"
SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"
SMALL_FILES = (
    CONFIG,
    "preprocessor_config.json",
    "processor_config.json",  # all that transformers 5 saves of a processor beside its tokenizer
    "vocab.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)

Progress = Callable[[int, int], None]  # bytes done, bytes in all; may be called from another thread

_HOME = "huggingface.co"
_EXAMPLE = "facebook/wav2vec2-base-960h"
_CHOOSE = f"Choose a CTC speech recognition model, for example {_EXAMPLE}."
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_REPO_ID = re.compile(rf"(?:{_NAME}/)?{_NAME}")  # the rules of huggingface_hub.utils.validate_repo_id
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")
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
    source = _Source.of(check_repo_id(repo_id), revision, token, endpoint, cache_dir)
    if not reachable(source.endpoint, limits.reach_seconds):
        if folder := source.cached(allow_pickle):
            return folder
        raise _out_of_reach(source.repo_id)
    try:
        info = source.look(limits.look_seconds)
    except Exception as error:  # huggingface_hub names no end of what it may raise
        if _passing(error) and (folder := source.cached(allow_pickle)):
            return folder
        raise _explain(error, source.repo_id, _out_of_reach(source.repo_id)) from error
    commit = _commit(info, source)
    files = _choose(source.repo_id, _sizes(info), allow_pickle, limits)
    _check_disk(source, commit, files, limits)
    return source.download(commit, files, on_progress)


def check_repo_id(text: str) -> str:
    """A repo id in the Hub's form from what somebody typed: an id, or the address of a model's page.

    Raises UserError. Sends nothing.
    """
    text = text.strip()
    if not text:
        raise UserError("No model was named.", f"Type the id of a model on the Hub, for example {_EXAMPLE}.")
    if "://" in text[:20]:
        text = _id_in_address(text)
    if text.startswith(("datasets/", "spaces/")):
        raise UserError("That is a data set or a Space, not a model.", _CHOOSE)
    if not _REPO_ID.fullmatch(text) or "--" in text or ".." in text or text.endswith(".git"):
        raise UserError(
            "That is not the id of a model on the Hugging Face Hub.",
            f"An id has the form owner/name, as in {_EXAMPLE}: copy it from the top of the model's page.",
        )
    return text


def _id_in_address(text: str) -> str:
    """https://huggingface.co/owner/name, also as the browser shows it: with /tree/main, a query or an anchor."""
    try:
        address = urlsplit(text)
    except ValueError:  # brackets that are no IPv6 address
        address = urlsplit("")
    if (address.scheme, address.netloc) != ("https", _HOME):
        raise UserError(
            "That address does not lead to the Hugging Face Hub.",
            f"Paste the address of a model's page, such as https://{_HOME}/{_EXAMPLE}, or its id alone.",
        )
    return address.path.strip("/").removesuffix("/tree/main")


@dataclass(frozen=True)
class _Source:
    """Where a model comes from and where it goes, and the only talk with huggingface_hub in this module."""

    repo_id: str
    revision: str  # a commit, branch or tag
    token: str | Literal[False]
    endpoint: str
    cache_dir: Path

    @classmethod
    def of(
        cls, repo_id: str, revision: str | None, token: object, endpoint: str | None, cache_dir: Path | None
    ) -> "_Source":
        from huggingface_hub import constants

        revision = revision or constants.DEFAULT_REVISION
        if not _REVISION.fullmatch(revision) or ".." in revision:
            raise _no_revision(repo_id)
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
        except Exception as error:  # as above, and hf_xet adds its own
            raise _explain(error, self.repo_id, _broken_off(self.repo_id)) from error
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


def _sizes(info: "ModelInfo") -> dict[str, int | None]:
    """Bytes of each file; None where the Hub does not say."""
    return {f.rfilename: f.lfs.size if f.lfs else f.size for f in info.siblings or []}


def _choose(repo_id: str, sizes: Mapping[str, int | None], allow_pickle: bool, limits: FetchLimits) -> dict[str, int]:
    """The files to download, with their bytes, the weights last. Raises UserError where they will not do."""
    if CONFIG not in sizes:
        raise UserError(f"{repo_id} has no config.json, so it is not a Transformers model.", _CHOOSE)
    weights = _weights(repo_id, sizes, allow_pickle)
    chosen: dict[str, int] = {}
    for name in (*(n for n in SMALL_FILES if n in sizes), weights):
        size = sizes[name]
        if size is None:
            raise UserError(f"The Hub does not say how large the files of {repo_id} are.", _CHOOSE)
        most = {CONFIG: limits.config_bytes, weights: limits.total_bytes}.get(name, limits.small_bytes)
        if size > most and name != weights:
            raise UserError(f"The {name} of {repo_id} is {_size(size)}, far more than it can need.", _CHOOSE)
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
            f"{_HOME}/spaces/safetensors/convert.",
        )
    raise UserError(f"{repo_id} has no {SAFETENSORS}, so there are no weights to load.", _CHOOSE)


def _commit(info: "ModelInfo", source: _Source) -> str:
    """The commit that was looked at, once it is known that its files may be had."""
    if info.disabled:
        raise _not_found(source.repo_id)
    if info.gated and not source.token:
        raise _gated(source.repo_id)
    if not _COMMIT.fullmatch(info.sha or ""):  # it becomes a folder's name
        raise _out_of_reach(source.repo_id)
    return str(info.sha)


def _check_disk(source: _Source, commit: str, files: Mapping[str, int], limits: FetchLimits) -> None:
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


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from: huggingface_hub wraps an HTTP status in a "not in the cache"."""
    link: BaseException | None = error
    for _ in range(20):  # such chains can be rings
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _status(error: BaseException) -> int:
    """The HTTP status behind an error; 0 where there was no answer."""
    responses = (getattr(link, "response", None) for link in _chain(error))
    return next((response.status_code for response in responses if response is not None), 0)


def _passing(error: BaseException) -> bool:
    """Whether the Hub may answer otherwise in a while, so that an earlier fetch is as good as the latest."""
    status = _status(error)
    return status in {0, 408, 429} or status >= 500


def _explain(error: Exception, repo_id: str, otherwise: UserError) -> UserError:
    """What a person should read of an error from huggingface_hub; `otherwise` for a network that failed."""
    from huggingface_hub import errors

    def came(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in _chain(error))

    numbers = {link.errno for link in _chain(error) if isinstance(link, OSError)}
    if came(errors.GatedRepoError):
        return _gated(repo_id)
    if came(errors.RevisionNotFoundError):
        return _no_revision(repo_id)
    status = _status(error)
    if status == 401 or came(errors.RepositoryNotFoundError, errors.DisabledRepoError):
        return _not_found(repo_id)
    if status == 429:
        return UserError(
            "The Hugging Face Hub asks for a pause: too many requests have come from this address.",
            "Wait a few minutes and try again.",
        )
    if status == 403:
        return UserError(f"The Hugging Face Hub does not give {repo_id} to this computer.", _CHOOSE)
    if status >= 500:
        return UserError(
            f"The Hugging Face Hub is in trouble and answers with error {status}.", "Try again in a few minutes."
        )
    if numbers & {errno.ENOSPC, errno.EDQUOT} or "No space left" in str(error):  # hf_xet gives no number
        return UserError(f"The disk filled up while {repo_id} was being fetched.", "Free some space and try again.")
    if numbers & {errno.EACCES, errno.EPERM, errno.EROFS}:
        return UserError(
            "The folder for downloaded models cannot be written to.",
            "Set HF_HOME to a folder that can, and start Voicetune again.",
        )
    return otherwise


def _out_of_reach(repo_id: str) -> UserError:
    return UserError(
        f"The Hugging Face Hub cannot be reached, and {repo_id} was not fetched before.",
        "Check the internet connection and try again, or choose a model that is already here.",
    )


def _broken_off(repo_id: str) -> UserError:
    return UserError(
        f"The connection broke while {repo_id} was being fetched.",
        "Check the internet connection and try again; files that are complete are kept.",
    )


def _not_found(repo_id: str) -> UserError:
    return UserError(
        f"There is no model called {repo_id} on the Hugging Face Hub, or it is private.",
        f"Check the spelling: an id has the form owner/name, as in {_EXAMPLE}.",
    )


def _no_revision(repo_id: str) -> UserError:
    return UserError(f"{repo_id} has no such version.", "Leave the version out to take the newest one.")


def _gated(repo_id: str) -> UserError:
    return UserError(
        f"{repo_id} is only for people to whom its owner has given access.",
        "Choose an open model, or download this one yourself and give Voicetune its folder.",
    )
