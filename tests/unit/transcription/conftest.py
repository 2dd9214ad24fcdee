"""What tests of transcriptions share: a host whose ready model hears one letter in everything, a sound, and a Hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.hub import FakeHub
from tests.fakes.models import save_answering
from tests.fakes.run_folder import beep
from trainer.hub import connectivity
from trainer.settings import Settings
from trainer.transcription import model_list


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        connectivity._probes.clear()
        yield hub


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a host whose ready model hears "h" in everything."""
    folder = save_answering(tmp_path / "ready", "h")
    monkeypatch.setattr(model_list, "starter_of", lambda language: folder if language == "en" else None)
    monkeypatch.setenv("VOICETUNE_DATA", str(tmp_path / "data"))
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def voice(tmp_path: Path) -> str:
    path = tmp_path / "voice.wav"
    path.write_bytes(beep(1.0, 440))
    return str(path)
