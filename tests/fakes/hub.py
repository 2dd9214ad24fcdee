"""A Hugging Face Hub on localhost that the real huggingface_hub and datasets clients talk to: the download side.

Both read HF_ENDPOINT when they are imported, so a test either passes `endpoint=hub.url` or runs a subprocess
with HF_ENDPOINT=hub.url and an HF_HOME of its own.
"""

import asyncio
import hashlib
import io
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.fakes.hub_search import Listed, search
from trainer.speech.locales import LOCALES

MINDS14 = "PolyAI/minds14"
MINDS14_REVISION = "40ce77cb32a384e4d50a568e1ec39ac804019d33"  # the one that Voicetune pins

INTENTS = (
    *("abroad", "address", "app_error", "atm_limit", "balance", "business_loan", "card_issues", "cash_deposit"),
    *("direct_debit", "freeze", "high_value_payment", "joint_account", "latest_transactions", "pay_bill"),
)

_LARGE = {".safetensors", ".bin", ".parquet", ".pt", ".ckpt"}  # what the Hub keeps as LFS
_ID = r"(?P<id>[^/]+(?:/[^/]+)??)"
_REPO = rf"/api/(?P<kind>models|datasets)/{_ID}"
_FILE = re.compile(rf"/(?:(?P<kind>datasets)/)?{_ID}/resolve/(?P<rev>[^/]+)/(?P<path>.+)")


class Seen(NamedTuple):
    """A request as it came in. `authorization` is the header's text, None where there was none."""

    method: str
    path: str
    authorization: str | None


class Route(NamedTuple):
    """What a fake serves, and by what. Of several that match a request the first one answers."""

    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    answer: Callable[..., Any]

    def match(self, method: str, path: str) -> re.Match[str] | None:
        return self.pattern.fullmatch(path) if method in self.methods else None


