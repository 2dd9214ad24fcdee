"""From a run to talking with its model: one press leads to the other tab, chooses the model and begins to record."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app.conftest import shoot
from tests.app.serving import App
from tests.fakes.models import save_answering
from tests.fakes.run_folder import write_run
from trainer.runs.run import Run

PATIENCE_MS = 120_000  # loading torch on a busy machine
BUSY_MS = 20_000  # for what takes a second on an idle machine
LONGER_THAN_IT_WAITS_MS = 4000  # for the Record button, see script.js

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", autouse=True)
def runs(app: App) -> tuple[Run, Run]:
    """Two finished runs, the older one first: "de-DE" sorts first within a second, too. They answer "o" and "n"."""
    older, newer = write_run(app.data, locale="de-DE"), write_run(app.data)
    save_answering(older.model, "o")
    save_answering(newer.model, "n")
    return older, newer


def talk(page: Page) -> None:
    page.get_by_role("button", name="Talk to your model").click()


def stop_button(page: Page) -> Locator:
    return page.locator("#microphone .stop-button:visible")


def test_talk_chooses_the_model_records_and_stop_writes_it_down(page: Page) -> None:
    talk(page)
    expect(stop_button(page)).to_be_visible(timeout=BUSY_MS)
    page.wait_for_timeout(2000)
    fits = "(button) => button.scrollWidth <= button.clientWidth"
    assert stop_button(page).evaluate(fits), "the word Stop stays within its button"
    shoot(page, "recording-1280")
    stop_button(page).click()
    expect(page.locator("#transcript")).to_have_text("n", timeout=PATIENCE_MS)
    page.wait_for_timeout(LONGER_THAN_IT_WAITS_MS)
    expect(stop_button(page)).to_have_count(0)  # it records once


def test_talk_to_an_earlier_model_is_to_that_one(page: Page) -> None:
    page.get_by_label("Earlier runs").click()
    page.get_by_role("option", name="German").click()
    expect(page.locator("#status")).to_contain_text("German")
    talk(page)
    expect(stop_button(page)).to_be_visible(timeout=BUSY_MS)
    page.wait_for_timeout(2000)
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("Your model · German"))
    stop_button(page).click()
    expect(page.locator("#transcript")).to_have_text("o", timeout=PATIENCE_MS)


def test_the_tab_alone_records_nothing(page: Page) -> None:
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
    page.wait_for_timeout(LONGER_THAN_IT_WAITS_MS)
    expect(stop_button(page)).to_have_count(0)


def test_who_goes_back_at_once_is_not_recorded(page: Page) -> None:
    page.evaluate("document.dispatchEvent(new Event('voicetune-record'))")  # as Talk does, but the tab does not come
    page.wait_for_timeout(300)
    page.get_by_role("tab", name="Transcribe").click()
    page.wait_for_timeout(LONGER_THAN_IT_WAITS_MS)
    expect(stop_button(page)).to_have_count(0)


def test_without_a_microphone_talk_says_so(app: App, browser_without_microphone: Browser) -> None:
    page = browser_without_microphone.new_page(locale="en-US")
    page.goto(app.url)
    talk(page)
    expect(page.locator("#microphone-note")).to_contain_text("I cannot find a microphone", timeout=BUSY_MS)


def test_with_a_blocked_microphone_talk_says_so(app: App, blocked_page: Page) -> None:
    page = blocked_page
    page.goto(app.url)
    talk(page)
    words = "does not let this page use the microphone"
    expect(page.locator("#microphone-note")).to_contain_text(words, timeout=BUSY_MS)
    expect(stop_button(page)).to_have_count(0)
