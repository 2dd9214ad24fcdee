"""A run that was stopped or cut off and resumed is the same run: equal to the last bit, with one unbroken curve."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fork_server import ForkServer, Job
from tests.faults.lesson import (
    CHECKS,
    Result,
    attempt,
    events_of,
    faults_of,
    finish,
    log_of,
    new_run,
    result_of,
    save_front_lesson,
    save_frozen_lesson,
    view_of,
)
from trainer.runs.events import EventLog
from trainer.training.recipe import Recipe

# A step makes two forward passes, and a check listens to six clips, as does the test at the end; a save comes before
# every step.
POINTS: list[Job] = [
    {"at": "forward", "number": 1, "how": "TERM"},
    {"at": "forward", "number": 2, "how": "KILL"},
    {"at": "forward", "number": 4, "how": "TERM"},
    {"at": "forward", "number": 7, "how": "file"},
    {"at": "forward", "number": 10, "how": "TERM"},
    {"at": "forward", "number": 13, "how": "KILL"},
    {"at": "forward", "number": 18, "how": "TERM"},
    {"at": "step", "number": 1, "how": "TERM"},
    {"at": "step", "number": 4, "how": "KILL"},
    {"at": "step", "number": 5, "how": "file"},
    {"at": "step", "number": 8, "how": "TERM"},
    {"at": "clip", "number": 3, "how": "KILL"},
    {"at": "clip", "number": 9, "how": "TERM"},
    {"at": "clip", "number": 16, "how": "KILL"},
    {"at": "clip", "number": 23, "how": "TERM"},
    {"at": "clip", "number": 26, "how": "file"},
    {"at": "clip", "number": 29, "how": "KILL"},
    {"at": "save", "number": 1, "how": "TERM"},
    {"at": "save", "number": 6, "how": "KILL", "calls": 200},
    {"at": "model", "number": 1, "how": "TERM"},
    {"at": "model", "number": 2, "how": "KILL", "calls": 300},
    {"at": "prepared", "number": 5, "how": "KILL"},
]
SAMPLE = (2, 3, 12, 15, 20)  # in the middle of a step, in a check, in the test, and while a model is saved


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if n in SAMPLE else pytest.mark.slow) for n, point in enumerate(POINTS)]
)
def test_equal_to_the_last_bit(
    point: Job, fork_server: ForkServer, lesson: Recipe, uninjured: Result, folder: Path
) -> None:
    run = new_run(folder, lesson, "run")
    answer = attempt(fork_server, run, point)
    assert answer["code"] == (-9 if point["how"] == "KILL" else 130), log_of(run)
    if answer["code"] == 130 and (step := view_of(run).saved_step):
        told = [event for event in events_of(run) if event["event"] in ("stopping", "checkpoint", "stopped")][-3:]
        assert [event["event"] for event in told] == ["stopping", "checkpoint", "stopped"]
        assert told[0]["step"] == told[1]["step"] == step
    finish(fork_server, run)
    assert +faults_of(run, uninjured) == {}
    assert result_of(run) == uninjured


# Six clips are computed for the checks, then each copy when a batch draws it for the first time.
FROZEN_POINTS: list[Job] = [
    {"at": "frozen", "number": 4, "how": "KILL"},
    {"at": "frozen", "number": 9, "how": "TERM"},
    {"at": "frozen", "number": 17, "how": "file"},
    {"at": "forward", "number": 4, "how": "TERM"},
    {"at": "forward", "number": 8, "how": "KILL"},
    {"at": "forward", "number": 15, "how": "TERM"},
    {"at": "step", "number": 3, "how": "KILL"},
    {"at": "save", "number": 6, "how": "KILL", "calls": 200},
]
FROZEN_SAMPLE = (1, 4)


@pytest.fixture(scope="module")
def frozen_lesson(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return save_frozen_lesson(tmp_path_factory.mktemp("lesson"))


@pytest.fixture(scope="module")
def uninjured_frozen(
    fork_server: ForkServer, frozen_lesson: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    run = new_run(tmp_path_factory.mktemp("reference"), frozen_lesson, "run")
    finish(fork_server, run)
    return result_of(run)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=() if n in FROZEN_SAMPLE else pytest.mark.slow)
        for n, point in enumerate(FROZEN_POINTS)
    ],
)
def test_frozen_layers_compute_the_same_again(
    point: Job, fork_server: ForkServer, frozen_lesson: Recipe, uninjured_frozen: Result, folder: Path
) -> None:
    run = new_run(folder, frozen_lesson, "run")
    answer = attempt(fork_server, run, point)
    assert answer["code"] == (-9 if point["how"] == "KILL" else 130), log_of(run)
    finish(fork_server, run)
    assert +faults_of(run, uninjured_frozen) == {}
    assert result_of(run) == uninjured_frozen


FRONT_POINT: Job = {"at": "frozen", "number": 4, "how": "TERM"}  # a check hears the sound


@pytest.mark.parametrize(
    "point", [FRONT_POINT, *(pytest.param(point, marks=pytest.mark.slow) for point in FROZEN_POINTS[3:])]
)
def test_a_front_end_computes_the_same_again(
    point: Job, fork_server: ForkServer, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lesson = save_front_lesson(tmp_path_factory.mktemp("lesson"))
    whole = new_run(tmp_path_factory.mktemp("reference"), lesson, "run")
    finish(fork_server, whole)
    run = new_run(folder, lesson, "run")
    answer = attempt(fork_server, run, point)
    assert answer["code"] == (-9 if point["how"] == "KILL" else 130), log_of(run)
    finish(fork_server, run)
    assert +faults_of(run, result_of(whole)) == {}


def test_stopped_again_and_again(fork_server: ForkServer, lesson: Recipe, uninjured: Result, folder: Path) -> None:
    run = new_run(folder, lesson, "run")
    for number in (3, 2, 1, 3):
        assert attempt(fork_server, run, {"at": "forward", "number": number, "how": "TERM"})["code"] == 130
    finish(fork_server, run)
    assert +faults_of(run, uninjured) == {}
    assert len([event for event in events_of(run) if event["event"] == "resumed"]) == 4


@pytest.fixture
def stopped(fork_server: ForkServer, lesson: Recipe, folder: Path) -> Path:
    run = new_run(folder, lesson, "run")
    assert attempt(fork_server, run, {"at": "forward", "number": 9, "how": "TERM"})["code"] == 130
    return run.folder


def _refused(fork_server: ForkServer, folder: Path) -> str:
    from trainer.runs.run import Run

    assert attempt(fork_server, Run(folder), {})["code"] == 1
    view = view_of(Run(folder))
    assert view.state == "failed"
    return view.what


def test_another_recipe_is_refused(fork_server: ForkServer, stopped: Path) -> None:
    config = json.loads((stopped / "config.json").read_text())
    config["recipe"]["learning_rate"] *= 2
    (stopped / "config.json").write_text(json.dumps(config))
    assert "recipe was changed" in _refused(fork_server, stopped)


def test_other_clips_are_refused(fork_server: ForkServer, stopped: Path, lesson: Recipe) -> None:
    clips = Path(lesson.data) / "clips.tsv"
    before = clips.read_text()
    clips.write_text(before.replace("hello there", "hello where"))
    try:
        assert "clips are not the same" in _refused(fork_server, stopped)
    finally:
        clips.write_text(before)


def _change_what_was_saved(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    for state in folder.glob("checkpoints/*/state.json"):
        values = json.loads(state.read_text())
        change(values)
        state.write_text(json.dumps(values))
        _vouch_again(state, state.with_name("manifest.json"))


def test_other_versions_and_devices_are_told_and_go_on(
    fork_server: ForkServer, stopped: Path, uninjured: Result
) -> None:
    from trainer.runs.run import Run

    def saved_elsewhere(values: dict[str, Any]) -> None:
        values["origin"]["versions"] |= {"torch": "2.12.9", "soxr": "0.0.1"}
        values["origin"]["device"] = "cuda fp16"

    _change_what_was_saved(stopped, saved_elsewhere)
    finish(fork_server, Run(stopped))
    notes = " ".join(view_of(Run(stopped)).notes)
    assert "It began with torch 2.12.9, soxr 0.0.1 and goes on with torch " in notes and "last digits" in notes
    assert "It began on cuda fp16 and goes on on cpu fp32" in notes
    assert result_of(Run(stopped)) == uninjured, "in truth nothing had changed"


def test_what_does_not_fit_the_libraries_any_more_is_refused(fork_server: ForkServer, stopped: Path) -> None:
    def in_another_form(values: dict[str, Any]) -> None:
        values["generators"]["numpy"]["bit_generator"] = "Mersenne's successor"

    _change_what_was_saved(stopped, in_another_form)
    assert "does not fit the libraries" in _refused(fork_server, stopped)


def _vouch_again(file: Path, manifest: Path) -> None:
    import hashlib

    listed = json.loads(manifest.read_text())
    listed[file.name] = [file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()]
    manifest.write_text(json.dumps(listed))


def test_one_flipped_byte_costs_a_step_and_two_the_resume(
    fork_server: ForkServer, stopped: Path, uninjured: Result
) -> None:
    from trainer.runs.run import Run

    newest, _ = sorted(stopped.glob("checkpoints/step-*/model.safetensors"), reverse=True)
    _flip(newest)
    assert attempt(fork_server, Run(stopped), {"at": "step", "number": 1, "how": "KILL"})["code"] == -9
    resumed = [event for event in events_of(Run(stopped)) if event["event"] == "resumed"]
    assert resumed[-1]["step"] == 3  # 4 was the newest
    for file in stopped.glob("checkpoints/step-*/model.safetensors"):
        _flip(file)
    assert "damaged" in _refused(fork_server, stopped)
    assert (stopped / "model" / "config.json").exists()


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_a_finished_run_and_one_that_goes_on_are_refused(fork_server: ForkServer, lesson: Recipe, folder: Path) -> None:
    run = new_run(folder, lesson, "run")
    finish(fork_server, run)
    assert attempt(fork_server, run, {})["code"] == 1
    assert "finished" in log_of(run) and view_of(run).state == "finished"
    going = new_run(folder, lesson, "going")
    from trainer.runs.process import own_identity

    log = EventLog(going.events)
    log.append("started", max_steps=9, **own_identity())
    assert attempt(fork_server, going, {})["code"] == 1
    assert "still going on" in log_of(going)


def test_a_torn_line_is_no_end(fork_server: ForkServer, stopped: Path, uninjured: Result) -> None:
    from trainer.runs.run import Run

    run = Run(stopped)
    with run.events.open("ab") as file:
        file.write(b'{"seq": 99, "time": "2026-11-')
    finish(fork_server, run)
    assert +faults_of(run, uninjured) == {}
    assert [evaluation.step for evaluation in view_of(run).evaluations] == CHECKS
