"""The talk with huggingface_hub: make the repo, send what it lacks, and see that all of it arrived.

Whoever shares signs with a token that comes with the call, is handed to huggingface_hub and goes nowhere else; True
means the login of this computer (`hf auth login`), which huggingface_hub alone reads. Sharing again is how a cut is
mended: the Hub says what it has, by hashes, and only the rest is sent.
"""

import hashlib
import io
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from trainer.errors import UserError
from trainer.hub import errors
from trainer.hub.connectivity import reachable
from trainer.hub.errors import passing, status_of
from trainer.hub.inspect import SMALL_FILES
from trainer.hub.repo import SAFETENSORS
from trainer.hub.repo_id import check_repo_id
from trainer.publishing.model_card import EVENTS, EXAMPLE, PICTURE, card, usage
from trainer.publishing.options import PublishOptions
from trainer.publishing.run_report import facts_of, published
from trainer.runs.events import EventReader
from trainer.runs.follower import view_of
from trainer.runs.run import Run

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi, ModelInfo
CARD = "README.md"
# Never training_args.bin: it is a pickle, and holds what the Trainer was given.
MODEL_FILES = (*SMALL_FILES, SAFETENSORS)


@dataclass(frozen=True)
class ModelFile:
    """One file: its name in the repo, and its bytes or where they lie."""

    name: str
    content: bytes | Path

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def parts_of(run: Run, options: PublishOptions, repo_id: str, home: str, picture: bytes) -> list[ModelFile]:
    """All of them, the weights last. Raises UserError where there is no model."""
    events = EventReader(run.events).read_new()
    facts = facts_of(run, events)
    clip = run.folder / "clips" / "0.wav"
    # A voice is published only where it was public before.
    example = facts.kind in ("minds14", "practice") and clip.is_file()
    made = [
        ModelFile(CARD, card(facts, options, repo_id, home, example).encode()),
        ModelFile(PICTURE, picture),
        ModelFile(EVENTS, published(events)),
    ]
    if example:
        made.append(ModelFile(EXAMPLE, clip))
    files = (run.model / name for name in MODEL_FILES)
    return [*made, *(ModelFile(file.name, file) for file in files if file.is_file() and not file.is_symlink())]


NAME = "shared.json"


@dataclass(frozen=True)
class Receipt:
    """`files`: name to bytes; `commit`: the repo's state in which all of them were seen whole."""

    repo_id: str
    url: str
    private: bool
    commit: str
    files: dict[str, int] = field(default_factory=dict)
    model_type: str = ""

    @property
    def usage(self) -> str:
        """Some lines of Python."""
        return usage(self.repo_id, self.model_type)


def keep_receipt(run: Run, receipt: Receipt) -> None:
    """Replace the one of an earlier publication."""
    draft = run.folder / f"{NAME}.part"
    draft.write_text(json.dumps(asdict(receipt), indent=2), encoding="utf-8")
    draft.replace(run.folder / NAME)


