"""The Transcribe tab kept open beside one's work: long files, words to click, other models, and forgetting it all."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Locator, Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.conftest import Visit, shoot
from tests.app.serving import App
from tests.fakes.models import save_answering
from tests.fakes.run_folder import write_run
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, load_audio
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source

PATIENCE_MS = 120_000  # loading torch on a busy machine
LONG_SECONDS, VERY_LONG_SECONDS = 240.0, 1200.0  # the latter is not heard before somebody has looked at the page

pytestmark = pytest.mark.timeout(400)
WIDTHS = pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])


@pytest.fixture(scope="module", autouse=True)
def answers(app: App) -> None:
    """One's own model answers any sound with "n"; the practice model really hears."""
    save_answering(write_run(app.data).model, "n")


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Clips of the practice set, mono at 16 kHz."""
    source = open_source("practice", LOCALES["en-US"], Settings(data_dir=Path("unused")))
    return [load_audio(clip.audio).samples for clip in source.clips[:60] if clip.audio is not None]


@pytest.fixture
def short(clips: list[np.ndarray], tmp_path: Path) -> Path:
    """Half a second of silence, and a sentence."""
    path = tmp_path / "short.wav"
    soundfile.write(path, np.concatenate([np.zeros(SAMPLE_RATE // 2), clips[0]]), SAMPLE_RATE)
    return path


@pytest.fixture(params=[LONG_SECONDS])
def long(clips: list[np.ndarray], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Minutes of sentences with pauses between them, every sixth a long one."""
    parts, total = list[np.ndarray](), 0
    while total < request.param * SAMPLE_RATE:
        number = len(parts) // 2
        parts += [clips[number % len(clips)], np.zeros(SAMPLE_RATE * (2 if number % 6 == 5 else 1) // 2 * 2)]
        total += len(parts[-1]) + len(parts[-2])
    path = tmp_path / "long.wav"
    soundfile.write(path, np.concatenate(parts), SAMPLE_RATE)
    return path


def open_tab(app: App, visit: Visit, width: int, dark: bool, model: str = "Practice model · English") -> Page:
    page = visit(width, dark).open(app.url)
    page.get_by_role("tab", name="Transcribe").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("Your newest model"))
    choose(page, model)
    return page


def choose(page: Page, model: str) -> None:
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name=model).click()


def upload(page: Page, path: Path) -> None:
    page.get_by_role("button", name="Upload file").click()
    page.locator("#microphone input[type=file]").set_input_files(path)


def words(page: Page) -> Locator:
    return page.locator("#transcript .word")


def played(page: Page) -> float:
    return float(page.evaluate("document.querySelector('#last-sound audio').currentTime"))


def files(app: App) -> list[Path]:
    return [path for path in (app.data.parent / "tmp").rglob("*") if path.is_file()]


@WIDTHS
@pytest.mark.parametrize("long", [VERY_LONG_SECONDS], indirect=True)
def test_a_long_file_comes_piece_by_piece_and_stop_keeps_its_words(
    app: App, visit: Visit, long: Path, width: int, dark: bool
) -> None:
    page, others = open_tab(app, visit, width, dark), files(app)
    upload(page, long)
    line = page.locator(".hearing-line")
    expect(line).to_contain_text(re.compile(r"of 20 min.*about \d+ .* left"), timeout=PATIENCE_MS)
    expect(page.locator(".transcript p").first).to_contain_text(re.compile(r"\w+ \w+"))
    shoot(page, f"hearing-{width}")
    assert 0 < int(page.get_by_role("progressbar").get_attribute("aria-valuenow") or 0) < 100
    assert accessibility_faults(page) == []
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".transcript-details")).to_contain_text(re.compile(r"^Stopped after .* of 20 min.* of sound"))
    expect(page.locator("#transcript")).to_contain_text(re.compile(r"\w+ \w+"))
    expect(line).to_have_count(0)
    before = page.locator("#transcript").inner_text()
    page.wait_for_timeout(1500)
    assert page.locator("#transcript").inner_text() == before, "nothing comes after it"
    assert len(set(files(app)) - set(others)) == 1, "it can be heard again"
    page.get_by_role("button", name="Forget it now").click()


