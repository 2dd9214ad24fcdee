"""The Transcribe tab: recording, uploads good and bad, and microphones that cannot be used."""

import re
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app.browsing import late_answers
from tests.app.conftest import Visit, shoot
from tests.app.serving import App, start_app
from tests.fakes.models import save_answering
from tests.fakes.run_folder import beep, write_run
from trainer.ui.recordings import SECONDS_UNTIL_GONE

PATIENCE_MS = 120_000  # loading torch on a busy machine
RATE = 16_000

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module", autouse=True)
def model(app: App) -> None:
    """A finished run with a model that answers any sound with "h": what it says does not matter here."""
    save_answering(write_run(app.data).model, "h")


@pytest.fixture
def transcribe(page: Page) -> Page:
    """The tab, opened."""
    return open_tab(page)


def open_tab(page: Page) -> Page:
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("Your newest model"))
    return page


def upload(page: Page, path: Path) -> None:
    page.get_by_role("button", name="Upload file").click()
    page.locator("#microphone input[type=file]").set_input_files(path)


def uploads_left(app: App) -> list[Path]:
    """What is still there seconds after the result."""
    deadline = time.monotonic() + SECONDS_UNTIL_GONE + 2
    while (left := uploads_now(app)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def forget(app: App, page: Page) -> None:
    """The last recording stays until then, and is gone."""
    assert len(uploads_now(app)) == 1
    page.get_by_role("button", name="Forget it now").click()
    assert uploads_left(app) == []


def uploads_now(app: App) -> list[Path]:
    return [path for path in (app.data.parent / "tmp").rglob("*") if path.suffix in (".wav", ".flac", ".txt", ".mp3")]


def test_a_recording_becomes_text_once(app: App, transcribe: Page) -> None:
    calls: list[str] = []
    transcribe.on("request", lambda request: calls.append(request.url) if ".wav" in (request.post_data or "") else None)
    transcribe.get_by_role("button", name="Record", exact=True).click()
    transcribe.wait_for_timeout(2500)
    transcribe.locator("#microphone .stop-button:visible").click()
    expect(transcribe.locator("#transcript")).to_have_text("h", timeout=PATIENCE_MS)
    expect(transcribe.locator(".transcript-details")).to_contain_text("of sound")
    shoot(transcribe, "transcribed-1280")
    transcribe.wait_for_timeout(500)
    assert len(calls) == 1, "one recording, one transcription"
    forget(app, transcribe)
    expect(transcribe.get_by_role("button", name="Record", exact=True)).to_be_visible()  # ready for the next one


def test_the_text_can_be_copied(app: App, transcribe: Page, tmp_path: Path) -> None:
    transcribe.context.grant_permissions(["clipboard-read", "clipboard-write", "microphone"])
    sound = tmp_path / "tone.flac"
    soundfile.write(sound, 0.3 * np.sin(np.arange(2 * RATE) / 9), RATE)
    upload(transcribe, sound)
    transcribe.get_by_role("button", name="Copy").click(timeout=PATIENCE_MS)
    expect(transcribe.get_by_role("button", name="Copied")).to_be_visible()
    assert transcribe.evaluate("navigator.clipboard.readText()") == "h"
    forget(app, transcribe)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("poem.wav", b"This is not a sound at all, but a poem.", "I cannot find any sound in that file"),
        ("silence.wav", None, "I could not hear anything"),
        ("click.wav", beep(0.05, 440), "too short"),
        ("nothing.wav", b"", "empty"),
    ],
)
def test_a_bad_file_is_explained_where_the_text_would_be(
    app: App, visit: Visit, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    # The browser's own player, too, says on the console that it cannot play these, or comes when they are gone.
    transcribe = open_tab(
        visit(tolerate="Waveform load error|Requested Range Not Satisfiable|REQUEST_RANGE|403").open(app.url)
    )
    sound = tmp_path / name
    if content is None:
        soundfile.write(sound, np.zeros(2 * RATE), RATE)
    else:
        sound.write_bytes(content)
    upload(transcribe, sound)
    expect(transcribe.locator("#result .message.problem")).to_contain_text(words, timeout=PATIENCE_MS)
    shoot(transcribe, f"refused-{name.split('.')[0]}")
    assert uploads_left(app) == []


def test_a_file_too_large_is_explained_before_it_travels(transcribe: Page, tmp_path: Path) -> None:
    large = tmp_path / "opera.wav"
    with large.open("wb") as file:
        file.truncate(201 * 2**20)
    tone = tmp_path / "tone.wav"
    tone.write_bytes(beep(1.0, 440))
    upload(transcribe, tone)
    expect(transcribe.locator("#transcript")).to_have_text("h", timeout=PATIENCE_MS)
    upload(transcribe, large)
    refusal = transcribe.locator("#result .message.problem")
    expect(refusal).to_have_text("That file has 201 MB, and I take at most 200. Cut it, or save it as MP3.")
    expect(transcribe.locator("#transcript")).to_have_count(0)  # the words before it are another recording's
    expect(transcribe.locator("#microphone-note")).not_to_contain_text("201 MB")
    shoot(transcribe, "refused-large")
    upload(transcribe, tone)
    expect(transcribe.locator("#transcript")).to_have_text("h", timeout=PATIENCE_MS)
    expect(refusal).to_have_count(0)


UPLOADS = re.compile(r"/gradio_api/upload(\?|$)")
REFUSAL = "You have sent a lot within a minute. <b>Please wait</b> a minute, then try again."


@pytest.mark.parametrize("recorded", [False, True], ids=["file", "recorded"])
def test_what_the_server_refuses_is_explained_where_the_text_would_be(
    app: App, visit: Visit, tmp_path: Path, recorded: bool
) -> None:
    page = open_tab(visit(tolerate="429|404|Upload|HTTP|Response|AbortError").open(app.url))
    page.route(UPLOADS, lambda route: route.fulfill(status=429, body=REFUSAL, content_type="text/plain"))
    if recorded:
        record(page)
    else:
        tone = tmp_path / "tone.wav"
        tone.write_bytes(beep(1.0, 440))
        upload(page, tone)
    expect(page.locator("#result .message.problem")).to_have_text(REFUSAL)
    page.wait_for_timeout(1000)
    shoot(page, "refused-by-the-server")
    expect(page.locator(".toast-body")).to_have_count(0)
    page.unroute(UPLOADS)
    record(page)
    expect(page.locator("#transcript")).to_have_text("h", timeout=PATIENCE_MS)


def record(page: Page, milliseconds: int = 1500) -> None:
    page.get_by_role("button", name="Record audio").click()  # or uploading is what it offers
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(milliseconds)
    page.locator("#microphone .stop-button:visible").click()


def test_a_recording_that_does_not_arrive_is_said(app: App, visit: Visit) -> None:
    page = open_tab(visit(tolerate="ERR_FAILED|fetch|Upload|Response").open(app.url))
    page.route(UPLOADS, lambda route: route.abort())
    record(page)
    expect(page.locator("#result .message.problem")).to_contain_text("did not arrive here")


AWAY = "facebook/wav2vec2-base-960h needs the internet"


def test_offline_a_model_of_the_hub_is_marked_and_takes_no_recording(transcribe: Page, tmp_path: Path) -> None:
    sent: list[str] = []
    transcribe.on("request", lambda request: sent.append(request.url) if "/upload" in request.url else None)
    model = transcribe.get_by_label("Model", exact=True)
    model.click()
    transcribe.get_by_role("option", name="wav2vec2-base-960h · needs the internet").click()
    expect(transcribe.locator("#model-note")).to_contain_text(AWAY)
    shoot(transcribe, "offline-hub-model-1280")
    transcribe.get_by_role("button", name="Record", exact=True).click()
    expect(transcribe.locator("#result .message.problem")).to_contain_text(AWAY)
    transcribe.wait_for_timeout(1000)
    expect(transcribe.locator("#microphone .stop-button:visible")).to_have_count(0)
    tone = tmp_path / "tone.wav"
    tone.write_bytes(beep(1.0, 440))
    upload(transcribe, tone)
    transcribe.wait_for_timeout(1000)
    assert not sent, "no recording is spent on it"
    model.click()
    transcribe.get_by_role("option", name="Your newest model").click()
    expect(transcribe.locator("#model-note")).to_have_text("")
    record(transcribe)
    expect(transcribe.locator("#transcript")).to_have_text("h", timeout=PATIENCE_MS)


def test_a_model_typed_before_the_list_comes_stays(app: App, visit: Visit) -> None:
    page = visit().context.new_page()
    model = page.get_by_label("Model", exact=True)
    with late_answers(page):
        page.goto(app.url)
        page.get_by_role("tab", name="Transcribe").click()
        model.fill("anna/typed-at-first")
        model.press("Enter")
    page.wait_for_timeout(1500)
    expect(model).to_have_value("anna/typed-at-first")
    choose(page, model, "Practice model")
    with late_answers(page):
        choose(page, page.get_by_label("Language").last, "German")  # for which the practice model is not on offer
        model.fill("anna/typed-later")
        model.press("Enter")
    page.wait_for_timeout(1500)
    expect(model).to_have_value("anna/typed-later")
    expect(page.locator("#model-note")).to_contain_text("anna/typed-later needs the internet")


def choose(page: Page, field: Locator, name: str) -> None:
    field.click()
    page.get_by_role("option", name=name).last.click()


def test_a_model_that_cannot_be_had_is_explained(transcribe: Page, tmp_path: Path) -> None:
    model = transcribe.get_by_label("Model", exact=True)
    model.fill("nobody/no-such-model")
    model.press("Enter")
    sound = tmp_path / "tone.wav"
    sound.write_bytes(beep(1.0, 440))
    upload(transcribe, sound)
    problem = transcribe.locator("#result .message.problem")
    expect(problem).to_contain_text("Hub", timeout=PATIENCE_MS)
    expect(problem).not_to_contain_text("/tmp")


def test_a_missing_microphone_is_explained_beside_it(app: App, browser_without_microphone: Browser) -> None:
    page = browser_without_microphone.new_page(locale="en-US")
    page.goto(app.url)
    page.get_by_role("tab", name="Transcribe").click()
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator("#microphone-note")).to_contain_text("microphone")
    shoot(page, "no-microphone")


def test_a_blocked_microphone_is_explained_at_once(app: App, blocked_page: Page) -> None:
    page = blocked_page
    page.goto(app.url)
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.locator("#microphone-note")).to_contain_text("does not let this page use the microphone")


def test_a_page_without_https_says_so(browser: Browser, tmp_path: Path) -> None:
    """Browsers hide the microphone from http pages of any host but localhost."""
    address = socket.gethostbyname(socket.gethostname())
    if address.startswith("127."):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # sends nothing; only asks which address would be used
                address = probe.getsockname()[0]
            except OSError:
                pytest.skip("this machine has no address but localhost")
    running = start_app(tmp_path, GRADIO_SERVER_NAME="0.0.0.0")
    try:
        page = browser.new_page(locale="en-US")
        page.goto(running.url.replace("127.0.0.1", address))
        page.get_by_role("tab", name="Transcribe").click()
        expect(page.locator("#microphone-note")).to_contain_text("only on secure pages")
    finally:
        running.stop()
