"""A fake Hub and a cache of one's own for each test; nothing of an earlier test is remembered."""

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import MODEL, Fetch
from trainer.hub import connectivity
from trainer.hub.download import fetch_model


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing remembered of an earlier test, no question to the real Hub, and a token that must not be sent."""
    connectivity._probes.clear()
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # else the real Hub is asked for agents' names
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_host")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.fixture
def fetch(hub: FakeHub, tmp_path: Path) -> Fetch:
    """`fetch_model` from the fake Hub into a cache of the test's own."""

    def call(repo_id: str = MODEL, **options: object) -> Path:
        return fetch_model(repo_id, **{"endpoint": hub.url, "cache_dir": tmp_path / "hub", **options})  # type: ignore[arg-type]

    return call


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub tries a cut download again after 0 s, not after 1 s."""
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
