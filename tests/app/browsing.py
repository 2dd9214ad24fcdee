"""Chromium with a WAV as its voice, and what is done with its pages."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, load_audio
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source

MICROPHONE_RATE = 48_000  # what Chromium's fake microphone wants: mono, 16 bit
SILENCE_SECONDS = 0.5  # before and after the words

_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def chromium_path() -> str:
    """Debian's Chromium; Playwright's own download is not used. Raises RuntimeError where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise RuntimeError("The browser tests need Chromium. On Debian: apt-get install chromium.")


def launch(playwright: Playwright, voice: Path | None = None, grants: bool = True) -> Browser:
    """Chromium without a window. It says the WAV into its microphone, once a recording; None: it has no microphone.

    `grants`: somebody presses "Allow" when a page asks for it.
    """
    says = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={voice}%noloop"]
    asked = ["--use-fake-ui-for-media-stream"] if grants else []
    args = _QUIET + (says + asked if voice else [])
    return playwright.chromium.launch(executable_path=chromium_path(), args=args)


def profile(browser: Browser, width: int = 1280, dark: bool = False) -> BrowserContext:
    """A browser profile of one's own, on a desktop or (below 600 pixels) on a phone."""
    return browser.new_context(
        viewport={"width": width, "height": 844 if width < 600 else 900},
        color_scheme="dark" if dark else "light",
        locale="en-US",
        has_touch=width < 600,
    )


def save_voice(path: Path) -> str:
    """Write a clip of the practice set's test split as the microphone's WAV; returns its text."""
    source = open_source("practice", LOCALES["en-US"], Settings(data_dir=Path("unused")))
    clip = next(clip for clip in source.clips if clip.split == "test" and clip.audio is not None)
    assert clip.audio is not None
    save_sound(load_audio(clip.audio).samples, path)
    return clip.text


def save_sound(samples: np.ndarray, path: Path) -> None:
    """Write a sound, shape (samples,) at 16 kHz, as the microphone's WAV."""
    voice = soxr.resample(samples, SAMPLE_RATE, MICROPHONE_RATE)
    silence = np.zeros(int(SILENCE_SECONDS * MICROPHONE_RATE), dtype=np.float32)
    soundfile.write(path, np.concatenate([silence, voice, silence]), MICROPHONE_RATE, subtype="PCM_16")


ANSWERS = "**/gradio_api/run/predict"
SECONDS_TO_ASK = 20.0  # a busy machine


@contextlib.contextmanager
def late_answers(page: Page) -> Iterator[None]:
    """What the page asks for at once comes only at the end, as on a slow line."""
    held: list[Route] = []
    page.route(ANSWERS, lambda route: held.append(route))
    yield
    deadline = time.monotonic() + SECONDS_TO_ASK
    while not held and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert held, "nothing was asked"
    for route in held:
        route.continue_()
    page.unroute(ANSWERS)


def count_clicks(page: Page) -> None:
    """From the next load on, count what a person clicks: see `clicks`. Clicks by scripts are not a person's."""
    page.add_init_script(
        "window.clicks = 0; addEventListener('click', (event) => { window.clicks += event.isTrusted; }, true);"
    )


def clicks(page: Page) -> int:
    """How often the person has clicked on this page."""
    return int(page.evaluate("window.clicks"))


def picture(page: Page, path: Path) -> None:
    """A screenshot of the whole page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # What sticks to the edge of the screen would cover the middle of a picture that is longer than the screen.
    unstuck = "#start-bar, #last-sound { position: static !important; }"
    page.screenshot(path=path, full_page=True, style=unstuck, animations="disabled")
