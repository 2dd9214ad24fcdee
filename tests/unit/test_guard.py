"""What reaches Gradio and what does not: the routes that this page uses, and no others."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import gradio.oauth
import gradio.profiling
import httpx
import pytest
from gradio.routes import App

from tests.fakes.asynchronous import run_apart
from tests.fakes.house import ANSWERS, CANCEL, PREDICT, UPLOAD, House, signed_in_space
from trainer.settings import Settings
from trainer.ui.guard import guarded
from trainer.ui.request_limits import (
    LARGEST_JSON,
)

RESET = "/gradio_api/reset"

# Every route of Gradio: those that this page uses, and those that were looked at and are shut. After an update of
# Gradio a route that is in neither fails `test_every_route_of_gradio_is_known`: look at what it does first.
OPEN = """
GET /
HEAD /
GET /config
GET /theme.css
GET /favicon.ico
GET /assets/{path:path}
GET /static/{path:path}
POST /gradio_api/run/{api_name}
POST /gradio_api/queue/join
GET /gradio_api/queue/data
POST /gradio_api/cancel
POST /gradio_api/reset
GET /gradio_api/heartbeat/{session_hash}
GET /gradio_api/startup-events
GET /gradio_api/app_id
GET /gradio_api/info
POST /gradio_api/upload
GET /gradio_api/upload_progress
GET /gradio_api/file={path_or_url:path}
GET /login/huggingface
GET /login/callback
GET /logout
"""
SHUT = """
GET /config/
GET /gradio_api/app_id/
GET /gradio_api/call/v2/{api_name}/{event_id}
GET /gradio_api/call/{api_name}/{event_id}
GET /gradio_api/custom_component/{id}/{environment}/{type}/{file_name}
GET /gradio_api/deep_link
GET /gradio_api/dev/reload
GET /gradio_api/file/{path:path}
GET /gradio_api/info/
GET /gradio_api/login_check
GET /gradio_api/login_check/
GET /gradio_api/openapi.json
GET /gradio_api/profiling/summary
GET /gradio_api/profiling/traces
GET /gradio_api/proxy={url_path:path}
GET /gradio_api/queue/status
GET /gradio_api/run-history/buckets
GET /gradio_api/run-history/records
GET /gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}
GET /gradio_api/runs
GET /gradio_api/runs/
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8
GET /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}
GET /gradio_api/theme.css
GET /gradio_api/token
GET /gradio_api/token/
GET /gradio_api/user
GET /gradio_api/user/
GET /gradio_api/vibe-code
GET /gradio_api/vibe-code/
GET /manifest.json
GET /monitoring
GET /monitoring/summary
GET /monitoring/{key}
GET /openapi.json
GET /pwa_icon
GET /pwa_icon/{size}
GET /robots.txt
GET /svelte/{path:path}
HEAD /gradio_api/file={path_or_url:path}
HEAD /gradio_api/proxy={url_path:path}
HEAD /openapi.json
POST /gradio_api/api/{api_name}
POST /gradio_api/api/{api_name}/
POST /gradio_api/call/v2/{api_name}
POST /gradio_api/call/v2/{api_name}/
POST /gradio_api/call/{api_name}
POST /gradio_api/call/{api_name}/
POST /gradio_api/component_server
POST /gradio_api/component_server/
POST /gradio_api/process_recording
POST /gradio_api/profiling/clear
POST /gradio_api/reset/
POST /gradio_api/run-history/connect
POST /gradio_api/run/{api_name}/
POST /gradio_api/stream/{event_id}
POST /gradio_api/stream/{event_id}/close
POST /gradio_api/undo-vibe-edit
POST /gradio_api/undo-vibe-edit/
POST /gradio_api/vibe-code
POST /gradio_api/vibe-code/
POST /gradio_api/vibe-edit
POST /gradio_api/vibe-edit/
POST /gradio_api/vibe-starter-queries
POST /gradio_api/vibe-starter-queries/
POST /login
POST /login/
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def routes_of(routes: Iterable[Any]) -> Iterator[str]:
    """Method and path of each, also of those that FastAPI keeps in a router of its own."""
    for route in routes:
        if hasattr(route, "methods"):
            yield from (f"{method} {route.path}" for method in route.methods)
        elif hasattr(route, "path"):
            yield f"MOUNT {route.path}"
        else:
            yield from routes_of(route.original_router.routes)


