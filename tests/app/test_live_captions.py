"""Words while somebody still talks into the microphone, for those who ask for it; for the others nothing is sent."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Playwright, Request, expect

from tests.app.accessibility import accessibility_faults
from tests.app.browsing import launch, profile, save_sound
from tests.app.conftest import Visit, shoot
from tests.app.serving import App
from tests.fakes.models import save_answering
from tests.fakes.run_folder import write_run
from trainer.models.inference import CLIP_SECONDS
from trainer.models.model_files import NOTES
from trainer.speech.audio import SAMPLE_RATE
from trainer.ui.live_captions import SWITCH

PATIENCE_MS = 120_000  # loading torch on a busy machine

pytestmark = pytest.mark.timeout(300)


def record(page: Page, live: bool) -> None:
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_label("Model", exact=True)).not_to_have_value("")
    page.get_by_label(SWITCH).set_checked(live)
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator("#microphone .stop-button:visible")).to_be_visible()


def stop(page: Page) -> None:
    page.locator("#microphone .stop-button:visible").click()


def wait_for_words(page: Page, where: str, words: str) -> None:
    """Skips the test where the page says instead that this machine cannot keep up, as it is to on a busy one."""
    gave_up = page.locator("#live-note").filter(has_text=re.compile("keep up|too slow|connection"))
    expect(page.locator(where).filter(has_text=re.compile(words)).or_(gave_up).first).to_be_visible(timeout=PATIENCE_MS)
    if gave_up.count():
        pytest.skip(f"on this machine, just now: {gave_up.inner_text()}")


def test_who_did_not_ask_for_it_sends_nothing_before_the_stop(app: App, visit: Visit) -> None:
    page = visit().open(app.url)
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if "pcm" in (request.post_data or "") else None)
    record(page, live=False)
    page.wait_for_timeout(1500)
    stop(page)
    expect(page.locator("#transcript")).to_have_text(re.compile(r"\w{2,}"), timeout=PATIENCE_MS)
    assert sent == []


def test_words_come_while_somebody_talks_and_make_way_for_the_recording_s(app: App, visit: Visit) -> None:
    page = visit().open(app.url)
    record(page, live=True)
    wait_for_words(page, "#live-unsettled", r"\w{2,} \w+")
    assert accessibility_faults(page) == []
    shoot(page, "live-1280")
    stop(page)
    expect(page.locator("#transcript")).to_have_text(re.compile(r"\w{2,}"), timeout=PATIENCE_MS)
    expect(page.locator("#live-unsettled")).to_be_hidden()


def phrases(path: Path) -> Path:
    """Sound like five phrases of three seconds with pauses, as the microphone's WAV."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(18 * SAMPLE_RATE)
    save_sound((noise * (np.arange(len(noise)) / SAMPLE_RATE % 3.6 < 3)).astype(np.float32), path)
    return path


def test_on_a_phone_words_settle_and_are_spoken(app: App, playwright: Playwright, tmp_path: Path) -> None:
    """By a model that hears "n" in each piece, and pieces of five seconds."""
    model = save_answering(write_run(app.data).model, "n")
    notes = model / NOTES
    notes.write_text(json.dumps({**(json.loads(notes.read_text()) if notes.is_file() else {}), CLIP_SECONDS: 3.0}))
    browser = launch(playwright, phrases(tmp_path / "phrases.wav"))
    page = profile(browser, 390, dark=True).new_page()
    page.goto(app.url)
    record(page, live=True)
    wait_for_words(page, "#live-settled", "n")
    expect(page.locator("[role=log]")).to_have_text(re.compile("^n"))
    expect(page.locator("#microphone .stop-button:visible")).to_be_visible()  # it still records
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert accessibility_faults(page) == []
    shoot(page, "live-390")
    stop(page)
    expect(page.locator("#transcript")).to_contain_text("n", timeout=PATIENCE_MS)
    expect(page.locator("#live-settled")).to_be_hidden()
    browser.close()
