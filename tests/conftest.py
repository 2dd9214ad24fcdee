"""What tests of every floor share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, sync_playwright

SPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech"


@pytest.fixture
def speech() -> Path:
    """The folder of real recordings beside the checkout; without it the test is skipped."""
    if not SPEECH.is_dir():
        pytest.skip("needs ../shared/speech, real recordings that are not part of the project")
    return SPEECH


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The browsers' driver: one for all, since a thread cannot have two."""
    with sync_playwright() as driver:
        yield driver
