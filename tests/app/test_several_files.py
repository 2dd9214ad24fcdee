"""Several files at once, through the page: heard one after the other, one that is none told apart, all in one zip."""

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.conftest import Visit, shoot
from tests.app.serving import App
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source

PATIENCE_MS = 120_000  # loading torch on a busy machine


def recordings(folder: Path, count: int) -> list[Path]:
    clips = open_source("practice", LOCALES["en-US"], Settings(folder / "nowhere")).clips
    files = [folder / f"clip {number}.ogg" for number in range(count)]
    for file, clip in zip(files, clips, strict=False):
        assert isinstance(clip.audio, bytes)
        file.write_bytes(clip.audio)
    return files


def picker(page: Page) -> Page:
    page.get_by_role("tab", name="Transcribe").click()
    page.get_by_role("button", name="Several files").click()
    return page


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_they_are_heard_one_after_the_other(app: App, visit: Visit, tmp_path: Path, width: int, dark: bool) -> None:
    page = picker(visit(width, dark).open(app.url))
    broken = tmp_path / "notes.txt"
    broken.write_text("no sound at all")
    one, other = recordings(tmp_path, 2)
    page.locator("#several-picker input[type=file]").set_input_files([one, broken, other])
    result = page.locator("#several-result")
    expect(result).to_contain_text("Done: 2 of 3 written down.", timeout=PATIENCE_MS)
    expect(result.get_by_role("listitem")).to_have_count(3)
    expect(result.get_by_role("listitem").nth(1)).to_contain_text("notes.txt")
    result.locator("summary").first.click()
    expect(result.locator(".several-text").first).to_be_visible()
    assert accessibility_faults(page) == []
    shoot(page, f"several-files-{width}-{'dark' if dark else 'light'}")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Save all as one zip").click()
    names = zipfile.ZipFile(coming.value.path()).namelist()
    assert coming.value.suggested_filename == "transcripts.zip"
    assert len(names) == 10 and "clip 0.srt" in {name.replace("_", " ") for name in names}


def test_too_many_are_refused_before_they_travel(app: App, visit: Visit, tmp_path: Path) -> None:
    page = picker(visit().open(app.url))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/upload" in request.url else None)
    page.locator("#several-picker input[type=file]").set_input_files(recordings(tmp_path, 21))
    expect(page.locator("#several-result")).to_have_text("Those are 21 files, and I take 20 at once. Choose fewer.")
    assert asked == []
