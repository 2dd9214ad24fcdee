"""The way of the app: everything by the environment, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import CLOSED, FILES, MODEL, names


def run(code: str, hub_url: str, home: Path) -> str:
    """Run Python with this Hub, a home of its own, and a host's token both in the environment and on disk."""
    home.mkdir(exist_ok=True)
    (home / "token").write_text("hf_on_the_disk")
    environment = {**os.environ, "HF_ENDPOINT": hub_url, "HF_HOME": str(home), "HF_TOKEN": "hf_of_the_host"}
    environment.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_fetch_by_the_environment_sends_no_token(hub: FakeHub, tmp_path: Path) -> None:
    hub.add_model(MODEL, FILES)
    code = f"from trainer.hub.download import fetch_model; print(fetch_model({MODEL!r}))"
    folder = Path(run(code, hub.url, tmp_path / "home"))
    assert names(folder) == set(FILES)
    assert folder.is_relative_to(tmp_path / "home" / "hub")
    assert {seen.authorization for seen in hub.requests} == {None}
    hub.stop()
    assert Path(run(code, hub.url, tmp_path / "home")) == folder


def test_importing_the_floor_is_quick_and_loads_no_library(tmp_path: Path) -> None:
    code = (
        "import sys, trainer.hub.download, trainer.hub.connectivity\n"
        "print({'huggingface_hub', 'httpx2', 'torch', 'transformers', 'gradio', 'numpy'} & set(sys.modules))"
    )
    assert run(code, CLOSED, tmp_path / "home") == "set()"
