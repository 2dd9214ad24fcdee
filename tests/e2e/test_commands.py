"""The command line as scripts rely on it: exit codes, what is printed, and what is left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.models import save_tiny_base
from tests.fakes.sounds import save_folder

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["open the door", "close the door", "who is there"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def _call(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"VOICETUNE_DATA": str(home / "data"), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(home)}
    command = [sys.executable, "-m", "trainer", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def data(home: Path) -> Path:
    return save_folder(home / "own", [(text, split) for split in ("train", "validation", "test") for text in TEXTS])


@pytest.fixture(scope="module")
def run(home: Path, data: Path) -> Path:
    base = save_tiny_base(home / "base")
    folder = home / "run"
    done = _call(
        home, "finetune", "--data", str(data), "--base", str(base), "--max-steps", "4", "--eval-steps", "2",
        "--seed", "7", "--run", str(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WER" in done.stderr and "Finished." in done.stderr
    return folder


def test_finetune_leaves_a_run(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {"config.json", "events.jsonl", "model", "clips"} <= names
    recipe = json.loads((run / "config.json").read_text())["recipe"]
    assert (recipe["seed"], recipe["max_steps"], recipe["preset"]) == (7, 4, "quick")
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "finished" and [event["seq"] for event in events] == list(range(len(events)))


def test_a_finished_run_is_not_trained_over(home: Path, run: Path) -> None:
    again = _call(home, "finetune", "--run", str(run))
    assert again.returncode == 1 and "new folder" in again.stderr


def test_evaluate_prints_json(home: Path, run: Path, data: Path) -> None:
    done = _call(home, "evaluate", "--model", str(run / "model"), "--data", str(data), "--json")
    figures: dict[str, Any] = json.loads(done.stdout)
    assert {"wer", "cer", "clips", "seconds", "audio_seconds"} <= set(figures)
    assert figures["clips"] == 3 and figures["audio_seconds"] == pytest.approx(5.3, abs=1)
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    best = [event["step"] for event in events if event["event"] == "model_saved"][-1]
    told = next(event for event in events if event["event"] == "evaluated" and event["step"] == best)
    assert figures["wer"] == pytest.approx(told["wer"]) and figures["cer"] == pytest.approx(told["cer"])


def test_transcribe_goes_on_past_a_bad_file(home: Path, run: Path, data: Path) -> None:
    bad = home / "bad.wav"
    bad.write_text("this is no sound")
    files = [str(data / "0.wav"), str(bad), str(data / "1.wav")]
    done = _call(home, "transcribe", "--model", str(run / "model"), "--format", "json", *files)
    assert done.returncode == 1 and "bad.wav" in done.stderr and "Traceback" not in done.stderr
    heard = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"] for line in heard] == [files[0], files[2]]
    assert all({"text", "words", "audio_seconds", "took_seconds"} <= set(line) for line in heard)
    plain = _call(home, "transcribe", "--model", str(run / "model"), files[0])
    assert plain.returncode == 0 and plain.stdout == heard[0]["text"] + "\n"


def test_a_folder_becomes_subtitles_in_another_one(home: Path, run: Path, data: Path) -> None:
    made = home / "subtitles"
    done = _call(
        home, "transcribe", "--model", str(run / "model"), "--format", "vtt", "--output", str(made),
        "--words", "door, Anna", "--no-phrases", str(data),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert len(written) == 9 and all(file.read_text(encoding="utf-8").startswith("WEBVTT\n") for file in written)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["finetune", "--locale", "xx-XX"], "xx-XX"),
        (["finetune", "--preset", "wish"], "wish"),
        (["finetune", "--learning-rate", "7"], "learning rate"),
        (["transcribe", "--model", "../nowhere", "x.wav"], "no model in that folder"),
        (["evaluate", "--model", "no/such-model", "--data", "practice"], "cannot be reached"),
    ],
)
def test_what_is_off_is_said_in_a_sentence(home: Path, arguments: list[str], message: str) -> None:
    done = _call(home, *arguments)
    assert done.returncode == 1 and message in done.stderr.lower().replace("xx-xx", "xx-XX")
    assert "Traceback" not in done.stderr


def test_doctor_says_what_there_is(home: Path) -> None:
    facts = json.loads(_call(home, "doctor", "--json").stdout)
    assert {"torch", "device", "precision", "memory", "hub", "default", "microphone"} <= set(facts)
    assert facts["recommended"].startswith("starter: ") and "base models" in facts["fitting"]
    assert "out of reach" in facts["hub"] and "practice" in facts["default"]