def test_words_that_are_put_right_stand_in_the_transcript(app: App, visit: Visit, long: Path, tmp_path: Path) -> None:
    page = open_tab(app, visit, 1280, False)
    short = tmp_path / "short.wav"
    soundfile.write(short, soundfile.read(long)[0][: 3 * SAMPLE_RATE], SAMPLE_RATE)
    upload(page, short)
    expect(words(page).nth(1)).to_be_visible(timeout=PATIENCE_MS)
    second = words(page).nth(1).get_attribute("data-at")
    page.get_by_role("button", name="Correct it, teach it").click()
    text = page.get_by_label("What was really said")
    expect(text).to_have_value(re.compile(r"\w+ \w+"))
    page.wait_for_timeout(1500)  # what was heard is handed to the field once more; a person's hand is slower
    text.fill(" ".join(["Zanzibar", *text.input_value().split()[1:]]))
    page.get_by_role("button", name="Use these words above").click()
    expect(words(page).first).to_have_text("Zanzibar")
    assert words(page).nth(1).get_attribute("data-at") == second
    expect(page.locator(".transcript-details")).to_contain_text("practice model · English, corrected")
    assert accessibility_faults(page) == []
    shoot(page, "corrected-1280")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Save as SRT").click()
    assert "Zanzibar" in Path(coming.value.path()).read_text(encoding="utf-8")
    page.get_by_role("button", name="Forget it now").click()


def test_a_long_file_is_written_down_in_paragraphs(app: App, visit: Visit, long: Path) -> None:
    page = open_tab(app, visit, 1280, False)
    upload(page, long)
    expect(page.locator("#transcript p").nth(3)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".transcript-details")).to_contain_text(re.compile(r"^4 min.* practice model · English"))
    lengths = [len(text) for text in page.locator("#transcript p").all_inner_texts()]
    assert max(lengths) <= 600 and sum(lengths) > 1000
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert [len(paragraph) for paragraph in copied.split("\n\n")] == lengths
    page.get_by_role("button", name="Forget it now").click()


