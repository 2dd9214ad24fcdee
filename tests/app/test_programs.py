"""What programs get of a running app, by `gradio_client` as anybody would use it."""

import base64
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.app.serving import PROJECT, App, free_port, start_app
from tests.fakes.hearing_whisper import save_hearing_whisper
from tests.fakes.hub import FakeHub
from tests.fakes.run_folder import beep
from trainer.models.inference import hearing_of
from trainer.models.model_files import read_model
from trainer.models.recognizer import Hints, open_recognizer
from trainer.settings import Settings
from trainer.speech.audio import load_audio

pytestmark = pytest.mark.timeout(240)
WHISPER = "anna/whisper-tiny-test"


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hearing_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def served(whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app with a Hub on which there is a Whisper."""
    with FakeHub() as hub:
        hub.add_model(WHISPER, {path.name: path.read_bytes() for path in whisper.iterdir()})
        app = start_app(tmp_path_factory.mktemp("served"), HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0")
        yield app
        app.stop()


@pytest.fixture(scope="module")
def client(served: App) -> Iterator[Client]:
    client = Client(served.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


def refusal(client: Client, *values: Any, api_name: str = "/transcribe", **named: Any) -> str:
    with pytest.raises(AppError) as refused:
        client.predict(*values, api_name=api_name, **named)
    said = str(refused.value)
    assert "Traceback" not in said and str(PROJECT) not in said and "voicetune-uploads" not in said
    return said


def test_what_can_be_asked_is_listed_with_its_types(client: Client) -> None:
    listed = client.view_api(print_info=False, return_format="dict")
    assert isinstance(listed, dict)
    named = listed["named_endpoints"]
    assert set(named) == {"/transcribe", "/compare", "/models"} and not listed["unnamed_endpoints"]
    names = [row["parameter_name"] for row in named["/transcribe"]["parameters"]]
    assert names == ["sound", "model", "language", "words", "phrases"]
    (answer,) = named["/transcribe"]["returns"]
    assert {"text", "words", "model"} <= set(answer["type"]["properties"])


def test_a_recording_is_written_down(client: Client, spoken: tuple[Path, str]) -> None:
    heard = client.predict(handle_file(spoken[0]), api_name="/transcribe")
    assert set(heard) == {"model", "text", "spelt", "words", "audio_seconds", "took_seconds"}
    assert heard["model"].startswith("ready:") and len(heard["text"]) > 5
    assert heard["words"] and set(heard["words"][0]) == {"text", "start", "end", "confidence"}
    sent = "data:audio/wav;base64," + base64.b64encode(beep(0.5, 440)).decode()
    assert client.predict(sent, "ready:en", api_name="/transcribe")["audio_seconds"] == 0.5


def test_models_are_listed_as_they_are_asked_for(client: Client, spoken: tuple[Path, str]) -> None:
    every = client.predict(api_name="/models")
    german = client.predict(language="de", api_name="/models")
    assert {"model": "ready:de", "here": True} in [{"model": row["model"], "here": row["here"]} for row in german]
    assert len(german) < len(every) and "ready:en" not in [row["model"] for row in german]
    assert client.predict(language="de-DE", api_name="/models") == german
    two = client.predict(handle_file(spoken[0]), ["ready:en", "ready:de"], api_name="/compare")
    assert [row["model"] for row in two] == ["ready:en", "ready:de"] and two[0]["text"] != two[1]["text"]


def test_a_whisper_of_the_hub_is_fetched_and_heard_with(client: Client, whisper: Path, tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    sound.write_bytes(beep(1.0, 300))
    heard = client.predict(handle_file(sound), WHISPER, "de", api_name="/transcribe")
    recognizer = open_recognizer(read_model(whisper, Settings.max_load_bytes, whole=True))
    samples = load_audio(sound).samples
    assert heard["text"] == hearing_of(recognizer.pieces(samples, hints=Hints(language="de"))).text != ""


def test_what_makes_no_sense_is_refused_in_a_sentence(client: Client, served: App, tmp_path: Path) -> None:
    sent = "data:audio/wav;base64," + base64.b64encode(beep(0.5, 440)).decode()
    for path in ("/etc/passwd", str(PROJECT / "app.py"), str(served.data), "../../app.py", "", "\0", "https://a.b/c"):
        assert "No sound was sent" in refusal(client, {"path": path})
    for nothing in ("", "data:audio/wav;base64,", "data:audio/wav;base64,%%%", "/etc/passwd", "file:///etc/passwd"):
        assert "No sound was sent" in refusal(client, nothing)
    others: list[Any] = [None, 5, [], {}, {"path": ["/etc/passwd"]}]
    for other in others:
        assert "No sound was sent" in refusal(client, other)
    no_sound = tmp_path / "no.wav"
    no_sound.write_text("no sound")
    assert "Error" not in refusal(client, handle_file(no_sound))
    assert "not the id of a model" in refusal(client, sent, str(served.data))
    assert "is a text of at most" in refusal(client, sent, ["ready:en"])
    assert "is a text of at most" in refusal(client, sent, "x" * 300)
    assert "is a text of at most" in refusal(client, sent, "ready:en", words="x" * 10_000)
    assert "do not know that language" in refusal(client, sent, "ready:en", "klingon")
    assert "true or false" in refusal(client, sent, "ready:en", phrases="yes")
    assert "do not know that language" in refusal(client, "xx", api_name="/models")
    for models in ([], ["ready:en"], ["ready:en"] * 4, "ready:en", None):
        assert "I compare two to" in refusal(client, sent, models, api_name="/compare")


def test_sounds_are_gone_after_they_were_heard(client: Client, served: App) -> None:
    sent = "data:audio/wav;base64," + base64.b64encode(beep(0.7, 440)).decode()
    client.predict(sent, "ready:en", api_name="/transcribe")
    deadline = time.monotonic() + 60
    folder = served.data.parent / "tmp"
    while found := [path for path in folder.glob("voicetune-uploads-*/**/*") if path.is_file()]:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


@pytest.mark.skipif(importlib.util.find_spec("mcp") is not None, reason="the package for MCP is installed")
def test_mcp_without_its_package_is_refused_at_the_start(tmp_path: Path) -> None:
    env = os.environ | {"VOICETUNE_MCP": "1", "VOICETUNE_DATA": str(tmp_path), "GRADIO_SERVER_PORT": str(free_port())}
    done = subprocess.run([sys.executable, "app.py"], cwd=PROJECT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "pip install 'gradio[mcp]'" in done.stderr and "Traceback" not in done.stderr
