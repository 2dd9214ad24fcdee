"""From a run to a model that anybody's `pipeline` opens by name, through a Hub on localhost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jiwer
import pytest
import soundfile

from tests.fakes.hub_writes import WritableHub
from tests.fakes.models import save_tiny_base
from tests.fakes.run_folder import write_run
from tests.fakes.sounds import save_folder
from trainer.models.ctc_model import open_checkpoint
from trainer.models.inference import open_transcriber
from trainer.models.model_files import read_model
from trainer.runs.run import Run
from trainer.settings import STARTER_HEADS, Settings
from trainer.speech.audio import SAMPLE_RATE, load_audio
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source

ROOT = Path(__file__).resolve().parents[2]
MINE, HOST = "hf_canary_of_mine", "hf_canary_of_the_host"

# In place of the last line of those that use a model: the sound is handed over decoded, so that no ffmpeg is needed.
HAND_OVER = """
import soundfile, sys
raw, rate = soundfile.read(sys.argv[1], dtype="float32")
print(listen({"raw": raw, "sampling_rate": rate})["text"])
"""


@pytest.fixture
def hub() -> Iterator[WritableHub]:
    with WritableHub() as hub:
        hub.let_in(MINE, "anna")
        yield hub


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A computer on which `hf auth login` was run."""
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(MINE)
    return tmp_path


def call(hub: WritableHub, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "VOICETUNE_DATA": str(home / "data"),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        **variables,
    }
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
        if name not in variables:
            env.pop(name, None)
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


def practice_clip(path: Path) -> Path:
    """A clip of the practice set's test split, as a WAV at 16 kHz."""
    source = open_source("practice", LOCALES["en-US"], Settings(data_dir=Path("unused")))
    clip = next(clip for clip in source.clips if clip.split == "test" and clip.audio is not None)
    assert clip.audio is not None
    soundfile.write(path, load_audio(clip.audio).samples, SAMPLE_RATE, subtype="FLOAT")
    return path


def test_a_shared_model_is_opened_by_name_and_hears_the_same(hub: WritableHub, home: Path) -> None:
    run = write_run(home / "data")
    checkpoint = open_checkpoint(read_model(STARTER_HEADS / "en", Settings.max_load_bytes))
    checkpoint.save(run.model, {"locale": "en-US", "base": "starter"})
    shared = call(hub, home, "-m", "trainer", "publish", "--name", "banker", "--json")
    assert shared.returncode == 0, shared.stderr[-3000:]
    receipt = json.loads(shared.stdout)
    assert receipt["repo_id"] == "anna/banker" and receipt["private"]
    files = hub.files("anna/banker")
    assert {name: len(data) for name, data in files.items() if name != ".gitattributes"} == receipt["files"]
    assert sum(receipt["files"].values()) > 7_000_000
    clip = str(practice_clip(home / "clip.wav"))
    by_sound = ("--model", str(run.model), "--no-phrases")
    ours = call(hub, home, "-m", "trainer", "transcribe", *by_sound, clip)
    lines = files["README.md"].decode().split("```python\n")[1].split("\n```")[0].splitlines()
    assert lines[1] == "whisper_ctc.register()" and "print(" in lines[-1]
    program = "\n".join(lines[:-1]) + HAND_OVER
    theirs = call(hub, home, "-c", program, clip)
    assert theirs.returncode == 0, theirs.stderr[-3000:]
    # The stock tokenizer writes a space for each mark between words, though one follows another.
    exact = open_transcriber(read_model(run.model, Settings.max_load_bytes))(load_audio(clip).samples).text
    assert len(exact.split()) > 3 and theirs.stdout.split() == exact.split()
    # Where bf16 is quicker we listen with it, and may take one letter for another where the model is in doubt.
    assert jiwer.cer(exact, ours.stdout.strip()) < 0.1
    # It is private: a computer that is not signed in hears nothing of it.
    (home / "stranger").mkdir()
    stranger = call(hub, home, "-c", program, clip, HF_HOME=str(home / "stranger"))
    assert stranger.returncode != 0
    for printed in (shared, ours, theirs, stranger):
        assert "canary" not in printed.stdout + printed.stderr


def test_finetune_shares_when_it_has_finished(hub: WritableHub, home: Path) -> None:
    data = save_folder(
        home / "own", [(text, split) for split in ("train", "validation", "test") for text in ("open", "close")]
    )
    base = save_tiny_base(home / "base")
    done = call(
        hub, home, "-m", "trainer", "finetune", "--data", str(data), "--base", str(base), "--max-steps", "2",
        "--eval-steps", "2", "--run", str(home / "run"), "--share", "mine", "--public", "--licence", "mit",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == f"{hub.url}/anna/mine" and "anna/mine" not in hub.private
    files = hub.files("anna/mine")
    card = files["README.md"].decode()
    assert "license: mit" in card and "torch " in card and "cores" in card  # the run has told its machine
    assert not {"example.wav", "training_args.bin"} & set(files)  # one's own voice stays at home
    published = b"".join(data for name, data in files.items() if name != "model.safetensors")
    assert str(home).encode() not in published and b"canary" not in published
    assert b'"pid"' not in files["training.jsonl"] and b"evaluated" in files["training.jsonl"]
    assert_no_token_on_disk(home, Run(home / "run"))


def test_a_training_is_not_begun_when_its_model_could_not_be_shared(hub: WritableHub, home: Path) -> None:
    (home / "hf" / "token").unlink()
    refused = call(hub, home, "-m", "trainer", "finetune", "--run", str(home / "run"), "--share", "mine")
    assert refused.returncode == 1 and "hf auth login" in refused.stderr and "Traceback" not in refused.stderr
    assert not (home / "run").exists()
    wrong = call(hub, home, "-m", "trainer", "finetune", "--run", str(home / "run"), "--share", "a b")
    assert wrong.returncode == 1 and "does not take that name" in wrong.stderr
    nothing = call(hub, home, "-m", "trainer", "publish")
    assert nothing.returncode == 1 and "no run with a model" in nothing.stderr


def assert_no_token_on_disk(home: Path, run: Run) -> None:
    for file in (*run.folder.rglob("*"), *(home / "data").rglob("*")):
        assert not file.is_file() or b"canary" not in file.read_bytes(), file