@WIDTHS
def test_words_are_played_lit_and_marked(app: App, visit: Visit, short: Path, width: int, dark: bool) -> None:
    page = open_tab(app, visit, width, dark)
    upload(page, short)
    expect(words(page).nth(3)).to_be_visible(timeout=PATIENCE_MS)
    start = float((words(page).nth(2).get_attribute("data-at") or "").split()[0])
    words(page).nth(2).click()
    expect(page.locator(".word.now")).to_have_count(1)
    shoot(page, f"word-{width}")
    assert start <= played(page) < start + 3
    assert accessibility_faults(page) == []

    tabbable = "[...document.querySelectorAll('#transcript .word')].filter((word) => word.tabIndex === 0).length"
    assert page.evaluate(tabbable) == 1
    page.keyboard.press("Escape")
    expect(page.locator(".word.now")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(words(page).nth(3)).to_be_focused()
    assert page.evaluate(tabbable) == 1
    assert played(page) >= float((words(page).nth(3).get_attribute("data-at") or "").split()[0])
    expect(page.locator(".word.now")).to_have_count(1)

    unsure = page.locator("#transcript .word.unsure").first
    expect(unsure).to_have_css("text-decoration-line", "underline")
    assert unsure.get_attribute("aria-description") == "unsure"
    expect(page.locator(".unsure-note")).to_contain_text("underlined: the model was not sure of")
    page.get_by_label("Underline unsure words").uncheck()
    expect(unsure).to_have_css("text-decoration-line", "none")
    expect(page.locator(".unsure-note")).to_be_hidden()
    page.get_by_role("button", name="Forget it now").click()


@WIDTHS
def test_another_model_hears_the_same_recording_until_it_is_forgotten(
    app: App, visit: Visit, short: Path, width: int, dark: bool
) -> None:
    page, others = open_tab(app, visit, width, dark), files(app)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/gradio_api/upload?" in request.url else None)
    expect(page.get_by_role("button", name="Forget it now")).to_be_hidden()
    upload(page, short)
    details = page.locator(".transcript-details")
    expect(details).to_contain_text("practice model · English", timeout=PATIENCE_MS)
    heard = page.locator("#transcript").inner_text()
    choose(page, "Your newest model")
    expect(page.locator("#transcript")).to_have_text("n", timeout=PATIENCE_MS)
    expect(details).to_contain_text(re.compile(r"your model · American English · \d+ \w+, \d\d:\d\d"))
    choose(page, "Practice model · English")
    expect(page.locator("#transcript")).to_have_text(heard, timeout=PATIENCE_MS)
    with page.expect_request("**/queue/join?**"):
        page.get_by_role("button", name="Hear it again").click()
    page.wait_for_timeout(500)
    expect(page.locator("#transcript")).to_have_text(heard, timeout=PATIENCE_MS)
    assert len(sent) == 1, "it was sent once"
    shoot(page, f"last-recording-{width}")
    assert len(set(files(app)) - set(others)) == 1

    page.get_by_role("button", name="Forget it now").click()
    expect(page.get_by_role("button", name="Forget it now")).to_be_hidden()
    expect(page.locator("#last-sound audio")).to_be_hidden()
    page.wait_for_timeout(1000)
    assert set(files(app)) <= set(others)
    choose(page, "Your newest model")
    page.wait_for_timeout(1500)
    expect(page.locator("#transcript")).to_have_text(heard)
    words(page).first.click()
    page.wait_for_timeout(300)
    expect(page.locator(".word.now")).to_have_count(0)


def test_a_recording_of_the_microphone_can_be_played_too(app: App, visit: Visit) -> None:
    page = open_tab(app, visit, 1280, False)
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(3000)
    page.locator("#microphone .stop-button:visible").click()
    expect(words(page).first).to_be_visible(timeout=PATIENCE_MS)
    words(page).first.click()
    expect(page.locator(".word.now")).to_have_count(1)
    assert page.evaluate("document.querySelector('#last-sound audio').duration") > 2
    page.get_by_role("button", name="Forget it now").click()


@WIDTHS
def test_two_models_are_compared(app: App, visit: Visit, short: Path, width: int, dark: bool) -> None:
    page = open_tab(app, visit, width, dark, "Your newest model")
    compare = page.get_by_role("button", name="Compare with another model")
    expect(compare).to_be_hidden()
    upload(page, short)
    expect(page.locator("#transcript")).to_have_text("n", timeout=PATIENCE_MS)
    compare.click()
    # What it was before its training is offered by itself.
    expect(page.get_by_label("Compare with", exact=True)).to_have_value("Practice model · English")
    page.get_by_role("button", name="Compare", exact=True).click()
    heard = page.locator("#comparison .heard")
    expect(heard).to_have_count(2, timeout=PATIENCE_MS)
    expect(heard.first).to_contain_text(re.compile(r"\w+ \w+"))
    expect(heard.last).to_have_text("n")
    expect(page.locator("#comparison u.differs").first).to_have_css("text-decoration-line", "underline")
    page.get_by_label("What was said, if you know").fill("Can I use my card when I travel?")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#comparison .figure")).to_have_text(
        [re.compile(r"^Words wrong: \d+ %")] * 2, timeout=PATIENCE_MS
    )
    expect(page.locator("#transcript")).to_have_text("n")
    assert accessibility_faults(page) == []
    shoot(page, f"compared-{width}")
    page.get_by_role("button", name="Forget it now").click()
    expect(compare).to_be_hidden()


@WIDTHS
def test_after_a_training_a_sentence_is_read_and_compared_with_before(
    app: App, visit: Visit, width: int, dark: bool
) -> None:
    page = visit(width, dark).open(app.url)
    expect(page.locator("#read-aloud")).to_have_count(0)
    page.get_by_role("button", name="Talk to your model").click()
    stop = page.locator("#microphone .stop-button:visible")
    expect(stop).to_be_visible()
    read = page.locator("#read-aloud")
    expect(read.get_by_role("radio")).to_have_count(4)  # three, and something else
    read.get_by_role("radio").nth(1).check()
    sentence = read.locator("label").nth(1).inner_text().strip()
    expect(page.get_by_label("What was said, if you know")).to_have_value(sentence)
    page.wait_for_timeout(2000)
    stop.click()
    expect(page.locator("#transcript")).to_have_text("n", timeout=PATIENCE_MS)
    expect(page.locator("#comparison .figure")).to_have_count(2, timeout=PATIENCE_MS)
    assert re.match("your model · American English", page.locator("#comparison strong").last.inner_text())
    expect(page.locator("#comparison strong").first).to_have_text("practice model · English")
    assert accessibility_faults(page) == []
    shoot(page, f"read-aloud-{width}")
    read.get_by_role("radio", name="Something of my own").check()
    expect(page.get_by_label("What was said, if you know")).to_have_value("")
    page.get_by_role("button", name="Forget it now").click()
