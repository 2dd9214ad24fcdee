"""With the Hub in reach: MInDS-14 and a base model come from there, and no token of the host goes along."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fakes.hub import MINDS14, MINDS14_REVISION, FakeHub, minds14_files
from tests.fakes.models import save_tiny_base
from tests.fakes.sounds import say, wav

ROOT = Path(__file__).resolve().parents[2]
BASE = "somebody/tiny-wav2vec2"


def _call(hub: FakeHub, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "VOICETUNE_DATA": str(home / "data"),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
        "HF_TOKEN": "hf_canary_of_the_host",
        "HF_HUB_DISABLE_XET": "1",
    }
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
        env.pop(name, None)
    command = [sys.executable, "-m", "trainer", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_data_and_base_come_from_the_hub_and_its_models_transcribe(tmp_path: Path) -> None:
    texts = [f"clip {chr(97 + number)} please" for number in range(20)]
    clips = {text: wav(say(text, number)[::2], 8000) for number, text in enumerate(texts)}
    run = tmp_path / "run"
    with FakeHub() as hub:
        hub.add_dataset(MINDS14, minds14_files("en-US", clips), commit=MINDS14_REVISION, branch="pinned")
        hub.add_model(BASE, _files(save_tiny_base(tmp_path / "base")))
        done = _call(
            hub, tmp_path, "finetune", "--base", BASE, "--max-steps", "2", "--eval-steps", "2", "--run", str(run)
        )
        assert done.returncode == 0, done.stderr[-3000:]
        hub.add_model("somebody/tuned", _files(run / "model"))
        sound = tmp_path / "a.wav"
        sound.write_bytes(wav(say("clip a please")))
        heard = _call(hub, tmp_path, "transcribe", "--model", "somebody/tuned", "--format", "json", str(sound))
        assert heard.returncode == 0, heard.stderr[-3000:]
        assert json.loads(heard.stdout)["model"]
        assert not any("canary" in (seen.authorization or "") for seen in hub.requests)
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    data = next(event for event in events if event["event"] == "data")
    assert data["source"].startswith("MInDS-14")
    assert [data[f"{split}_clips"] for split in ("train", "validation", "test")] == [13, 3, 4]
    assert data["split_by"] == "text" and not data["own_test"] and data["revision"] == MINDS14_REVISION
    for file in [path for path in tmp_path.rglob("*") if path.is_file()]:
        assert b"hf_canary" not in file.read_bytes(), file


def test_what_cannot_fit_the_memory_is_refused_before_its_weights_are_downloaded(tmp_path: Path) -> None:
    config = {"hidden_size": 4096, "num_hidden_layers": 96, "num_attention_heads": 32, "intermediate_size": 16_384}
    run = tmp_path / "run"
    with FakeHub() as hub:
        files = {"config.json": json.dumps({"model_type": "wav2vec2", **config}).encode(), "model.safetensors": b"0"}
        hub.add_model("somebody/giant", files)
        done = _call(hub, tmp_path, "finetune", "--base", "somebody/giant", "--run", str(run))
        assert done.returncode == 1
        assert hub.files_sent() == ["config.json"]
    assert "GB of memory, and this computer has" in done.stderr and not run.exists()


def test_a_repo_that_is_no_ctc_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    config = json.dumps({"model_type": "speecht5", "architectures": ["SpeechT5ForSpeechToText"]}).encode()
    with FakeHub() as hub:
        hub.add_model("somebody/speech", {"config.json": config, "model.safetensors": b"12345678"})
        sound = tmp_path / "a.wav"
        sound.write_bytes(wav(say("hello")))
        done = _call(hub, tmp_path, "transcribe", "--model", "somebody/speech", str(sound))
    assert done.returncode == 1 and "speecht5" in done.stderr and "Traceback" not in done.stderr
