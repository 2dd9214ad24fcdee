"""One's own voice through the page: read sentences aloud, go through them, and teach a model with them."""

import csv
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.browsing import clicks, count_clicks
from tests.app.conftest import Visit, shoot
from tests.app.serving import App, start_app
from trainer.runs.run import LOCAL_OWNER, list_runs
from trainer.settings import Settings
from trainer.speech.clips import LeftOut
from trainer.speech.locales import LOCALES
from trainer.speech.own_clips import FEWEST_ALONE, OwnClips, own_clips
from trainer.speech.reading_list import sentences
from trainer.speech.sources import practice_clips

PATIENCE_MS = 180_000  # loading torch on a busy machine
LONG_ENOUGH_MS = 4000  # for the shortest sentence, the fake microphone's words and its start on a busy machine
EN = LOCALES["en-US"]

pytestmark = pytest.mark.timeout(600)


def store_of(app: App) -> OwnClips:
    return own_clips(Settings(data_dir=app.data), LOCAL_OWNER, "en-US")


def open_fold(page: Page) -> Locator:
    page.get_by_role("button", name="Your own voice").click()
    sentence = page.locator("#own-sentence .reading")
    expect(sentence).to_be_visible()
    return sentence


def stop_button(page: Page) -> Locator:
    return page.locator("#own-microphone .stop-button:visible")


@pytest.mark.parametrize("width", [pytest.param(1280, id="desktop"), pytest.param(390, id="phone")])
def test_sentences_are_read_heard_corrected_and_taken_away(app: App, visit: Visit, width: int, tmp_path: Path) -> None:
    store = store_of(app)
    for clip in store.clips():
        store.delete(clip.name)
    visitor = visit(width, tolerate="AbortError|errored out")  # the reload cuts a request short
    page = visitor.open(app.url, count_clicks)
    sentence = open_fold(page)
    first = sentence.inner_text()
    assert first == sentences("en-US")[0]
    page.locator("#own-microphone").get_by_role("button", name="Record", exact=True).click()
    expect(stop_button(page)).to_be_visible()
    page.wait_for_timeout(LONG_ENOUGH_MS)
    stop_button(page).click()
    kept = page.locator("#own-kept .kept")
    expect(kept).to_contain_text("Kept: ")
    expect(page.locator("#own-next")).to_be_focused()
    kept.get_by_role("button", name=f"Play: {first}").click()
    expect(kept.locator("button.playing")).to_have_count(1)
    before = clicks(page)

    page.locator("#own-next").press("Enter")  # the next one by the keyboard alone
    expect(sentence).to_have_text(sentences("en-US")[1])
    expect(stop_button(page)).to_be_focused()
    page.wait_for_timeout(LONG_ENOUGH_MS)
    page.keyboard.press("Enter")
    expect(page.locator("#own-progress")).to_contain_text("2 clips, 2 sentences")
    expect(page.locator("#own-next")).to_be_focused()
    assert clicks(page) - before == 2, "a browser counts the key as a click"
    page.locator("#own-again").click()  # once more: in its place
    expect(stop_button(page)).to_be_visible()
    page.wait_for_timeout(LONG_ENOUGH_MS)
    newest = store.clips()[-1].name
    stop_button(page).click()
    expect(page.locator("#own-next")).to_be_enabled()
    page.wait_for_function("(name) => !document.querySelector(`#own-list input[value='${name}']`)", arg=newest)
    assert [clip.text for clip in store.clips()] == list(sentences("en-US")[:2]) and store.clips()[-1].name != newest

    page.locator("#own-at-once").get_by_role("checkbox").uncheck()
    page.locator("#own-skip").click()
    expect(sentence).to_have_text(sentences("en-US")[2])
    expect(stop_button(page)).to_have_count(0)
    page.locator("#own-list").get_by_text(first).click()
    expect(page.get_by_label("What is said")).to_have_value(first)
    page.get_by_label("What is said").fill('<b>"other" words</b>')
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#own-place")).to_contain_text("Saved.")
    expect(page.locator("#own-list")).to_contain_text('<b>"other" words</b>')
    page.wait_for_timeout(500)
    assert accessibility_faults(page) == []
    shoot(page, f"own-voice-{width}")

    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download my clips").click()
    waiting.value.save_as(tmp_path / "clips.zip")
    with zipfile.ZipFile(tmp_path / "clips.zip") as archive:
        table = next(name for name in archive.namelist() if name.endswith("metadata.csv"))
        rows = list(csv.DictReader(archive.read(table).decode().splitlines()))
    assert [row["text"] for row in rows] == ['<b>"other" words</b>', sentences("en-US")[1]]

    page.get_by_role("button", name="Delete this clip").click()
    page.locator("#own-delete-question").get_by_role("button", name="Keep it").click()
    expect(page.locator("#own-delete-question")).to_be_hidden()
    page.get_by_role("button", name="Delete this clip").click()
    page.locator("#own-delete-confirm").click()
    expect(page.locator("#own-progress")).to_contain_text("1 clip, 1 sentence,")
    expect(page.locator("#own-editor")).to_be_hidden()
    assert len(list(store.folder.glob("*.flac"))) == 1
    page.reload()
    open_fold(page)
    expect(page.locator("#own-progress")).to_contain_text("1 clip, 1 sentence,")