@dataclass
class Repo:
    """A repo with its commits (40 hex digits to files), and branches that name some of them."""

    kind: str
    id: str
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)  # said of the repo in place of what is so

    def commit(self, revision: str) -> str | None:
        name = self.refs.get(revision, revision)
        return name if name in self.commits else None

    def entries(self, commit: str) -> list[dict[str, Any]]:
        """Files and folders, as the tree and paths-info answers list them."""
        files = self.commits[commit]
        folders = {str(parent) for name in files for parent in PurePosixPath(name).parents} - {"."}
        listed: list[dict[str, Any]] = [
            {"type": "directory", "path": f, "oid": _sha1(f), "size": 0} for f in sorted(folders)
        ]
        return listed + [self._entry(name, data) for name, data in sorted(files.items())]

    def _entry(self, name: str, data: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": _git_oid(data)}
        if _is_lfs(name):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return entry

    def info(self, commit: str, sizes: bool) -> dict[str, Any]:
        """The answer to "what is this repo?", with the files' sizes only when they are asked for."""
        siblings: list[dict[str, Any]] = []
        for name, data in sorted(self.commits[commit].items()):
            sibling: dict[str, Any] = {"rfilename": name}
            if sizes:
                sibling |= {"size": len(data), "blobId": _git_oid(data)}
                if _is_lfs(name):
                    sibling["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(sibling)
        gated = "manual" if self.gated else False
        known = {"id": self.id, "sha": commit, "private": False, "gated": gated, "disabled": False}
        return {**known, "siblings": siblings, **self.told}


class FakeHub:
    """`with FakeHub() as hub:` serves what `add_model` and `add_dataset` gave, and keeps every request.

    Switches, which may be turned at any time: `delay` seconds before each answer; `repo_delay` seconds before those
    about a repo; `status` answers every
    request with that HTTP status; `file_status` does so for files alone; `drop_after` bytes of a file's body
    the connection is cut, for the next `drops` files (-1: for all).
    """

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.repos: dict[tuple[str, str], Repo] = {}
        self.delay = 0.0
        self.repo_delay = 0.0
        self.status: int | None = None
        self.file_status: int | None = None
        self.drop_after: int | None = None
        self.drops = -1
        self.listed: list[Listed] = []  # what a search finds
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self._app(), log_level="critical", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the fake Hub did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """From here on connections are refused."""
        self._server.should_exit = self._server.force_exit = True  # without waiting for clients to hang up
        self._thread.join(timeout=10)
        self._socket.close()

    def add_model(self, repo_id: str, files: Mapping[str, bytes], **more: Any) -> str:
        """Add a commit to a model, making the model where it is new. Returns the commit.

        `more`: `commit`, else it is made from the files; `branch` ("main"); `gated`.
        """
        return self._add("models", repo_id, files, **more)

    def add_dataset(self, repo_id: str, files: Mapping[str, bytes], **more: Any) -> str:
        """As `add_model`, for a data set."""
        return self._add("datasets", repo_id, files, **more)

    def _add(
        self,
        kind: str,
        repo_id: str,
        files: Mapping[str, bytes],
        *,
        commit: str = "",
        branch: str = "main",
        gated: bool = False,
    ) -> str:
        commit = commit or _sha1(repr(sorted((name, hashlib.sha256(data).hexdigest()) for name, data in files.items())))
        repo = self.repos.setdefault((kind, repo_id), Repo(kind, repo_id))
        repo.gated = gated
        repo.commits[commit] = dict(files)
        repo.refs[branch] = commit
        return commit

    def files_sent(self) -> list[str]:
        """Names of the files that were downloaded, in order."""
        matches = (_FILE.fullmatch(seen.path) for seen in self.requests if seen.method == "GET")
        return [match["path"] for match in matches if match]

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.api_route("/{rest:path}", methods=["GET", "HEAD", "POST"])
        async def answer(request: Request) -> Response:
            path = request.scope["raw_path"].decode().split("?")[0]
            self.requests.append(Seen(request.method, path, request.headers.get("authorization")))
            await asyncio.sleep(self.delay + (self.repo_delay if path != "/" else 0.0))
            if self.status:
                return _refuse(self.status)
            for route in self.routes():
                if match := route.match(request.method, path):
                    answered: Response = await route.answer(request, match)
                    return answered
            return Response(status_code=404)

        return app

    def routes(self) -> list[Route]:
        """What is served to readers."""
        get, post = ("GET",), ("POST",)
        return [
            Route(("HEAD",), re.compile("/"), self._front_page),
            Route(get, re.compile("/api/models"), self._search),
            Route(("HEAD", "GET"), _FILE, self._file),
            Route(get, re.compile(f"{_REPO}(?:/revision/(?P<rev>[^/]+))?"), self._info),
            Route(get, re.compile(f"{_REPO}/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?"), self._tree),
            Route(post, re.compile(f"{_REPO}/paths-info/(?P<rev>[^/]+)"), self._paths_info),
        ]

    async def _front_page(self, request: Request, match: re.Match[str]) -> Response:
        return Response(status_code=200)

    async def _search(self, request: Request, match: re.Match[str]) -> Response:
        return search(self.listed, request)

    def _found(self, match: re.Match[str]) -> tuple[Repo, str] | Response:
        """A repo and one of its commits, or why not."""
        repo = self.repos.get((match["kind"], match["id"]))
        if repo is None:
            return _refuse(404, "RepoNotFound")
        commit = repo.commit(unquote(match["rev"] or "main"))
        return (repo, commit) if commit else _refuse(404, "RevisionNotFound")

    async def _info(self, request: Request, match: re.Match[str]) -> Response:
        found = self._found(match)
        if isinstance(found, Response):
            return found
        repo, commit = found
        return JSONResponse(repo.info(commit, sizes=request.query_params.get("blobs", "").lower() == "true"))

    async def _tree(self, request: Request, match: re.Match[str]) -> Response:
        found = self._found(match)
        if isinstance(found, Response):
            return found
        repo, commit = found
        return _tree(
            repo.entries(commit), unquote(match["path"] or ""), request.query_params.get("recursive") == "true"
        )

    async def _paths_info(self, request: Request, match: re.Match[str]) -> Response:
        found = self._found(match)
        if isinstance(found, Response):
            return found
        repo, commit = found
        asked = set((await request.form()).getlist("paths"))
        return JSONResponse([entry for entry in repo.entries(commit) if entry["path"] in asked])

    async def _file(self, request: Request, match: re.Match[str]) -> Response:
        """HEAD and GET of a file, whole or from an offset on."""
        repo = self.repos.get((match["kind"] or "models", match["id"]))
        if self.file_status:
            return _refuse(self.file_status)
        if repo is None:
            return _refuse(404, "RepoNotFound")
        commit, name = repo.commit(unquote(match["rev"])), unquote(match["path"])
        if commit is None:
            return _refuse(404, "RevisionNotFound")
        if repo.gated:
            return _refuse(403, "GatedRepo")
        data = repo.commits[commit].get(name)
        if data is None:
            return _refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_git_oid(data)}"', "Accept-Ranges": "bytes"}
        if _is_lfs(name):
            headers |= {"X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Linked-Size": str(len(data))}
        return self._body(request, data, headers)

    def _body(self, request: Request, data: bytes, headers: dict[str, str]) -> Response:
        status, size = 200, len(data)
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
            first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
            status, data = 206, data[first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        headers["Content-Length"] = str(len(data))
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        return StreamingResponse(self._stream(data), status, headers, "application/octet-stream")

    async def _stream(self, data: bytes) -> AsyncIterator[bytes]:
        if self.drop_after is not None and self.drops:
            self.drops -= 1
            yield data[: self.drop_after]
            raise ConnectionAbortedError("as the test asked")  # uvicorn closes the connection
        yield data


def minds14_files(locale: str, clips: Mapping[str, bytes]) -> dict[str, bytes]:
    """A data set in MInDS-14's schema as its Hub repo has it: README.md and one locale's Parquet file.

    `clips`: transcription to WAV bytes (8 kHz mono).
    """
    from datasets import Audio, ClassLabel, Dataset, Features, Value

    locales = sorted(LOCALES)
    stored = {"bytes": Value("binary"), "path": Value("string")}  # building an Audio column asks for torchcodec
    features = Features(
        {
            "path": Value("string"),
            "audio": stored,
            "transcription": Value("string"),
            "english_transcription": Value("string"),
            "intent_class": ClassLabel(names=list(INTENTS)),
            "lang_id": ClassLabel(names=locales),
        }
    )
    rows = []
    for number, (text, wav) in enumerate(clips.items()):
        path = f"{locale}~{INTENTS[number % 14].upper()}/{_sha1(text)[:24]}.wav"
        rows.append(
            {
                "path": path,
                "audio": {"bytes": wav, "path": path},
                "transcription": text,
                "english_transcription": text,
                "intent_class": number % 14,
                "lang_id": locales.index(locale),
            }
        )
    table = Dataset.from_list(rows, features=features).cast(Features({**features, "audio": Audio(sampling_rate=8000)}))
    parquet = io.BytesIO()
    table.to_parquet(parquet)
    card = {"configs": [{"config_name": locale, "data_files": [{"split": "train", "path": f"{locale}/train-*"}]}]}
    return {
        "README.md": f"---\n{json.dumps(card)}\n---\n".encode(),  # JSON is YAML
        f"{locale}/train-00000-of-00001.parquet": parquet.getvalue(),
    }


def _tree(entries: list[dict[str, Any]], folder: str, recursive: bool) -> Response:
    """What lies in a folder, the root being ""."""
    inside = [e for e in entries if not folder or e["path"].startswith(f"{folder}/")]
    if not inside:
        return _refuse(404, "EntryNotFound")
    if not recursive:
        inside = [e for e in inside if "/" not in e["path"].removeprefix(f"{folder}/" if folder else "")]
    return JSONResponse(inside)


def _refuse(status: int, code: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """An error in the Hub's form."""
    message = {"X-Error-Code": code, "X-Error-Message": code} if code else {}
    return JSONResponse({"error": code or str(status)}, status, {**message, **(headers or {})})


def _is_lfs(name: str) -> bool:
    return PurePosixPath(name).suffix in _LARGE


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()
