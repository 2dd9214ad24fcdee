"""Two processes train one model: the same data, the same curve as one, and one of them speaks for both."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.models import save_tiny_base
from tests.fakes.sounds import save_folder
from trainer.runs.launching import trainer_command

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["open the door", "close it", "who is there", "it is me", "come in then", "good night", "see you"]
STEPS = 8
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    save_folder(folder / "own", [(text, split) for split in ("train", "test") for text in TEXTS])
    save_tiny_base(folder / "base")
    return folder


def command(home: Path, name: str, steps: int, processes: int) -> list[str]:
    """As the app starts it where it sees so many GPUs; where there are none, the processes talk through gloo.

    Batches of five clips out of seven, so that the two get unequal shares. Nothing is drawn at random.
    """
    arguments = [
        "finetune", "--data", str(home / "own"),
        "--base", str(home / "base"), "--run", str(home / name), "--max-steps", str(steps), "--eval-steps", str(steps),
        "--batch-clips", "5", "--learning-rate", "0.01", "--warmup-steps", "0", "--precision", "fp32", "--dropout", "0",
        "--mask-time-prob", "0", "--no-augment", "--quiet",
    ]  # fmt: skip
    return trainer_command(arguments, processes)


def environment(home: Path) -> dict[str, str]:
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return os.environ | {"VOICETUNE_DATA": str(home / "data"), **offline}


def events(home: Path, name: str) -> list[dict[str, Any]]:
    path = home / name / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def losses(told: list[dict[str, Any]]) -> list[float]:
    return [event["loss"] for event in told if event["event"] == "log"]


def test_two_processes_draw_the_curve_of_one(home: Path) -> None:
    told = {}
    for name, processes in (("one", 1), ("two", 2)):
        done = subprocess.run(
            command(home, name, STEPS, processes), cwd=ROOT, env=environment(home), capture_output=True, timeout=240
        )
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        told[name] = events(home, name)
    alone, together = losses(told["one"]), losses(told["two"])
    assert len(alone) == len(together) == STEPS
    assert alone[-1] < 0.9 * alone[0], "it learns, so that a wrong gradient would show"
    furthest = max(abs(a - b) for a, b in zip(alone, together, strict=True))
    print(f"\none: {[round(x, 4) for x in alone]}\ntwo: {[round(x, 4) for x in together]}\nfurthest: {furthest:.2e}")
    assert furthest < 1e-3
    checks = [[event for event in told[name] if event["event"] == "evaluated"] for name in ("one", "two")]
    for one, two in zip(*checks, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-3) and two["step"] == one["step"]
    kinds = [[event["event"] for event in told[name] if event["event"] != "phase"] for name in ("one", "two")]
    assert kinds[0] == kinds[1], "one process alone speaks"
    assert [event["seq"] for event in told["two"]] == list(range(len(told["two"])))
    assert (home / "two" / "model" / "model.safetensors").is_file()


def test_a_stop_ends_both_and_keeps_the_model(home: Path) -> None:
    process = subprocess.Popen(
        command(home, "stopped", 100_000, 2), cwd=ROOT, env=environment(home),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not losses(events(home, "stopped")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        (home / "stopped" / "stop").touch()
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output.decode()[-3000:]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    told = events(home, "stopped")
    assert told[-1]["event"] == "stopped" and "stopping" in [event["event"] for event in told]
    assert (home / "stopped" / "model" / "model.safetensors").is_file()
