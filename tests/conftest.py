"""What tests of every floor share, and how they are dealt out to several workers (`pytest -n`)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, sync_playwright

_SHARED = Path(__file__).resolve().parents[2] / "shared"
SPEECH = _SHARED / "speech"
CASES = _SHARED / "cases"
# The longest first, so that none of them is begun when all else has ended; "" is for all that begin otherwise.
ORDER = ("e2e/test_space_start", "app/test_finetune", "app/", "e2e/", "faults/", "unit/test_space", "unit/", "")

SHARES_THE_WORK = "PYTEST_XDIST_WORKER" in os.environ

if SHARES_THE_WORK:
    # As many workers as cores: with as many threads in each, they would wait for one another. Before torch is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers take whole files, in this order: a file's tests share an app or a model, and may build on one another."""
    if SHARES_THE_WORK:
        items.sort(key=lambda item: _place(item.path.relative_to(Path(__file__).parent).as_posix()))


def _place(file: str) -> int:
    """The file's place in the order."""
    return next(place for place, start in enumerate(ORDER) if file.startswith(start))


@pytest.fixture
def speech() -> Path:
    """The folder of real recordings beside the checkout; without it the test is skipped."""
    if not SPEECH.is_dir():
        pytest.skip("needs ../shared/speech, real recordings that are not part of the project")
    return SPEECH


@pytest.fixture
def cases() -> Path:
    """The folder of inputs of public bug reports beside the checkout; without it the test is skipped."""
    if not CASES.is_dir():
        pytest.skip("needs ../shared/cases, inputs of public bug reports that are not part of the project")
    return CASES


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The browsers' driver: one for all, since a thread cannot have two."""
    with sync_playwright() as driver:
        yield driver
