"""What is shared besides a model's page: the files that are named, the events, and the picture of the curves."""

import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from tests.fakes.run_folder import write_run
from tests.fakes.sharable import sharable_run
from trainer.errors import UserError
from trainer.publishing.options import PublishOptions
from trainer.publishing.plots import picture
from trainer.publishing.publish import ModelFile, parts_of
from trainer.publishing.run_report import facts_of, published
from trainer.runs.events import EventReader
from trainer.runs.follower import view_of
from trainer.runs.run import Run
from trainer.runs.view import RunView
from trainer.speech.locales import LOCALES

HOME = "https://huggingface.co"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sharable_run(tmp_path_factory.mktemp("data"))


def pixels(png: bytes) -> Any:
    """Height x width x 3, 0 to 255."""
    return (imread(io.BytesIO(png))[..., :3] * 255).round().astype(int)


def test_named_files_alone_are_published(run: Run) -> None:
    (run.model / "evil.py").write_text("1/0")
    parts = parts_of(run, PublishOptions("x"), "anna/x", HOME, b"PNG")
    assert [part.name for part in parts] == [
        *("README.md", "curves.png", "training.jsonl", "example.wav", "config.json", "processor_config.json"),
        *("vocab.json", "tokenizer_config.json", "model.safetensors"),
    ]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    run = sharable_run(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (run.model / "added_tokens.json").symlink_to(tmp_path / "secret")
    assert "added_tokens.json" not in {part.name for part in parts_of(run, PublishOptions("x"), "anna/x", HOME, b"")}


def test_published_events_keep_the_curves_and_lose_the_process(run: Run) -> None:
    events = EventReader(run.events).read_new()
    lines = [
        json.loads(line) for line in published([*events, {**events[0], "event": "novel", "path": "/x"}]).splitlines()
    ]
    assert len(lines) == len(events)
    kinds = {line["event"] for line in lines}
    assert {"started", "log", "evaluated", "data", "finished"} <= kinds and "novel" not in kinds
    assert not any("pid" in line for line in lines)
    original = [event["loss"] for event in events if event["event"] == "log"]
    assert [line["loss"] for line in lines if line["event"] == "log"] == original


def test_a_run_without_weights_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model"):
        facts_of(write_run(tmp_path))


def test_the_picture_shows_both_curves_in_their_colours(run: Run) -> None:
    image = pixels(picture(view_of(run), LOCALES["en-US"]))
    height, width, _ = image.shape
    assert (width, height) == (1500, 560) and (image[0, 0] == 255).all()
    for half in (image[:, : width // 2], image[:, width // 2 :]):
        for colour, least in (((0, 114, 178), 600), ((179, 89, 0), 300), ((71, 85, 105), 200)):  # lines; figures
            assert (abs(half - colour).max(axis=-1) < 24).sum() > least, colour


def test_the_picture_follows_the_run(run: Run) -> None:
    """The baseline lies at its value, and a rate above 100 % on the upper edge."""

    def row_of_baseline(wer: float) -> int:
        view = view_of(run)
        checks = [replace(check, wer=wer if check.step == 0 else 0.1, cer=0.1) for check in view.evaluations]
        image = pixels(picture(replace(view, evaluations=checks, best_step=None), LOCALES["en-US"]))
        dashes = (abs(image[:450, 150:700] - (71, 85, 105)).max(axis=-1) < 24).sum(axis=1)
        return int(dashes.argmax())

    assert row_of_baseline(1.0) < row_of_baseline(0.5) < row_of_baseline(0.3)
    assert row_of_baseline(1.7) == row_of_baseline(1.0)


def test_pictures_are_drawn_in_threads_and_leave_nothing_behind(run: Run) -> None:
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: picture(view_of(run), LOCALES["en-US"]), range(8)))
    assert len(set(drawn)) == 1


def test_the_page_starts_without_what_draws_pictures() -> None:
    code = "import sys, trainer.ui.page\nassert 'matplotlib' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-1000:]


@pytest.mark.parametrize("code", LOCALES)
def test_a_run_without_any_figure_has_a_picture_too(code: str) -> None:
    assert picture(RunView(), LOCALES[code]).startswith(b"\x89PNG")


def test_sizes_are_those_of_the_files(run: Run) -> None:
    file = run.model / "model.safetensors"
    assert ModelFile("a", file).size == file.stat().st_size and ModelFile("b", b"four").size == 4
