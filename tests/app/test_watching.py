"""Watching runs that are only played: what is sent and when, hostile transcripts, other languages, other visitors."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, Response, expect

from tests.app.accessibility import accessibility_faults
from tests.app.conftest import Visit, shoot
from tests.app.serving import PROJECT, App, start_app
from tests.fakes.run_folder import write_run
from trainer.runs.events import EventLog
from trainer.runs.process import has_ended, identity_of
from trainer.runs.run import LOCAL_OWNER, Run, create_run, list_runs, new_run_folder
from trainer.training.recipe import preset_of
from trainer.ui.recordings import how_long_kept
from trainer.ui.visitors import COOKIE

pytestmark = pytest.mark.timeout(300)


def play_run(data: Path, seconds: float) -> "subprocess.Popen[bytes]":
    """A trainer's stand-in, in a process of its own."""
    command = [sys.executable, "-m", "tests.fakes.run_folder", str(data), "--seconds", str(seconds)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)


@pytest.fixture
def playing(app: App) -> Iterator["subprocess.Popen[bytes]"]:
    """A run that takes half a minute."""
    before = len(list_runs(app.data / "runs"))
    process = play_run(app.data, 30)
    while len(list_runs(app.data / "runs")) == before:
        assert process.poll() is None
    yield process
    process.kill()
    process.wait()


