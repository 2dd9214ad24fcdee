"""What stands in front of Gradio: who is answered, at which addresses, and how much they may send.

Gradio serves some eighty routes, of which this page uses those in ROUTES. All others do not exist here: they are
answered before they reach it. So are requests to a name that the app was not started for (a foreign page whose name
was pointed here), requests that a foreign page sends, bodies larger than what the page could send, and requests that
name the open page of another visitor.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import anyio
from gradio.routes import App, file_upload_statuses
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trainer.formatting import file_size
from trainer.settings import Settings
from trainer.ui.hosts import Hosts, from_elsewhere, hosts_of, own_names
from trainer.ui.recordings import Recordings
from trainer.ui.request_limits import (
    FORM_BYTES,
    LARGEST_JSON,
    SECONDS_FOR_JSON,
    CountedFile,
    TooMuchError,
    Uploads,
    declared,
    room_for_uploads,
    whole_body,
)
from trainer.ui.sessions import Sessions, forget_files_and_events, forget_uploads, keep_no_statistics
from trainer.ui.visitors import owner_of, secret_in, set_cookie, valid_or_new


class Body(Enum):
    """What a route takes."""

    NOTHING = 0
    JSON = 1
    FILE = 2


@dataclass(frozen=True)
class Route:
    """One address of the page. `path` is a pattern for all of it; `{files}` in it is the folder of uploads.

    `anyone`: a link or a frame on another site may lead there.
    """

    method: str
    path: str
    body: Body = Body.NOTHING
    anyone: bool = False


CANCEL, RESET = "/gradio_api/cancel", "/gradio_api/reset"
ANSWERS = "/gradio_api/queue/data"
SESSION = "[A-Za-z0-9_-]{1,64}"  # the id of an open page's session: the page makes it up
HEARTBEAT = f"/gradio_api/heartbeat/{SESSION}"  # an open page's line
ROUTES = (
    # the page and its files
    Route("GET", "/", anyone=True),
    Route("HEAD", "/", anyone=True),  # Gradio asks itself whether it is up
    Route("GET", "/config"),
    Route("GET", "/theme.css"),
    Route("GET", "/favicon.ico", anyone=True),
    Route("GET", "/assets/.+"),
    Route("GET", "/static/.+"),
    # its events
    Route("POST", "/gradio_api/run/predict", Body.JSON),
    Route("POST", "/gradio_api/queue/join", Body.JSON),
    Route("GET", ANSWERS),
    Route("POST", CANCEL, Body.JSON),
    Route("POST", RESET, Body.JSON),  # does nothing; the page sends it with each `cancel`
    Route("GET", HEARTBEAT),
    Route("GET", "/gradio_api/startup-events"),  # Gradio asks itself for it
    Route("GET", "/gradio_api/app_id"),  # asked after a lost connection: is it still the same app?
    Route("GET", "/gradio_api/info"),  # what programs may ask, and how
    # what it sends and is sent as files
    Route("POST", "/gradio_api/upload", Body.FILE),
    Route("GET", "/gradio_api/upload_progress"),
    Route("GET", "/gradio_api/file={files}/.+"),
)
# What is asked by MCP; answers come with the request, so that no line is kept open.
MCP_ROUTES = (Route("POST", "/gradio_api/mcp/?", Body.JSON),)
SIGN_IN_ROUTES = (
    Route("GET", "/login/huggingface", anyone=True),
    Route("GET", "/login/callback", anyone=True),
    Route("GET", "/logout"),
)
SHUT_QUERIES = {"deep_link"}  # of routes that are open without it: it hands out another visitor's page

NOT_THEIRS = "That is not a page of yours. Please load it anew."

REQUESTS_AT_ONCE = 2_000  # an open page has one or two
SECONDS_BETWEEN_ROUNDS = 15.0


class Guard:
    """ASGI middleware. Only what ROUTES lists reaches the app behind it."""

    def __init__(self, app: ASGIApp, settings: Settings, hosts: Hosts, folder: Path, sessions: Sessions) -> None:
        self._app, self._settings, self._hosts, self._sessions = app, settings, hosts, sessions
        self._uploads = Uploads(settings.max_audio_bytes, lambda: room_for_uploads(folder, settings))
        signs_in = settings.on_space and settings.can_sign_in
        self._routes = [
            (route, re.compile(route.path.replace("{files}", re.escape(str(folder)))))
            for route in (*ROUTES, *(SIGN_IN_ROUTES if signs_in else ()), *(MCP_ROUTES if settings.mcp else ()))
        ]
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, route = Headers(scope=scope), self._route(scope)
        if refusal := self._refusal(route, headers):
            await refusal(scope, receive, send)
        elif route is not None:
            self._open += 1
            try:
                await self._hand_on(route, headers, scope, receive, send)
            finally:
                self._open -= 1

    def _refusal(self, route: Route | None, headers: Headers) -> PlainTextResponse | None:
        if len(headers.getlist("host")) != 1 or not self._hosts.answer(headers["host"]):
            return _say(421, "Voicetune was not started for this address. VOICETUNE_HOSTS can name it.")
        if route is None:
            return _say(404, "There is nothing here.")
        if not route.anyone and from_elsewhere(headers, self._hosts):
            return _say(403, "Another page asked for this. Open Voicetune itself.")
        if self._open >= REQUESTS_AT_ONCE:
            return _say(503, "Too many people are here just now. Please try again in a minute.")
        return None

    def _route(self, scope: Scope) -> Route | None:
        query = scope.get("query_string", b"").decode("latin-1")
        if any(name in SHUT_QUERIES for name, _ in parse_qsl(query, keep_blank_values=True)):
            return None
        path = scope["path"]
        if ".." in path.split("/"):
            return None
        return next(
            (route for route, pattern in self._routes if route.method == scope["method"] and pattern.fullmatch(path)),
            None,
        )

    async def _hand_on(self, route: Route, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        secret = secret_in(cookie_parser(headers.get("cookie", "")))
        if route.path == "/" and self._settings.on_space:
            send = _with_cookie(send, valid_or_new(secret), self._is_secure(scope, headers))
        if route.body is Body.JSON:
            await self._with_json(route, secret, scope, receive, send)
        elif route.body is Body.FILE:
            await self._with_file(secret or "", headers, scope, receive, send)
        elif route.path in (HEARTBEAT, ANSWERS):
            session = scope["path"].rpartition("/")[2] if route.path == HEARTBEAT else _session_in_query(scope)
            if not self._is_theirs(session, secret):
                await _not_theirs()(scope, receive, send)
                return
            with self._sessions.page_open(session):
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_theirs(self, session: str, secret: str | None) -> bool:
        return bool(re.fullmatch(SESSION, session)) and self._sessions.belongs(
            session, owner_of(secret, self._settings)
        )

    def _is_secure(self, scope: Scope, headers: Headers) -> bool:
        """Whether the browser came by https, which on a Space ends at its proxy."""
        proto = headers.get("x-forwarded-proto", scope.get("scheme", "http")).partition(",")[0].strip()
        return proto == "https"

    async def _with_json(self, route: Route, secret: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        body = None
        try:
            if declared(Headers(scope=scope)) > LARGEST_JSON:
                raise TooMuchError
            with anyio.move_on_after(SECONDS_FOR_JSON):
                body = await whole_body(receive, LARGEST_JSON)
        except TooMuchError:
            await _say(413, "That is more than this page ever sends.")(scope, receive, send)
            return
        except ConnectionError:
            return
        if body is None:
            await _say(408, "That took too long.")(scope, receive, send)
            return
        asked = _fields_of(body)
        if route.path == RESET and asked.get("event_id", "") is None:  # as below, of an event without a number
            await JSONResponse({"success": True})(scope, receive, send)
            return
        session = asked.get("session_hash")
        if isinstance(session, str):
            if not self._is_theirs(session, secret):
                await _not_theirs()(scope, receive, send)
                return
            # An event that is answered already, or whose number the page has not been told yet, which Gradio's page
            # gives up all the same: Gradio answers that with an error. And it asks for nobody's leave to end one that
            # is another session's.
            if route.path == CANCEL and not self._sessions.works_on(session, str(asked.get("event_id"))):
                await JSONResponse({"success": True})(scope, receive, send)
                return
        first: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def replay() -> Message:
            nonlocal first
            message, first = first, None
            return message or await receive()

        await self._app(scope, replay, send)

    async def _with_file(self, visitor: str, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        largest = self._uploads.largest + FORM_BYTES
        size = declared(headers) or largest  # who does not say is taken at their worst
        too_large = f"I take at most {file_size(self._uploads.largest)} and one file at a time."
        if size > largest:
            await _say(413, too_large)(scope, receive, send)
            return
        if refusal := self._uploads.refusal(visitor, size):
            await _say(429, refusal)(scope, receive, send)
            return
        _, options = parse_options_header(headers.get("content-type", ""))  # as Gradio reads it
        if not options.get(b"boundary"):
            await _say(400, "That is not a file.")(scope, receive, send)
            return
        body = CountedFile(receive, largest, options[b"boundary"])

        async def answer(message: Message) -> None:
            if not body.refused:  # else what the app makes of a sender that is gone
                await send(message)

        try:
            await self._app(scope, body, answer)
        except Exception:
            if not body.refused:
                raise
        if body.refused:
            await _say(body.refused, too_large if body.refused == 413 else "That took too long.")(scope, receive, send)


def _fields_of(body: bytes) -> dict[str, Any]:
    """What Gradio will read in a body, by the same parser; {} for what it will not take either."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return asked if isinstance(asked, dict) else {}


