"""A real, small fine-tune through the page: start, watch, reload, talk to it, stop it, lose it."""

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.app.accessibility import accessibility_faults
from tests.app.conftest import Visit, shoot
from tests.app.serving import App
from trainer.runs.events import EventReader
from trainer.runs.process import alive
from trainer.runs.run import list_runs
from trainer.ui.recordings import SECONDS_UNTIL_GONE

# Loading torch and the first check take 10 s on an idle machine, and much longer on one that does other things too.
PATIENCE_MS = 180_000

CURVE = "document.querySelector('#losses path.train')?.getAttribute('d')"

pytestmark = pytest.mark.timeout(600)


def start(page: Page, steps: int, clips: int = 12) -> None:
    """A small run: few clips, small batches."""
    page.get_by_role("button", name="Advanced").click()
    for label, value in (("Steps", steps), ("Clips to use", clips), ("Batch", 8), ("Warm-up", 2)):
        page.get_by_label(re.compile(f"^{label}")).fill(str(value))
    page.get_by_role("button", name="Advanced").click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#status .bar")).to_be_visible()


def newest_events(app: App) -> list[dict[str, Any]]:
    runs = list_runs(app.data / "runs")
    return EventReader(runs[0].events).read_new() if runs else []


def trainer_pid(app: App) -> int:
    return int(next(event["pid"] for event in newest_events(app) if event["event"] == "started"))


def wait_for_training(page: Page) -> None:
    expect(page.locator("#status")).to_contain_text("Training", timeout=PATIENCE_MS)
    page.wait_for_function(
        "document.querySelector('#losses path.train')?.getAttribute('d')?.includes('L')", timeout=PATIENCE_MS
    )


@pytest.mark.parametrize("width", [pytest.param(1280, id="desktop"), pytest.param(390, id="phone")])
def test_a_run_from_start_to_talking_with_it(app: App, visit: Visit, width: int) -> None:
    visitor = visit(width, tolerate="AbortError|errored out")  # the reload cuts a request short
    page = visitor.open(app.url)
    start(page, steps=80)
    expect(page.locator("#status .bar")).to_be_visible()
    wait_for_training(page)
    first = page.evaluate(CURVE)
    page.wait_for_function(f"(before) => {CURVE} !== before", arg=first)
    page.wait_for_function(
        "document.querySelectorAll('#rates .mark.first').length >= 2 && !document.querySelector('.example')",
        timeout=PATIENCE_MS,
    )
    expect(page.locator("#rates .baseline")).to_have_count(1)  # a flat line counts as hidden
    expect(page.locator("#learning tbody tr").first).to_be_visible()
    expect(page).to_have_title(re.compile("^[1-9][0-9]* % · Voicetune$"))
    shoot(page, f"training-{width}")

    page.reload()
    expect(page.locator("#status [data-say]")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=PATIENCE_MS)
    expect(page).to_have_title("Voicetune")
    expect(page.locator("#status .result")).to_contain_text(re.compile("^Word errors"))
    assert accessibility_faults(page) == []
    shoot(page, f"finished-{width}")
    page.get_by_text("What did it learn?").click()
    expect(page.locator("#learnt tbody tr").first).to_be_visible()
    assert accessibility_faults(page) == []
    shoot(page, f"learnt-{width}")

    page.get_by_role("button", name="Talk to your model").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("Your newest model"))
    stop = page.locator("#microphone .stop-button:visible")
    stop.wait_for()
    page.wait_for_timeout(4000)
    stop.click()
    expect(page.locator("#result .transcript-details")).to_contain_text("of sound", timeout=PATIENCE_MS)
    shoot(page, f"talked-{width}")
    page.get_by_role("button", name="Forget it now").click()
    page.wait_for_timeout(1000 * (SECONDS_UNTIL_GONE + 1))
    uploads = list((app.data.parent / "tmp").rglob("*.wav"))
    assert uploads == [], "recordings must be gone once they are forgotten"


def test_stop_ends_within_seconds_and_keeps_what_it_learnt(app: App, page: Page) -> None:
    start(page, steps=900)
    wait_for_training(page)
    page.get_by_role("button", name="Stop and keep what it learnt").click()
    asked = time.monotonic()
    expect(page.locator("#status")).to_contain_text(re.compile("Stopp"), timeout=5000)
    expect(page.locator("#status .result")).to_contain_text(
        re.compile(r"Stopped after \d+ of 900 steps"), timeout=40_000
    )
    assert time.monotonic() - asked < 40
    expect(page.get_by_role("button", name="Talk to your model")).to_be_enabled()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    shoot(page, "stopped-1280")


def test_a_download_opens_as_a_zip_with_the_model(app: App, page: Page, tmp_path: Path) -> None:
    import zipfile

    expect(page.get_by_role("button", name="Download", exact=True)).to_be_enabled()
    with page.expect_download(timeout=150_000) as waiting:  # an ONNX file is written first
        page.get_by_role("button", name="Download", exact=True).click()
    waiting.value.save_as(tmp_path / "model.zip")
    names = zipfile.ZipFile(tmp_path / "model.zip").namelist()
    assert any(name.endswith("/config.json") for name in names)
    assert any(name.endswith(".safetensors") for name in names)
    assert any(name.endswith("/onnx/model.onnx") for name in names)


def test_fine_tune_again_brings_the_fields_back(app: App, page: Page) -> None:
    page.get_by_role("button", name="Fine-tune again").click()
    page.get_by_role("button", name="Advanced").click()
    expect(page.get_by_label(re.compile("^Clips to use"))).to_have_value("12")


def test_a_run_outlives_its_tab_and_its_death_is_told(app: App, visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(app.url)
    start(page, steps=900)
    wait_for_training(page)
    page.close()
    pid, before = trainer_pid(app), len(newest_events(app))
    deadline = time.monotonic() + 30
    while len(newest_events(app)) == before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert len(newest_events(app)) > before, "closing the tab must not stop the training"

    page = visitor.open(app.url)
    expect(page.locator("#status")).to_contain_text("Training")
    started = next(event["pid_started"] for event in newest_events(app) if event["event"] == "started")
    assert alive(pid, started)
    os.kill(pid, signal.SIGKILL)
    expect(page.locator("#status")).to_contain_text("Interrupted", timeout=8000)
    expect(page.locator("#status .result")).to_contain_text("The system ended the training")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    shoot(page, "interrupted-1280")


def test_earlier_runs_can_be_looked_at(app: App, page: Page) -> None:
    chosen = page.get_by_label("Earlier runs")
    now = chosen.input_value()
    chosen.click()
    page.get_by_role("option").last.click()
    expect(chosen).not_to_have_value(now)
    expect(page.locator("#status")).to_contain_text("Finished")