@pytest.fixture
def every_route(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the installed Gradio can serve, with everything that may be switched on."""
    monkeypatch.setattr(gradio.profiling, "PROFILING_ENABLED", True)
    for name in ("CLIENT_ID", "CLIENT_SECRET", "SCOPES"):
        monkeypatch.setattr(gradio.oauth, f"OAUTH_{name}", "x")
    monkeypatch.setattr(gradio.oauth, "OPENID_PROVIDER_URL", "https://example.org")
    with gr.Blocks() as demo:
        pass
    demo.run_history = True
    app = App.create_app(demo)
    gradio.oauth._add_oauth_routes(app)
    return set(routes_of(app.routes))


def concrete(route: str, folder: Path) -> tuple[str, str]:
    """Method and an address of this route."""
    method, path = route.split(" ")
    path = path.replace("file={path_or_url:path}", f"file={folder}/a.wav").replace("run/{api_name}", "run/predict")
    if path == ANSWERS:
        path += "?session_hash=x"
    return method, re.sub(r"\{[^}]*\}", "x", path)


def test_mcp_is_answered_where_it_is_served_alone(house: House, tmp_path: Path) -> None:
    served = House(tmp_path, mcp=1)
    for address in ("/gradio_api/mcp", "/gradio_api/mcp/"):
        assert house.ask("POST", address, json={}).status_code == 404
        assert served.ask("POST", address, json={}).text == "inside"
        assert served.ask("GET", address).status_code == 404
        elsewhere = served.ask("POST", address, json={}, headers={"origin": "http://evil.example"})
        assert elsewhere.status_code == 403
        assert served.ask("POST", address, content=b"x" * (LARGEST_JSON + 1)).status_code == 413
    for address in ("/gradio_api/mcp/sse", "/gradio_api/mcp/messages/", "/gradio_api/mcp/schema", "/gradio_api/mcp//"):
        assert served.ask("POST", address, json={}).status_code == 404


def test_every_route_of_gradio_is_known(every_route: set[str]) -> None:
    assert every_route == {*OPEN.split("\n"), *SHUT.split("\n")} - {""}


def test_only_the_pages_own_routes_reach_gradio(every_route: set[str], tmp_path: Path) -> None:
    house = signed_in_space(tmp_path)
    reached = []
    for route in sorted(every_route):
        house.inside.reached.clear()
        method, path = concrete(route, tmp_path)
        files = {"files": ("a.wav", b"x")} if path == UPLOAD else None
        answer = house.ask(method, path, files=files)
        if house.inside.reached:
            reached.append(route)
        else:
            assert answer.status_code == 404, route
    assert sorted(reached) == sorted(OPEN.strip().split("\n"))


def test_nothing_else_reaches_gradio_either(house: House) -> None:
    for method, path in (
        ("GET", "/?deep_link=abc"),
        ("GET", "/config?deep_link=abc"),
        ("GET", "/config?a=1&deep_link"),
        ("GET", "/config?%64eep_link=abc"),
        ("GET", "/gradio_api/deep_link?session_hash=abc"),
        ("OPTIONS", "/gradio_api/run/predict"),
        ("PUT", "/"),
        ("POST", "/gradio_api/run/hear"),
        ("POST", "/gradio_api/mcp/"),
        ("GET", "/gradio_api/file=https://example.org/a.wav"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", f"/gradio_api/file={house.folder}/../a.wav"),
        ("GET", f"/gradio_api/file={house.folder}%2f%2e%2e/a.wav"),
        ("GET", f"/gradio_api/file={house.folder}-of-another/a.wav"),
        ("GET", "/gradio_api/heartbeat/../config"),
        ("GET", "/%2e%2e/config"),
        ("GET", "/login/huggingface"),  # nobody signs in on a laptop
    ):
        assert house.ask(method, path).status_code == 404, path
    assert house.inside.reached == []


def test_a_socket_is_closed(house: House) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    run_apart(house.guard({"type": "websocket", "path": "/"}, None, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_the_guard_stands_before_all_of_gradio(tmp_path: Path) -> None:
    """Before its own middleware too, which would answer a browser's question whether it may ask from elsewhere."""
    with gr.Blocks() as demo:
        pass
    app = App.create_app(demo, app_kwargs={"lifespan": guarded(Settings(data_dir=tmp_path), tmp_path)})
    asked = {"origin": "http://localhost:9", "access-control-request-method": "POST", "host": "evil.example"}

    async def use() -> tuple[int, int, int]:
        app.middleware_stack = app.build_middleware_stack()
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                preflight = await client.options(PREDICT, headers=asked)
                recording = await client.post("/gradio_api/process_recording")
                page = await client.get("/gradio_api/app_id")
                return preflight.status_code, recording.status_code, page.status_code

    assert run_apart(use()) == (421, 404, 200)


def test_giving_up_an_event_that_has_no_number_yet_is_no_error(house: House) -> None:
    """Gradio's page does that when another choice is made before its first was answered; Gradio itself says 422."""
    early = house.ask("POST", CANCEL, json={"session_hash": "a", "fn_index": 1, "event_id": None})
    assert (early.status_code, early.json(), house.inside.reached) == (200, {"success": True}, [])
    beside = house.ask("POST", RESET, json={"event_id": None})
    assert (beside.status_code, house.inside.reached) == (200, [])
    house.sessions.blocks._queue.pending_event_ids_session["a"] = {"e"}
    house.ask("POST", CANCEL, json={"session_hash": "a", "fn_index": 1, "event_id": "e"})
    house.ask("POST", CANCEL, json=["neither"])
    assert len(house.inside.reached) == 2, "any other is Gradio's to answer"
