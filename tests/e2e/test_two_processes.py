"""Two processes train one model: the same data, the same curve as one, and one of them speaks for both."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.models import save_tiny_base, save_tiny_encoder
from tests.fakes.sounds import save_folder
from trainer.runs.process import trainer_command

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["open the door", "close it", "who is there", "it is me", "come in then", "good night", "see you"]
STEPS = 8
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    save_folder(folder / "own", [(text, split) for split in ("train", "validation", "test") for text in TEXTS])
    save_tiny_base(folder / "base")
    save_tiny_encoder(folder / "whisper")
    return folder


def command(home: Path, name: str, steps: int, processes: int, base: str = "base", *more: str) -> list[str]:
    """As the app starts it where it sees so many GPUs; where there are none, the processes talk through gloo.

    Batches of five clips out of seven, so that the two get unequal shares. Nothing is drawn at random.
    """
    arguments = [
        "finetune", "--data", str(home / "own"),
        "--base", str(home / base), "--run", str(home / name), "--max-steps", str(steps), "--eval-steps", str(steps),
        "--batch-clips", "5", "--learning-rate", "0.01", "--warmup-steps", "0", "--precision", "fp32", "--dropout", "0",
        "--mask-time-prob", "0", "--no-augment", "--quiet", *more,
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


@pytest.mark.parametrize(
    ("base", "options"), [("base", []), ("whisper", ["--frozen-layers", "2", "--head-steps", "3"])]
)
def test_two_processes_draw_the_curve_of_one(home: Path, base: str, options: list[str]) -> None:
    told = {}
    one, two = f"one-{base}", f"two-{base}"
    for name, processes in ((one, 1), (two, 2)):
        started = command(home, name, STEPS, processes, base, *options)
        done = subprocess.run(started, cwd=ROOT, env=environment(home), capture_output=True, timeout=240)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        told[name] = events(home, name)
    alone, together = losses(told[one]), losses(told[two])
    assert len(alone) == len(together) == STEPS
    assert alone[-1] < 0.9 * alone[0], "it learns, so that a wrong gradient would show"
    furthest = max(abs(a - b) for a, b in zip(alone, together, strict=True))
    print(f"\none: {[round(x, 4) for x in alone]}\ntwo: {[round(x, 4) for x in together]}\nfurthest: {furthest:.2e}")
    assert furthest < 1e-3
    checks = [[event for event in told[name] if event["event"] == "evaluated"] for name in (one, two)]
    for alone_then, together_then in zip(*checks, strict=True):
        assert together_then["loss"] == pytest.approx(alone_then["loss"], abs=1e-3)
        assert together_then["step"] == alone_then["step"]
    kinds = [[event["event"] for event in told[name] if event["event"] != "phase"] for name in (one, two)]
    assert kinds[0] == kinds[1], "one process alone speaks"
    assert [event["seq"] for event in told[two]] == list(range(len(told[two])))
    assert (home / two / "model" / "model.safetensors").is_file()


def test_a_stop_ends_both_and_both_go_on(home: Path) -> None:
    train_and_stop(home, command(home, "stopped", 100_000, 2), after=0)
    told = events(home, "stopped")
    assert told[-1]["event"] == "stopped" and "stopping" in [event["event"] for event in told]
    assert (home / "stopped" / "model" / "model.safetensors").is_file()
    (home / "stopped" / "stop").unlink()
    made = max(event["step"] for event in told if event["event"] == "log")
    train_and_stop(
        home, trainer_command(["finetune", "--run", str(home / "stopped"), "--resume", "--quiet"], 2), after=len(told)
    )
    more = events(home, "stopped")[len(told) :]
    assert next(event["step"] for event in more if event["event"] == "resumed") >= made
    steps = [event["step"] for event in more if event["event"] == "log"]
    assert steps[0] > made and steps == sorted(set(steps)) and more[-1]["event"] == "stopped"


def train_and_stop(home: Path, started: list[str], after: int) -> None:
    """Start it, wait for a point of the curve behind the first `after` events, stop it by the file."""
    process = subprocess.Popen(
        started, cwd=ROOT, env=environment(home),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not losses(events(home, "stopped")[after:]):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        (home / "stopped" / "stop").touch()
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output.decode()[-3000:]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
