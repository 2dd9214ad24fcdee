"""The talk with huggingface_hub: make the repo, send what it lacks, and see that all of it arrived.

Whoever shares signs with a token that comes with the call, is handed to huggingface_hub and goes nowhere else; True
means the login of this computer (`hf auth login`), which huggingface_hub alone reads. Sharing again is how a cut is
mended: the Hub says what it has, by hashes, and only the rest is sent.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from trainer.errors import UserError
from trainer.hub.ids import check_repo_id
from trainer.hub.reach import reachable
from trainer.publishing import refusals
from trainer.publishing.card import EVENTS
from trainer.publishing.parts import Part, parts_of
from trainer.publishing.receipt import Receipt, keep_receipt, receipt_of
from trainer.publishing.wishes import Wish
from trainer.runs.following import view_of
from trainer.runs.run import Run

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi, ModelInfo

Token = str | Literal[True]
Progress = Callable[[int, int], None]  # bytes sent, bytes in all; total 0: the Hub is asked or is thinking
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
    wish: Wish,
    token: Token | None,
    picture: bytes,
    hub: Hub = THE_HUB,
    on_progress: Progress = lambda done, total: None,
) -> Receipt:
    """Share a run that is over. `picture` is its curves as a PNG file.

    Raises UserError, with a sentence for each way this can fail. Where it broke off, call it again.
    """
    if not view_of(run).over:
        raise UserError("This training is still going on.", "Share it when it has finished.")
    api, owner = _signed_api(token, hub)
    repo_id = wish.name if "/" in wish.name else f"{owner}/{wish.name}"
    with _refusing(repo_id, hub, run):
        parts = parts_of(run, wish, repo_id, api.endpoint, picture)
        _open_repo(api, repo_id, wish.private, run, parts)
        _send(api, repo_id, parts, on_progress)
        receipt = _inspect(api, repo_id, parts)
    keep_receipt(run, receipt)
    return receipt


def who_signs(token: Token | None, hub: Hub = THE_HUB) -> str:
    """Whose token it is, where it may write. Raises UserError."""
    return _signed_api(token, hub)[1]


def _signed_api(token: Token | None, hub: Hub) -> tuple["HfApi", str]:
    """The client and who signs: asked first, so that a sign-in that will not do is known before anything is made."""
    if token is not True and not (isinstance(token, str) and token):
        raise refusals.not_signed_in(hub.on_space)
    if token is not True and not _TOKEN.fullmatch(token):  # a library's debug log would repeat it
        raise refusals.expired(hub.on_space)
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.endpoint, token=token)
    if not reachable(api.endpoint, SECONDS_TO_ANSWER):  # huggingface_hub would wait for as long as the system does
        raise refusals.out_of_reach()
    with _refusing("the model", hub):
        who = api.whoami()
        name = check_repo_id(who["name"])
        role = ((who.get("auth") or {}).get("accessToken") or {}).get("role")
    if role == "read":
        raise refusals.read_only()
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
            raise refusals.deleted() from None
        # Not chained: a library's words may hold what was sent to it.
        raise refusals.explain(error, repo_id, hub.on_space) from None


def _open_repo(api: "HfApi", repo_id: str, private: bool, run: Run, parts: Sequence[Part]) -> None:
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
        raise refusals.taken(repo_id) from None
    receipt = receipt_of(run)
    known = receipt is not None and receipt.repo_id == repo_id
    if not known and not _is_empty(info) and EVENTS not in _whole(info, [p for p in parts if p.name == EVENTS]):
        raise refusals.taken(repo_id)
    if bool(info.private) != private:
        raise refusals.other_visibility(repo_id, private)


def _send(api: "HfApi", repo_id: str, parts: Sequence[Part], on_progress: Progress) -> None:
    from huggingface_hub.utils import disable_progress_bars

    count = _Count(sum(part.size for part in parts), on_progress)
    with disable_progress_bars():  # there is one already
        api.create_commit(repo_id, [_addition(part, count) for part in parts], commit_message=MESSAGE)
    count.all_there()


def _inspect(api: "HfApi", repo_id: str, parts: Sequence[Part]) -> Receipt:
    """The receipt, once the Hub's hashes are ours."""
    info = api.model_info(repo_id, files_metadata=True)
    if len(_whole(info, parts)) != len(parts):
        raise refusals.not_whole(repo_id)
    files = {part.name: part.size for part in parts}
    return Receipt(repo_id, f"{api.endpoint}/{repo_id}", bool(info.private), info.sha or "", files)


def _is_empty(info: "ModelInfo") -> bool:
    return {file.rfilename for file in info.siblings or []} <= _OWN_OF_HUB


def _whole(info: "ModelInfo", parts: Sequence[Part]) -> set[str]:
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


def _digest(part: Part, digest: Any) -> str:
    with io.BytesIO(part.content) if isinstance(part.content, bytes) else part.content.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return str(digest.hexdigest())


class _Count:
    """Bytes over several files, sent in whatever order and perhaps more than once."""

    def __init__(self, total: int, on_progress: Progress) -> None:
        self._total, self._tell = total, on_progress
        self._sent: dict[str, int] = {}
        self._tell(0, 0)

    def reached(self, name: str, position: int) -> None:
        self._sent[name] = position
        self._tell(min(sum(self._sent.values()), self._total), self._total)

    def all_there(self) -> None:
        self._tell(self._total, self._total)


def _addition(part: Part, count: _Count) -> "CommitOperationAdd":
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
            with _Heard(part.content, lambda position: count.reached(part.name, position)) as heard:
                yield heard

    content = part.content if isinstance(part.content, bytes) else str(part.content)
    return Counted(path_in_repo=part.name, path_or_fileobj=content)


class _Heard(io.BufferedReader):
    """A file that says how far it was read."""

    def __init__(self, content: bytes | Path, reached: Callable[[int], None]) -> None:
        raw = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb", buffering=0)
        super().__init__(raw)
        self._reached = reached

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._reached(self.tell())
        return data
