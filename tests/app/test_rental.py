"""A rented GPU from the page: on offer to who is signed in, followed live, and its model to talk to at the end."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.browsing import profile
from tests.app.conftest import shoot
from tests.app.test_publishing_page import MINE, canaries, start
from tests.fakes.hub_jobs import JobsHub
from trainer.runs.run import list_runs

pytestmark = pytest.mark.timeout(400)
PATIENCE_MS = 180_000  # a job starts Python three times, on a busy machine


@pytest.fixture
def hub() -> Iterator[JobsHub]:
    with JobsHub() as served:
        served.let_in(MINE, "anna")
        yield served


def open_advanced(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Advanced").click()


def test_who_is_not_signed_in_is_offered_none(hub: JobsHub, browser: Browser, tmp_path: Path) -> None:
    app = start(tmp_path, hub, None)
    try:
        page = profile(browser).new_page()
        open_advanced(page, app.url)
        expect(page.get_by_label("Precision")).to_be_visible()
        page.wait_for_timeout(3000)
        expect(page.locator("#renting")).to_be_hidden()
    finally:
        app.stop()


def test_a_training_on_a_rented_machine_from_start_to_talk(hub: JobsHub, browser: Browser, tmp_path: Path) -> None:
    app = start(tmp_path, hub, MINE)
    try:
        page = profile(browser).new_page()
        open_advanced(page, app.url)
        expect(page.locator("#renting")).to_be_visible(timeout=30_000)
        expect(page.locator("#renting-cost")).to_contain_text(re.compile(r"some \$0\.\d\d.*at most"), timeout=30_000)
        page.get_by_label("Practice voices").check()
        page.get_by_label("Steps", exact=True).fill("4")
        page.get_by_label("Clips to use").fill("24")
        page.get_by_label("Stop it after").fill("30")
        page.get_by_label("Stop it after").blur()
        expect(page.locator("#renting-cost")).to_contain_text("after 30 minutes, so it costs $0.20 at most")
        assert accessibility_faults(page) == []
        shoot(page, "renting-1280")
        page.get_by_role("button", name="Start on the rented GPU").click()
        expect(page.locator("#status")).to_contain_text("Training", timeout=PATIENCE_MS)
        expect(page.locator("#status")).to_contain_text("Finished", timeout=PATIENCE_MS)
        expect(page.get_by_role("button", name="Talk to your model")).to_be_enabled()
        shoot(page, "rented-1280")
        run = list_runs(app.data / "runs")[0]
        assert run.has_model and hub.jobs["job0"].spec["flavor"] == "t4-small"
        assert hub.jobs["job0"].spec["timeoutSeconds"] == 1800
        assert canaries(app, run) == []
        narrow = profile(browser, 390, dark=True).new_page()
        open_advanced(narrow, app.url)
        expect(narrow.locator("#renting-cost")).to_contain_text("at most", timeout=30_000)
        assert accessibility_faults(narrow) == []
        shoot(narrow, "renting-390-dark")
    finally:
        app.stop()
