"""What tests of every floor share."""

from pathlib import Path

import pytest

SPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech"


@pytest.fixture
def speech() -> Path:
    """The folder of real recordings beside the checkout; without it the test is skipped."""
    if not SPEECH.is_dir():
        pytest.skip("needs ../shared/speech, real recordings that are not part of the project")
    return SPEECH
