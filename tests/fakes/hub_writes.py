"""The writing side of the Hub on localhost, for the real huggingface_hub client: who is asking, repos, commits, LFS.

    with WritableHub() as hub:
        hub.let_in("hf_anna", "anna")
        publish(…, endpoint=hub.url)

Every request is kept whole in `calls`, so that a test can look for what should not be in it.
"""

import asyncio
import base64
import hashlib
import json
import re
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import yaml
from fastapi.responses import JSONResponse, Response

from tests.fakes.hub import FakeHub, Repo, Route, _is_lfs, _refuse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_MODEL = r"/api/models/(?P<id>[^/]+/[^/]+)"
_LFS = re.compile(r"/(?P<id>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
_READS = re.compile(r"/(?:api/models/)?(?P<id>[^/]+/[^/]+?)(?:/(?:resolve|revision|tree|paths-info)/.*)?")
_YAML = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))")  # as the Hub finds it


@dataclass
class Call:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    query: str = ""
    body: bytes = b""

    @property
    def token(self) -> str:
        header = self.headers.get("authorization", "")
        return header.removeprefix("Bearer ") if header.startswith("Bearer ") else ""


@dataclass
class Cut:
    """Where a connection ends: at the `at`-th request (from 1), before or after it was done, or inside its body.

    `held`: instead of ending the connection, keep it waiting until the hub stops, and say so by `reached`.
    """

    at: int
    done: bool = False
    body: float | None = None  # the share of a body that is taken in first
    held: bool = False
    reached: threading.Event = field(default_factory=threading.Event)


