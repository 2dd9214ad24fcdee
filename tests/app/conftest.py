"""The app as a visitor meets it: `python app.py` in a process of its own, and Chromium with a WAV as its voice."""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source

PROJECT = Path(__file__).resolve().parents[2]
SCREENSHOTS = PROJECT / "tests" / "screenshots"
SECONDS_TO_START = 90.0  # a busy machine; alone it takes 4
MICROPHONE_RATE = 48_000  # what Chromium's fake microphone wants: mono, 16 bit

_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def chromium_path() -> str:
    """Debian's Chromium; Playwright's own download is not used."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.fail("The browser tests need Chromium. On Debian: apt-get install chromium.")


@dataclass
class App:
    """A running app, its address and where it keeps its runs."""

    process: subprocess.Popen[bytes]
    url: str
    data: Path
    log: Path

    def stop(self) -> None:
        """End it, and with it nothing else: trainers live on."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start_app(folder: Path, port: int | None = None, **variables: str) -> App:
    """`python app.py` on a free port, with a home, a data folder and a temporary folder of its own."""
    port = port or free_port()
    (folder / "home").mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "SPACE_", "HF_"))}
    env |= {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "VOICETUNE_DATA": str(folder / "data"),
        "GRADIO_SERVER_PORT": str(port),
        "HF_HUB_OFFLINE": "1",
        **variables,
    }
    log = folder / "app.log"
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT, env=env, stdout=file, stderr=file)
    app = App(process, f"http://127.0.0.1:{port}/", folder / "data", log)
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(app.url, timeout=5):
                return app
        except OSError:
            time.sleep(0.1)
    app.stop()
    pytest.fail(f"The app did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One app for a file of tests."""
    running = start_app(tmp_path_factory.mktemp("app"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The driver."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A practice clip from the test split as the microphone's WAV, and its text."""
    from trainer.settings import Settings

    source = open_source("practice", LOCALES["en-US"], Settings(data_dir=Path("unused")))
    clip = next(clip for clip in source.clips if clip.split == "test" and isinstance(clip.audio, bytes))
    assert isinstance(clip.audio, bytes)
    samples, rate = soundfile.read(io.BytesIO(clip.audio), dtype="float32")
    silence = np.zeros(MICROPHONE_RATE // 2, dtype=np.float32)
    times = np.arange(int(len(samples) / rate * MICROPHONE_RATE)) / MICROPHONE_RATE
    voice = np.interp(times, np.arange(len(samples)) / rate, samples).astype(np.float32)
    path = tmp_path_factory.mktemp("microphone") / "voice.wav"
    soundfile.write(path, np.concatenate([silence, voice, silence]), MICROPHONE_RATE, subtype="PCM_16")
    return path, clip.text


@pytest.fixture(scope="session")
def browser(playwright: Playwright, spoken: tuple[Path, str]) -> Iterator[Browser]:
    """Chromium that says the practice clip into its microphone, once a recording."""
    voice = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken[0]}%noloop",
    ]
    running = playwright.chromium.launch(executable_path=chromium_path(), args=_QUIET + voice)
    yield running
    running.close()


@pytest.fixture
def browser_without_microphone(playwright: Playwright) -> Iterator[Browser]:
    """Chromium on a machine that has none, where nobody grants one either."""
    running = playwright.chromium.launch(executable_path=chromium_path(), args=_QUIET)
    yield running
    running.close()


@dataclass
class Visitor:
    """A browser profile of one's own, and what went wrong in its pages."""

    context: BrowserContext
    own_host: str
    tolerate: str = "^$"  # a pattern of console errors that belong to the case
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        """A new tab, ready to use. Console errors and requests to other hosts become complaints."""
        page = self.context.new_page()
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", lambda request: self._watch(request.url))
        page.goto(url)
        page.get_by_role("button", name="Start", exact=True).wait_for()
        return page

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and not re.search(self.tolerate, text):
            self.complaints.append(f"console: {text}")

    def _watch(self, url: str) -> None:
        if not url.startswith((self.own_host, "data:", "blob:")):
            self.complaints.append(f"request to another host: {url}")


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(app: App, browser: Browser) -> Iterator[Visit]:
    """Make visitors: `visit(width=390, dark=True)`. At the end none may have anything to complain about."""
    made: list[Visitor] = []

    def make(width: int = 1280, dark: bool = False, tolerate: str = "^$") -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 844 if width < 600 else 900},
            color_scheme="dark" if dark else "light",
            locale="en-US",
            has_touch=width < 600,
        )
        context.set_default_timeout(30_000)
        visitor = Visitor(context, app.url, tolerate)
        made.append(visitor)
        return visitor

    yield make
    for visitor in made:
        visitor.context.close()
    assert [complaint for visitor in made for complaint in visitor.complaints] == []


@pytest.fixture
def page(app: App, visit: Visit) -> Page:
    """The page on a desktop, in light."""
    return visit().open(app.url)


def shoot(page: Page, name: str) -> None:
    """A screenshot of the whole page, in a folder that git ignores."""
    SCREENSHOTS.mkdir(exist_ok=True)
    # What sticks to the edge of the screen would cover the middle of a picture that is longer than the screen.
    unstuck = "#start-bar { position: static !important; }"
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True, style=unstuck, animations="disabled")
