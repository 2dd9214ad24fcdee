"""The running app as a stranger meets it: what it hands out, what it keeps, and what of it is left when it ends."""

import http.server
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Playwright, Request, Route, expect

from tests.app.browsing import launch
from tests.app.raw_client import RawClient
from tests.app.serving import App, start_app
from tests.fakes.run_folder import beep
from trainer.ui.visitors import SECURE_COOKIE, valid_or_new

pytestmark = pytest.mark.timeout(240)
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app as a Space runs it."""
    app = start_app(tmp_path_factory.mktemp("space"), SPACE_ID="someone/voicetune", HF_ENDPOINT="http://127.0.0.1:9")
    yield app
    app.stop()


def files_of(app: App) -> list[Path]:
    return [path for path in (app.data.parent / "tmp").rglob("*") if path.is_file()]


def test_a_session_is_handed_out_to_nobody_and_a_recording_is_not_kept(space: App) -> None:
    secret = valid_or_new(None)
    client = RawClient(space.url, "victim", secret)
    client.call(client.endpoints()["arrive"], [None, None, "quick", None, "", "en-US"])
    with httpx.Client(base_url=space.url) as stranger:
        for method, path in (
            ("GET", "gradio_api/deep_link?session_hash=victim"),
            ("GET", "config?deep_link=x"),
            ("GET", "?deep_link=x"),
            ("POST", "gradio_api/process_recording"),
        ):
            files = {"video": ("a.mp4", b"x" * MEGABYTE)} if method == "POST" else None
            answer = stranger.request(method, path, files=files)
            assert answer.status_code == 404 and secret not in answer.text, path
        page = stranger.get("").text
        assert secret not in page and '"footer_links":["api","gradio"]' in page.replace(" ", "")
    assert files_of(space) == []
    client.close()


def test_a_huge_json_body_costs_nothing(space: App) -> None:
    """24 MB of `{},` took 1.1 GB and 3.5 s of everybody's time."""
    process = psutil.Process(space.process.pid)
    before = process.memory_info().rss
    with httpx.Client(base_url=space.url) as stranger:
        began = time.monotonic()
        for path in ("gradio_api/run/predict", "gradio_api/queue/join", "gradio_api/cancel"):
            assert stranger.post(path, content=b"[" + b"{}," * 8_000_000).status_code == 413
        assert time.monotonic() - began < 10
    assert process.memory_info().rss - before < 60 * MEGABYTE


def test_a_name_that_was_pointed_here_reads_and_deletes_nothing(space: App) -> None:
    with httpx.Client(base_url=space.url, headers={"host": "rebound.example"}) as page:
        assert page.get("").status_code == page.get("config").status_code == 421
        assert page.post("gradio_api/run/predict", json={}).status_code == 421


def test_uploads_leave_with_the_app_when_its_terminal_is_closed(tmp_path: Path) -> None:
    app = start_app(tmp_path)
    client = RawClient(app.url, "me")
    client.upload("a.wav", beep(0.5, 440))
    assert len(files_of(app)) == 1
    app.process.send_signal(signal.SIGHUP)
    app.process.wait(20)
    assert list((tmp_path / "tmp").glob("voicetune-uploads-*")) == []
    client.close()


def test_in_a_frame_on_another_site_the_visitor_is_known(space: App, playwright: Playwright, tmp_path: Path) -> None:
    """As a Space stands on huggingface.co. 127.0.0.1 and localhost are two sites, so a Lax cookie would not be sent."""
    (tmp_path / "index.html").write_text(f'<iframe allow="microphone" src="{space.url}" width="900" height="700">')
    handler = lambda *given: http.server.SimpleHTTPRequestHandler(*given, directory=str(tmp_path))  # noqa: E731
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = launch(playwright)
    sent: list[Request] = []
    cookies: list[str] = []
    try:
        context = browser.new_context(locale="en-US")
        page = context.new_page()

        def as_by_https(route: Route) -> None:
            """What the Space's proxy says; the rest of the test goes by http, which browsers trust on this machine."""
            answer = route.fetch(headers={**route.request.headers, "x-forwarded-proto": "https"})
            body = answer.text().replace("https://127.0.0.1", "http://127.0.0.1")
            route.fulfill(response=answer, body=body)

        page.route(space.url, as_by_https)
        page.on("request", lambda request: sent.append(request))  # Playwright marks what it is given
        page.goto(f"http://localhost:{server.server_port}/")
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("button", name="Start", exact=True)).to_be_visible()
        for _ in range(20):
            page.wait_for_timeout(1000)
            if any("/run/" in request.url for request in sent):
                break
        cookies = [request.all_headers().get("cookie", "") for request in sent if "/run/" in request.url]
    finally:
        browser.close()
        server.shutdown()
    assert cookies and all(SECURE_COOKIE in cookie for cookie in cookies)