def test_what_is_too_short_is_said_and_not_kept(app: App, page: Page) -> None:
    has = len(store_of(app).clips())
    open_fold(page)
    page.locator("#own-microphone").get_by_role("button", name="Record", exact=True).click()
    expect(stop_button(page)).to_be_visible()
    page.wait_for_timeout(300)
    stop_button(page).click()
    expect(page.locator("#own-kept")).to_contain_text(re.compile("too short for these words|could not hear anything"))
    expect(page.locator("#own-next")).to_be_disabled()
    assert len(store_of(app).clips()) == has


def test_a_model_learns_from_them(app: App, visit: Visit) -> None:
    """Too few at first; then as many as are needed, as if they had been read: by a practice voice."""
    page = visit().open(app.url)
    open_fold(page)
    page.get_by_role("button", name="Learn from mine alone").click()
    expect(page.locator("#data-card")).to_contain_text(re.compile(r"Record \d+ (more|sentences)"))
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#start-refusal")).to_contain_text("to learn from alone")
    assert list_runs(app.data / "runs") == []

    store = store_of(app)
    sounds = {clip.text: clip.audio for clip in practice_clips(EN, LeftOut()) if clip.audio is not None}
    for text in sentences("en-US")[-FEWEST_ALONE:]:
        store.add(sounds[text], text)
    page.get_by_role("button", name="From mine and others").click()
    expect(page.locator("#data-card")).to_contain_text("Besides, it learns from")
    page.get_by_role("button", name="Learn from mine alone").click()
    expect(page.locator("#data-card")).to_contain_text("No sentence is in two of them")
    page.get_by_role("button", name="Advanced").click()
    for label, value in (("Steps", 4), ("Batch", 8), ("Warm-up", 1)):
        page.get_by_label(re.compile(f"^{label}")).fill(str(value))
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=PATIENCE_MS)
    expect(page.locator("#status .result")).to_contain_text("clips kept aside for the end")
    expect(page.locator("#right-side")).to_contain_text("clips of your own")
    shoot(page, "own-voice-learnt-1280")


def test_a_space_keeps_each_visitors_apart(visit: Visit, tmp_path: Path) -> None:
    space = start_app(tmp_path, SPACE_ID="someone/voicetune")
    try:
        owner, stranger = visit(), visit()
        owner.own_host = stranger.own_host = space.url
        page = owner.open(space.url)
        open_fold(page)
        page.locator("#own-microphone").get_by_role("button", name="Record", exact=True).click()
        expect(stop_button(page)).to_be_visible()
        page.wait_for_timeout(LONG_ENOUGH_MS)
        stop_button(page).click()
        expect(page.locator("#own-progress")).to_contain_text("1 clip,")
        other = stranger.open(space.url)
        open_fold(other)
        expect(other.locator("#own-progress")).to_contain_text("No clips")
        expect(other.locator("#own-clips")).to_contain_text("not changed them for 30 days")
        for open_page in (page, other):  # or they would complain that the Space goes
            open_page.close()
    finally:
        space.stop()
