"""From a run to talking with its model: one press leads to the other tab, chooses the model and begins to record."""

import re
import threading
import time

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app.conftest import shoot
from tests.app.raw_client import RawClient
from tests.app.serving import App
from tests.fakes.models import save_answering
from tests.fakes.run_folder import beep, write_run
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


def test_who_records_twice_in_a_row_reads_the_second_and_it_alone(app: App, page: Page) -> None:
    """While long recordings of others are being written down, so that the first one waits."""
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url) if ".wav" in (request.post_data or "") else None)
    others = [Talker(app.url, number) for number in range(3)]
    talk(page)
    expect(stop_button(page)).to_be_visible(timeout=BUSY_MS)
    page.wait_for_timeout(1000 * FIRST_SECONDS)
    for other in others:
        other.start()
    page.wait_for_timeout(1000)
    stop_button(page).click()
    expect(page.locator("#result")).to_contain_text("before yours", timeout=BUSY_MS)
    began = time.monotonic()
    page.get_by_role("button", name="Record", exact=True).click()
    expect(stop_button(page)).to_be_visible(timeout=BUSY_MS)
    page.wait_for_timeout(1000)
    stop_button(page).click()
    took = time.monotonic() - began
    expect(page.locator("#result")).to_contain_text("I write down your newer recording", timeout=BUSY_MS)
    shoot(page, "recorded-twice-1280")
    expect(page.locator("#transcript")).to_have_text("n", timeout=PATIENCE_MS)
    seconds = re.search(r"([\d.]+) s of sound", page.locator(".transcript-details").inner_text())
    assert seconds and float(seconds[1]) < took + 1, "the words are the second recording's"
    for other in others:
        other.join(PATIENCE_MS / 1000)
    page.wait_for_timeout(1000)
    assert f"{seconds[1]} s of sound" in page.locator(".transcript-details").inner_text(), "and they stay"
    assert len([url for url in calls if "queue/join" in url]) == 2, "both were sent"


FIRST_SECONDS = 9  # longer than the second recording, which is stopped after a second


class Talker(threading.Thread):
    """Somebody else, who has a long recording written down once started; it is uploaded before that."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self._client = RawClient(url, f"talker{number}")
        self._endpoint = self._client.endpoints()["hear"]
        self._file = self._client.upload(f"{number}.wav", beep(900.0 + number, 440))

    def run(self) -> None:
        self._client.call(self._endpoint, ["ready:en", self._file, "", True, "any"])
        self._client.close()


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
