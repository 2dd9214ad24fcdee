"""A first visit, whole, in three clicks: Start, Talk, and Stop of the recording. Makes the README's picture."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.app.browsing import clicks, count_clicks
from tests.app.conftest import Visit, shoot
from tests.app.serving import App
from trainer.speech.locales import LOCALES
from trainer.speech.metrics import error_rates
from trainer.speech.text import normalise

FIFTEEN_MINUTES_MS = 900_000


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_the_first_page_to_ones_own_model(app: App, visit: Visit, spoken: tuple[object, str]) -> None:
    page = visit().open(app.url, count_clicks)
    arrived = time.monotonic()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=FIFTEEN_MINUTES_MS)
    trained = time.monotonic()
    expect(page.locator("#status .result")).to_contain_text(re.compile(r"^Word errors fell from \d+ % to \d+ %"))
    shoot(page, "first-visit-1280")
    page.get_by_role("button", name="Talk to your model").click()
    stop = page.locator("#microphone .stop-button:visible")
    stop.wait_for()
    page.wait_for_timeout(5000)
    stop.click()
    words = page.locator("#result #transcript")
    expect(words).to_be_visible(timeout=60_000)
    assert clicks(page) == 3
    print(f"\ntrained after {trained - arrived:.0f} s, talked after {time.monotonic() - arrived:.0f} s")
    print(f"said: {spoken[1]}\nheard: {words.inner_text()}")
    locale = LOCALES["en-US"]
    assert error_rates([normalise(spoken[1], locale)], [normalise(words.inner_text(), locale)]).cer < 0.5
    shoot(page, "first-visit-talked-1280")