def receipt_of(run: Run) -> Receipt | None:
    """The newest, where there is one."""
    try:
        return Receipt(**json.loads((run.folder / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


log = logging.getLogger("voicetune.hub")
Token = str | Literal[True]
UploadProgress = Callable[[int, int], None]  # bytes sent, bytes in all; total 0: the Hub is asked or is thinking
WAITS = (2.0, 8.0, 20.0)  # seconds between two tries to send: somebody may be looking on
# No answer came, and none would: a file that is gone, or an answer that makes no sense.
_NO_BETTER_LATER = (FileNotFoundError, ValueError, TypeError, LookupError, AttributeError)
SECONDS_TO_ANSWER = 4.0  # until the Hub counts as out of reach
MESSAGE = "A model trained with Voicetune"
_TOKEN = re.compile(r"[!-~]+")
_OWN_OF_HUB = {".gitattributes"}  # what a new repo holds


@dataclass(frozen=True)
class Hub:
    """Where to share: huggingface_hub's own endpoint where None, and whether the page runs on a Space."""

    endpoint: str | None = None
    on_space: bool = False


THE_HUB = Hub()


def publish(
    run: Run,
    options: PublishOptions,
    token: Token | None,
    picture: bytes,
    hub: Hub = THE_HUB,
    on_progress: UploadProgress = lambda done, total: None,
) -> Receipt:
    """Share a run that is over. `picture` is its curves as a PNG file.

    Raises UserError, with a sentence for each way this can fail. Where it broke off, call it again.
    """
    if not view_of(run).over:
        raise UserError("This training is still going on.", "Share it when it has finished.")
    api, owner = _signed_api(token, hub)
    repo_id = options.name if "/" in options.name else f"{owner}/{options.name}"
    with _refusing(repo_id, hub, run):
        parts = parts_of(run, options, repo_id, api.endpoint, picture)
        _open_repo(api, repo_id, options.private, run, parts)
        _send(api, repo_id, parts, on_progress)
        receipt = replace(_inspect(api, repo_id, parts), model_type=facts_of(run).model_type)
    keep_receipt(run, receipt)
    return receipt


def who_signs(token: Token | None, hub: Hub = THE_HUB) -> str:
    """Whose token it is, where it may write. Raises UserError."""
    return _signed_api(token, hub)[1]


def _signed_api(token: Token | None, hub: Hub) -> tuple["HfApi", str]:
    """The client and who signs: asked first, so that a sign-in that will not do is known before anything is made."""
    if token is not True and not (isinstance(token, str) and token):
        raise errors.not_signed_in(hub.on_space)
    if token is not True and not _TOKEN.fullmatch(token):  # a library's debug log would repeat it
        raise errors.expired(hub.on_space)
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.endpoint, token=token)
    if not reachable(api.endpoint, SECONDS_TO_ANSWER):  # huggingface_hub would wait for as long as the system does
        raise errors.hub_unreachable()
    with _refusing("the model", hub):
        who = api.whoami()
        name = check_repo_id(who["name"])
        role = ((who.get("auth") or {}).get("accessToken") or {}).get("role")
    if role == "read":
        raise errors.read_only()
    return api, name


@contextmanager
def _refusing(repo_id: str, hub: Hub, run: Run | None = None) -> Iterator[None]:
    """Whatever goes wrong inside becomes a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # huggingface_hub names no end of what it may raise
        if run is not None and not run.has_model:
            raise errors.deleted() from None
        # Not chained: a library's words may hold what was sent to it.
        raise errors.write_error(error, repo_id, hub.on_space) from None


def _open_repo(api: "HfApi", repo_id: str, private: bool, run: Run, parts: Sequence[ModelFile]) -> None:
    """Make the repo, or find that one of the name may be written to: it is empty, or holds this very run."""
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        api.create_repo(repo_id, private=private)
        return
    except HfHubHTTPError as error:
        if error.response is None or error.response.status_code != 409:
            raise
    try:
        info = api.model_info(repo_id, files_metadata=True)
    except RepositoryNotFoundError:
        raise errors.taken(repo_id) from None
    receipt = receipt_of(run)
    known = receipt is not None and receipt.repo_id == repo_id
    if not known and not _is_empty(info) and EVENTS not in _whole(info, [p for p in parts if p.name == EVENTS]):
        raise errors.taken(repo_id)
    if bool(info.private) != private:
        raise errors.other_visibility(repo_id, private)


def _send(api: "HfApi", repo_id: str, parts: Sequence[ModelFile], on_progress: UploadProgress) -> None:
    """One commit of what the Hub lacks; where it is in trouble for a moment, again after growing waits."""
    from huggingface_hub.utils import disable_progress_bars

    for wait in (*WAITS, None):
        count = _Count(parts, on_progress)
        try:
            with disable_progress_bars():  # there is one already
                api.create_commit(repo_id, [_addition(part, count) for part in parts], commit_message=MESSAGE)
        except Exception as error:  # huggingface_hub names no end of what it may raise
            if wait is None or not passing(error) or isinstance(error, _NO_BETTER_LATER):
                raise
            kind, status = type(error).__name__, status_of(error) or "none"
            log.warning("sending %s failed: %s, status %s; again in %g s", repo_id, kind, status, wait)
            time.sleep(wait)
        else:
            count.all_there()
            return


def _inspect(api: "HfApi", repo_id: str, parts: Sequence[ModelFile]) -> Receipt:
    """The receipt, once the Hub's hashes are ours."""
    info = api.model_info(repo_id, files_metadata=True)
    if len(_whole(info, parts)) != len(parts):
        raise errors.not_whole(repo_id)
    files = {part.name: part.size for part in parts}
    return Receipt(repo_id, f"{api.endpoint}/{repo_id}", bool(info.private), info.sha or "", files)


def _is_empty(info: "ModelInfo") -> bool:
    return {file.rfilename for file in info.siblings or []} <= _OWN_OF_HUB


def _whole(info: "ModelInfo", parts: Sequence[ModelFile]) -> set[str]:
    """The names of the parts that the Hub holds byte for byte: SHA-256 of large files, git's hash of small ones."""
    there = {file.rfilename: file for file in info.siblings or []}
    whole = set()
    for part in parts:
        file = there.get(part.name)
        if file is None:
            continue
        if file.lfs is not None:
            equal = file.lfs.sha256 == _digest(part, hashlib.sha256())
        else:
            equal = file.blob_id == _digest(part, hashlib.sha1(b"blob %d\0" % part.size))
        if equal:
            whole.add(part.name)
    return whole


def _digest(part: ModelFile, digest: Any) -> str:
    with io.BytesIO(part.content) if isinstance(part.content, bytes) else part.content.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return str(digest.hexdigest())


class _Count:
    """Bytes of several files, sent in whatever order and perhaps more than once."""

    def __init__(self, parts: Sequence[ModelFile], on_progress: UploadProgress) -> None:
        self._total, self._tell = sum(part.size for part in parts), on_progress
        self._sent: dict[str, int] = {}
        self._tell(0, 0)

    def reached(self, part: ModelFile, position: int) -> None:
        self._sent[part.name] = position
        self._tell(min(sum(self._sent.values()), self._total), self._total)

    def all_there(self) -> None:
        self._tell(self._total, self._total)


def _addition(part: ModelFile, count: _Count) -> "CommitOperationAdd":
    """As huggingface_hub takes a file, counting what is read of it while it is sent over HTTP.

    Through Xet it is read elsewhere: then there is no figure until it has arrived.
    """
    from huggingface_hub import CommitOperationAdd

    class Counted(CommitOperationAdd):
        @contextmanager
        def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
            if not with_tqdm:  # it is only being hashed
                with super().as_file() as file:
                    yield file
                return
            with _CountedFile(part, count) as file:
                yield file

    content = part.content if isinstance(part.content, bytes) else str(part.content)
    return Counted(path_in_repo=part.name, path_or_fileobj=content)


class _CountedFile(io.BufferedReader):
    """A file that counts how far it was read."""

    def __init__(self, part: ModelFile, count: _Count) -> None:
        content = part.content
        super().__init__(io.BytesIO(content) if isinstance(content, bytes) else content.open("rb", buffering=0))
        self._part, self._count = part, count

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._count.reached(self._part, self.tell())
        return data