def polls_of(page: Page) -> list[Response]:
    """The answers to ticks, as they come in."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if "/run/" in answer.url else None)
    return answers


def test_a_running_clock_needs_no_message_and_a_finished_page_asks_for_nothing(
    app: App, playing: "subprocess.Popen[bytes]", page: Page
) -> None:
    clock = page.locator("[data-elapsed]")
    before = clock.inner_text()
    expect(clock).not_to_have_text(before, timeout=4000)
    answers = polls_of(page)
    expect(page.locator("#status")).to_contain_text("Finished", timeout=60_000)
    sizes = sorted(len(answer.body()) for answer in answers)
    assert sizes[len(sizes) // 2] < 6_000, "a step changes the status and the loss curve"
    assert sizes[-2] < 25_000, "the sounds of the clips are sent once"
    page.wait_for_timeout(3000)  # what was asked before is answered by then
    answers.clear()
    page.wait_for_timeout(3500)
    assert answers == [], "nothing goes on, so nothing is asked"
    expect(page.locator("#status .result")).to_have_text(
        re.compile(r"^Word errors fell from 100 % to 26 % in .+ s, on the 34 clips kept aside for the end\.$")
    )


def test_a_killed_trainer_is_told_within_seconds(app: App, playing: "subprocess.Popen[bytes]", page: Page) -> None:
    expect(page.locator("#status")).to_contain_text("Training", timeout=15_000)
    playing.kill()
    playing.wait()
    expect(page.locator("#status")).to_contain_text("Interrupted", timeout=6000)
    spoken = page.locator(".only-spoken[role=status][aria-live=polite]")
    expect(spoken).to_contain_text("Interrupted")


def test_a_restarted_app_is_found_again(browser: Browser, tmp_path: Path) -> None:
    first = start_app(tmp_path)
    process = play_run(first.data, 60)
    try:
        page = browser.new_page(locale="en-US")
        page.goto(first.url)
        page.locator("#status .bar").wait_for()
        first.stop()
        second = start_app(tmp_path, port=int(first.url.rstrip("/").rsplit(":", 1)[1]))
        try:
            expect(page.locator("#status .bar")).to_be_visible(timeout=20_000)
            before = page.locator("#status").inner_text()
            expect(page.locator("#status")).not_to_have_text(before, timeout=20_000)
        finally:
            second.stop()
    finally:
        process.kill()
        process.wait()


def test_hostile_transcripts_stay_text(app: App, visit: Visit) -> None:
    run = write_run(app.data, end="none")
    evil = '<img src=x onerror="window.hacked=1"> ${alert(1)} {{x}} `</table><script>window.hacked=1</script>'
    log = EventLog(run.events)
    log.append(
        "evaluated", step=300, loss=0.5, wer=0.2, cer=0.1,
        guesses=[{"clip": 0, "reference": evil, "hypothesis": evil.replace("alert", "confirm")}],
    )  # fmt: skip
    log.append("failed", what=f"This {evil} happened.", todo=f"Try {evil}.")
    log.close()
    page = visit().open(app.url)
    expect(page.locator("#learning .said")).to_have_text(evil)
    expect(page.locator("#status .result")).to_contain_text(evil)
    assert page.evaluate("window.hacked") is None
    assert page.locator("#learning img, #status img").count() == 0


@pytest.fixture
def going(app: App) -> Iterator[Run]:
    """A run that belongs to this process, so that it counts as going on; ended at the latest with the test."""
    run = write_run(app.data, end="none", steps=200)
    yield run
    if not has_ended(run):
        end(run)


def end(run: Run) -> None:
    log = EventLog(run.events)
    log.append("failed", what="The computer ran out of memory.", todo="Choose a smaller batch under Advanced.")
    log.close()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_run_in_full_can_be_read(app: App, going: Run, visit: Visit, width: int, dark: bool) -> None:
    page = visit(width, dark).open(app.url)
    expect(page.locator("#learning tbody tr")).to_have_count(5)
    page.wait_for_timeout(500)  # buttons fade
    assert accessibility_faults(page) == []
    end(going)
    expect(page.locator("#status")).to_contain_text("It did not work")
    expect(page.locator("#status")).to_contain_text("Choose a smaller batch")
    page.wait_for_timeout(500)
    assert accessibility_faults(page) == []
    shoot(page, f"failed-{width}-{'dark' if dark else 'light'}")


def test_chinese_is_measured_in_characters(app: App, visit: Visit) -> None:
    write_run(app.data, locale="zh-CN")
    page = visit().open(app.url)
    expect(page.locator("#status .result")).to_contain_text(re.compile(r"^Character errors fell from \d+ % to 11 % in"))
    expect(page.locator("#rates figcaption")).to_have_text("Character errors on new clips")
    shoot(page, "chinese-1280")


@pytest.fixture
def queued(app: App) -> Iterator[Run]:
    """A run that waits in second place. Its trainer is only asleep, but can be stopped like one."""
    recipe = preset_of("quick").recipe.change(locale="de-DE")
    run = create_run(new_run_folder(app.data / "runs", "de-DE"), recipe)
    with subprocess.Popen(["sleep", "300"]) as sleeper:
        log = EventLog(run.events)
        log.append("queued", **identity_of(psutil.Process(sleeper.pid)))
        log.append("place", place=2)
        log.close()
        yield run
        sleeper.kill()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_run_that_waits_says_its_place(app: App, queued: Run, visit: Visit, width: int, dark: bool) -> None:
    page = visit(width, dark).open(app.url)
    expect(page.locator("#status")).to_contain_text("Waiting in line · place 2")
    assert accessibility_faults(page) == []
    shoot(page, f"waiting-{width}-{'dark' if dark else 'light'}")
    page.get_by_role("button", name="Leave the line").click()
    expect(page.locator("#status")).to_contain_text("Stopping", timeout=4000)
    expect(page.locator("#status .result")).to_contain_text("It did not end by itself", timeout=30_000)


def test_visitors_of_a_space_see_their_own_runs_alone(browser: Browser, tmp_path: Path) -> None:
    """A run of somebody else is neither shown at first nor handed out by its name."""
    app = start_app(tmp_path, SPACE_ID="someone/voicetune", VOICETUNE_DATA=str(tmp_path / "data"))
    try:
        foreign = write_run(app.data)
        config = json.loads((foreign.folder / "config.json").read_text())
        (foreign.folder / "config.json").write_text(json.dumps({**config, "owner": "somebody else"}))
        assert config["owner"] == LOCAL_OWNER
        context = browser.new_context(locale="en-US")
        page = context.new_page()
        page.goto(app.url)
        expect(page.locator("#status")).to_contain_text("Nothing here yet.")
        expect(page.get_by_role("radio", name="My own folder")).to_have_count(0)
        expect(page.locator("#banner")).to_contain_text("forgets its models when it restarts")
        first = context.cookies()
        assert [cookie["name"] for cookie in first] == [COOKIE] and first[0]["httpOnly"]
        page.reload()
        assert [cookie["value"] for cookie in context.cookies()] == [first[0]["value"]]
        assert COOKIE not in page.evaluate("document.cookie") and page.evaluate("localStorage.length") == 0
        expect(page.get_by_role("button", name="Play:").first).to_be_visible()
        page.wait_for_timeout(1000)
        expect(page.locator("#status")).to_contain_text("Nothing here yet.")
        page.get_by_role("tab", name="Transcribe").click()
        expect(page.get_by_text(how_long_kept(on_space=True))).to_be_visible()
    finally:
        app.stop()