class WritableHub(FakeHub):
    """A `FakeHub` that takes models from those who are let in.

    Switches: `cut`; `statuses`, a path's beginning to the HTTP status that it answers; `moods`, the same to statuses
    that are answered once each, in order; `store`, the address for large
    files (its own where None); `moved`, an address that commits are sent on to.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.people: dict[str, str] = {}  # token: name
        self.roles: dict[str, str] = {}  # token: read | write
        self.private: set[str] = set()
        self.objects: dict[str, bytes] = {}  # large files by SHA-256, whether committed or not
        self.uploads: list[str] = []  # SHA-256 of each that came in whole, in order
        self.cut: Cut | None = None
        self.statuses: dict[str, int] = {}
        self.moods: dict[str, list[int]] = {}
        self.store: str | None = None
        self.moved: str | None = None
        self._stopping = threading.Event()
        super().__init__()

    def let_in(self, token: str, name: str, role: str = "write") -> None:
        """From now on this token signs for this person."""
        self.people[token], self.roles[token] = name, role

    def files(self, repo_id: str) -> dict[str, bytes]:
        """What the main branch holds."""
        repo = self.repos[("models", repo_id)]
        return repo.commits[repo.refs["main"]]

    def stop(self) -> None:
        self._stopping.set()
        super().stop()

    def _app(self) -> Any:
        reading = super()._app()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await reading(scope, receive, send)
                return
            headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
            path = scope["raw_path"].decode().split("?")[0]
            call = Call(scope["method"], path, headers, scope["query_string"].decode())
            self.calls.append(call)
            cut = self.cut if self.cut and len(self.calls) == self.cut.at else None
            if cut and cut.body is None and not cut.done:
                await self._end(cut, send)
            await self._take_in(call, receive, cut, send)
            answer = self._answer(call)
            if cut:
                await self._end(cut, send)
            if answer is not None:
                await answer(scope, receive, send)
            else:
                await reading(scope, _replay(call.body, receive), send)

        return app

    async def _take_in(self, call: Call, receive: Receive, cut: Cut | None, send: Send) -> None:
        size = int(call.headers.get("content-length", 0))
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError("the client left")
            call.body += message.get("body", b"")
            more = message.get("more_body", False)
            if cut and cut.body is not None and len(call.body) >= cut.body * size:
                await self._end(cut, send)

    async def _end(self, cut: Cut, send: Send) -> None:
        """The connection breaks: an answer is promised and never comes."""
        cut.reached.set()
        while cut.held and not self._stopping.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        raise ConnectionAbortedError("as the test asked")

    def _answer(self, call: Call) -> Response | None:
        """None: the reading side answers."""
        for beginning, status in self.statuses.items():
            if call.path.startswith(beginning):
                return _refuse(status)
        for beginning, moods in self.moods.items():
            if moods and call.path.startswith(beginning):
                return _refuse(moods.pop(0))
        if call.token and call.token not in self.people:
            return _refuse(401)
        if call.path == "/api/agent-harnesses":
            return _refuse(404)
        for route in self.writing_routes():
            if match := route.match(call.method, call.path):
                answer: Response = route.answer(call, match)
                return answer
        if call.method in ("GET", "HEAD") and (match := _READS.fullmatch(call.path)):
            return self._hide(call, match)
        return None

    def writing_routes(self) -> list[Route]:
        """What is served beside `routes`, mostly to those who are let in."""
        post = ("POST",)
        return [
            Route(("GET",), re.compile("/api/whoami-v2"), self._whoami),
            Route(post, re.compile("/api/validate-yaml"), self._validate),
            Route(post, re.compile("/api/repos/create"), self._create),
            Route(post, re.compile(f"{_MODEL}/preupload/(?P<rev>[^/]+)"), self._preupload),
            Route(post, re.compile(f"{_MODEL}/commit/(?P<rev>[^/]+)"), self._commit),
            Route(post, _LFS, self._batch),
            Route(("PUT",), re.compile("/large/(?P<oid>[0-9a-f]{64})"), self._put),
        ]

    def _whoami(self, call: Call, match: re.Match[str]) -> Response:
        name = self.people.get(call.token)
        if name is None:
            return _refuse(401)
        auth = {"type": "access_token", "accessToken": {"displayName": "a token", "role": self.roles[call.token]}}
        return JSONResponse({"type": "user", "name": name, "fullname": name.title(), "orgs": [], "auth": auth})

    def _validate(self, call: Call, match: re.Match[str]) -> Response:
        """As far as it is known: YAML that loads, with the fields' types."""
        found = _YAML.search(json.loads(call.body)["content"])
        try:
            block = yaml.safe_load(found[2]) if found else None
        except yaml.YAMLError:
            block = None
        errors = [] if isinstance(block, dict) else [{"message": "The YAML metadata is broken."}]
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    def _create(self, call: Call, match: re.Match[str]) -> Response:
        wanted, person = json.loads(call.body), self.people.get(call.token)
        if person is None:
            return _refuse(401)
        if self.roles[call.token] == "read" or wanted.get("organization") not in (None, person):
            return _refuse(403)
        repo_id = f"{wanted.get('organization') or person}/{wanted['name']}"
        if ("models", repo_id) in self.repos:
            return JSONResponse({"error": "You already created this model repo", "url": f"{self.url}/{repo_id}"}, 409)
        self.add_model(repo_id, {".gitattributes": b"*.safetensors filter=lfs\n"})
        if wanted.get("visibility") == "private":
            self.private.add(repo_id)
        return JSONResponse({"url": f"{self.url}/{repo_id}", "name": repo_id, "id": repo_id})

    def _writable(self, call: Call, match: re.Match[str]) -> Repo | Response:
        """A repo that this person may write to, or why not."""
        repo = self.repos.get(("models", match["id"]))
        if repo is None or not self._may_read(call, match["id"]):
            return _refuse(404, "RepoNotFound")
        if self.people.get(call.token) != match["id"].split("/")[0] or self.roles[call.token] == "read":
            return _refuse(403)
        return repo

    def _preupload(self, call: Call, match: re.Match[str]) -> Response:
        repo = self._writable(call, match)
        if isinstance(repo, Response):
            return repo
        files = repo.commits[repo.refs[unquote(match["rev"])]]
        asked = [file["path"] for file in json.loads(call.body)["files"]]
        return JSONResponse({"files": [_mode(name, files.get(name)) for name in asked]})

    def _commit(self, call: Call, match: re.Match[str]) -> Response:
        repo = self._writable(call, match)
        if isinstance(repo, Response):
            return repo
        if self.moved:
            return Response(status_code=307, headers={"Location": f"{self.moved}{call.path}"})
        files = dict(repo.commits[repo.refs[unquote(match["rev"])]])
        for line in call.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    return _refuse(400)  # a commit of a file that never came
                files[value["path"]] = self.objects[value["oid"]]
        commit = self.add_model(repo.id, files)
        return JSONResponse(
            {
                "success": True,
                "commitOid": commit,
                "commitUrl": f"{self.url}/{repo.id}/commit/{commit}",
                "hookOutput": "",
            }
        )

    def _batch(self, call: Call, match: re.Match[str]) -> Response:
        if not self._may_read(call, match["id"]):
            return _refuse(404, "RepoNotFound")
        objects = []
        for wanted in json.loads(call.body)["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.objects:
                entry["actions"] = {"upload": {"href": f"{self.store or self.url}/large/{wanted['oid']}"}}
            objects.append(entry)
        return JSONResponse({"transfer": "basic", "objects": objects})

    def _put(self, call: Call, match: re.Match[str]) -> Response:
        if hashlib.sha256(call.body).hexdigest() != match["oid"]:
            return _refuse(400)
        self.objects[match["oid"]] = call.body
        self.uploads.append(match["oid"])
        return Response(status_code=200)

    def _hide(self, call: Call, match: re.Match[str]) -> Response | None:
        return None if self._may_read(call, match["id"]) else _refuse(401, "RepoNotFound")

    def _may_read(self, call: Call, repo_id: str) -> bool:
        if ("models", repo_id) in self.repos:
            self.repos[("models", repo_id)].told["private"] = repo_id in self.private
        return repo_id not in self.private or self.people.get(call.token) == repo_id.split("/")[0]


def _mode(name: str, known: bytes | None) -> dict[str, Any]:
    large = _is_lfs(name)
    answer: dict[str, Any] = {"path": name, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
    if known is not None:
        plain = hashlib.sha1(b"blob %d\0" % len(known) + known).hexdigest()
        answer["oid"] = hashlib.sha256(known).hexdigest() if large else plain
    return answer


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever comes."""
    replayed = False

    async def again() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
