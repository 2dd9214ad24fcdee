"""Before anything was trained: the Transcribe tab works with the model that comes along, and says what it is."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.browsing import profile
from tests.app.conftest import Visit, shoot
from tests.app.serving import App, start_app
from tests.fakes.hub import FakeHub
from tests.fakes.run_folder import write_run
from trainer.api import transcribe
from trainer.settings import STARTER_HEADS, Settings
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source

PATIENCE_MS = 120_000  # loading torch on a busy machine
# What was measured with people, or that nobody has.
HOW_WELL = re.compile("comes with Voicetune. (It got .+ wrong in .+ of people|How well .+ was not measured)")

pytestmark = pytest.mark.timeout(400)


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("^Practice model · English"))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_offline_it_is_chosen_and_explained(app: App, visit: Visit, width: int, dark: bool) -> None:
    page = visit(width, dark).open(app.url)
    open_tab(page)
    expect(page.locator("#model-note")).to_contain_text(HOW_WELL)
    expect(page.locator("#model-note")).to_contain_text("fine-tune one of your own")
    assert accessibility_faults(page) == []
    shoot(page, f"ready-offline-{width}-{'dark' if dark else 'light'}")


def test_it_writes_down_what_is_said(page: Page) -> None:
    open_tab(page)
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(4000)
    page.locator("#microphone .stop-button:visible").click()
    expect(page.locator("#transcript")).to_have_text(re.compile(r"\w{2,}"), timeout=PATIENCE_MS)
    expect(page.locator(".transcript-details")).to_contain_text("practice model")
    shoot(page, "ready-transcript-1280")


def misheard(folder: Path) -> tuple[Path, str]:
    """A practice clip and a word that is said in it, which the practice model writes only where it listens for it."""
    settings = Settings(data_dir=folder)
    for clip in open_source("practice", LOCALES["en-US"], settings).clips:
        if clip.split != "test" or not isinstance(clip.audio, bytes):
            continue
        file = folder / "clip.ogg"
        file.write_bytes(clip.audio)
        plain = transcribe(file, model=STARTER_HEADS / "en", settings=settings).text.split()
        for word in clip.text.lower().split():
            if len(word) > 4 and word.isalpha() and word not in plain:
                text = transcribe(file, model=STARTER_HEADS / "en", words=word, settings=settings).text
                if word in text.split():
                    return file, word
    raise AssertionError("words that are listened for change nothing")


def test_words_that_are_typed_are_listened_for(page: Page, tmp_path: Path) -> None:
    clip, word = misheard(tmp_path)
    open_tab(page)
    page.get_by_role("button", name="Advanced").click()
    page.get_by_label("Names and words to listen for").fill(f"Anneliese, {word}")
    page.get_by_role("button", name="Upload file").click()
    page.locator("#microphone input[type=file]").set_input_files(clip)
    expect(page.locator("#transcript")).to_have_text(re.compile(rf"\b{word}\b"), timeout=PATIENCE_MS)
    spelt = page.locator("#spelt")
    expect(spelt).to_contain_text("By sound alone")
    expect(spelt).not_to_have_text(re.compile(rf"\b{word}\b"))
    assert accessibility_faults(page) == []
    shoot(page, "words-listened-for-1280")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Save as SRT").click()
    assert coming.value.suggested_filename == "transcript.srt"
    assert word in Path(coming.value.path()).read_text(encoding="utf-8")


@pytest.fixture
def app_with_hub(tmp_path: Path) -> Iterator[App]:
    """An app that can reach a Hub."""
    with FakeHub() as hub:
        running = start_app(tmp_path, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0", HF_HUB_DISABLE_TELEMETRY="1")
        yield running
        running.stop()


def test_with_the_hub_its_model_is_named_instead(app_with_hub: App, browser: Browser) -> None:
    context = profile(browser)
    page = context.new_page()
    page.goto(app_with_hub.url)
    open_tab(page)
    expect(page.locator("#model-note")).to_contain_text(
        "For fewer mistakes choose “English from the Hub · wav2vec2-base-960h” above", timeout=15_000
    )
    shoot(page, "ready-with-hub-1280")
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="English from the Hub · wav2vec2-base-960h").click()
    expect(page.locator("#model-note")).to_contain_text("needs the internet", timeout=15_000)
    context.close()


def test_a_model_of_ones_own_takes_its_place_once_it_is_there(app: App, page: Page) -> None:
    open_tab(page)
    page.get_by_role("tab", name="Fine-tune").click()
    write_run(app.data)
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("^Your newest model"), timeout=15_000)
    expect(page.locator("#model-note")).to_have_text("")
