"""The app as a visitor meets it: `python app.py` in a process of its own, and Chromium with a WAV as its voice."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from tests.app.browsing import launch, picture, profile, save_voice
from tests.app.serving import PROJECT, App, start_app

SCREENSHOTS = PROJECT / "tests" / "screenshots"

expect.set_options(timeout=30_000)  # as long as everything else is waited for: a busy machine is no fault


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One app for a file of tests."""
    running = start_app(tmp_path_factory.mktemp("app"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A practice clip from the test split as the microphone's WAV, and its text."""
    path = tmp_path_factory.mktemp("microphone") / "voice.wav"
    return path, save_voice(path)


@pytest.fixture(scope="session")
def browser(playwright: Playwright, spoken: tuple[Path, str]) -> Iterator[Browser]:
    """Chromium that says the practice clip into its microphone, once a recording."""
    running = launch(playwright, spoken[0])
    yield running
    running.close()


@pytest.fixture
def browser_without_microphone(playwright: Playwright) -> Iterator[Browser]:
    """Chromium on a machine that has none, where nobody grants one either."""
    running = launch(playwright)
    yield running
    running.close()


@pytest.fixture
def blocked_page(app: App, playwright: Playwright, spoken: tuple[Path, str]) -> Iterator[Page]:
    """An empty page of a browser whose owner has refused the app the microphone."""
    running = launch(playwright, spoken[0], grants=False)
    page = running.new_page(locale="en-US")
    session = page.context.new_cdp_session(page)
    owner = session.send("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    session.send(
        "Browser.setPermission",
        {"permission": {"name": "microphone"}, "setting": "denied", "origin": app.url, "browserContextId": owner},
    )
    yield page
    running.close()


@dataclass
class Visitor:
    """A browser profile of one's own, and what went wrong in its pages."""

    context: BrowserContext
    own_host: str
    tolerate: str = "^$"  # a pattern of console errors that belong to the case
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str, prepare: Callable[[Page], None] = lambda page: None) -> Page:
        """A new tab, ready to use. Console errors and requests to other hosts become complaints."""
        page = self.context.new_page()
        prepare(page)
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


@pytest.fixture(autouse=True)
def _no_page_stays_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test opened is closed after it: pages whose app has gone look for it again and again, all session long."""
    browser = request.getfixturevalue("browser") if "browser" in request.fixturenames else None
    before = list(browser.contexts) if browser else []
    yield
    for context in browser.contexts if browser else []:
        if context not in before:
            context.close()


@pytest.fixture
def visit(app: App, browser: Browser) -> Iterator[Visit]:
    """Make visitors: `visit(width=390, dark=True)`. At the end none may have anything to complain about."""
    made: list[Visitor] = []

    def make(width: int = 1280, dark: bool = False, tolerate: str = "^$") -> Visitor:
        context = profile(browser, width, dark)
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
    picture(page, SCREENSHOTS / f"{name}.png")
