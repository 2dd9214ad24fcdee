"""The Transcribe tab: recording, uploads good and bad, and microphones that cannot be used."""

import io
import json
import socket
import wave
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.conftest import App, Visit, shoot, start_app
from tests.fakes.run_folder import write_run
from trainer.settings import STARTER

PATIENCE_MS = 120_000  # loading torch on a busy machine

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module", autouse=True)
def model(app: App) -> None:
    """A run whose model is the untrained starter with a head: enough to transcribe with, if not to understand."""
    run = write_run(app.data)
    make_model(run.model)


def make_model(folder: Path) -> None:
    """A CTC checkpoint that always opens."""
    from trainer.models.loading import load_base
    from trainer.models.vocabulary import Vocabulary

    raise NotImplementedError


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