def _session_in_query(scope: Scope) -> str:
    """The session that a query names, where it names one alone; else ""."""
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    named = [value for name, value in query if name == "session_hash"]
    return named[0] if len(named) == 1 else ""


def _with_cookie(send: Send, secret: str, secure: bool) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", set_cookie(secret, secure))
        await send(message)

    return sent


def _not_theirs() -> JSONResponse:
    return JSONResponse({"error": NOT_THEIRS, "detail": NOT_THEIRS}, 403)  # as Gradio's page reads refusals


def _say(status: int, words: str) -> PlainTextResponse:
    return PlainTextResponse(words, status, {"connection": "close"} if status in (408, 413) else None)


def guarded(
    settings: Settings, folder: Path, recordings: Recordings | None = None
) -> Callable[[App], AbstractAsyncContextManager[None]]:
    """The lifespan of an app that has the guard in front of it, before the first request can come.

    `launch` builds the app and has no other place for what stands before all of Gradio's own middleware, which answers
    some requests by itself. `folder`: where uploads lie. `recordings` learn which pages are open.
    """

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        sessions = app.state_holder = Sessions(app.get_blocks())
        if recordings is not None:
            recordings.page_open = sessions.is_open
        app.middleware_stack = Guard(app.middleware_stack, settings, hosts_of(settings, own_names), folder, sessions)
        keep_no_statistics(app.get_blocks())
        tidying = asyncio.create_task(_tidy(app, sessions))
        yield
        tidying.cancel()

    return lifespan


async def _tidy(app: App, sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_ROUNDS)
        sessions.tidy()
        forget_uploads(file_upload_statuses)
        forget_files_and_events(app)
