"""A run that was stopped or cut off and resumed is the same run: equal to the last bit, with one unbroken curve."""

import json
from pathlib import Path

import pytest

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
    view_of,
)
from tests.faults.nursery import Job, Nursery
from trainer.runs.events import EventLog
from trainer.training.recipe import Recipe

# A step makes two forward passes, and a check listens to six clips; a save comes before every step.
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
    {"at": "save", "number": 1, "how": "TERM"},
    {"at": "save", "number": 6, "how": "KILL", "calls": 200},
    {"at": "model", "number": 1, "how": "TERM"},
    {"at": "model", "number": 2, "how": "KILL", "calls": 300},
    {"at": "prepared", "number": 5, "how": "KILL"},
]
SAMPLE = (2, 3, 12, 14, 18)  # in the middle of a step, in checks, the last of them too, and while a model is saved


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if n in SAMPLE else pytest.mark.slow) for n, point in enumerate(POINTS)]
)
def test_equal_to_the_last_bit(point: Job, nursery: Nursery, lesson: Recipe, uninjured: Result, folder: Path) -> None:
    run = new_run(folder, lesson, "run")
    answer = attempt(nursery, run, point)
    assert answer["code"] == (-9 if point["how"] == "KILL" else 130), log_of(run)
    if answer["code"] == 130 and (step := view_of(run).saved_step):
        told = [event for event in events_of(run) if event["event"] in ("stopping", "checkpoint", "stopped")][-3:]
        assert [event["event"] for event in told] == ["stopping", "checkpoint", "stopped"]
        assert told[0]["step"] == told[1]["step"] == step
    finish(nursery, run)
    assert +faults_of(run, uninjured) == {}
    assert result_of(run) == uninjured


def test_stopped_again_and_again(nursery: Nursery, lesson: Recipe, uninjured: Result, folder: Path) -> None:
    run = new_run(folder, lesson, "run")
    for number in (3, 2, 1, 3):
        assert attempt(nursery, run, {"at": "forward", "number": number, "how": "TERM"})["code"] == 130
    finish(nursery, run)
    assert +faults_of(run, uninjured) == {}
    assert len([event for event in events_of(run) if event["event"] == "resumed"]) == 4


@pytest.fixture
def stopped(nursery: Nursery, lesson: Recipe, folder: Path) -> Path:
    run = new_run(folder, lesson, "run")
    assert attempt(nursery, run, {"at": "forward", "number": 9, "how": "TERM"})["code"] == 130
    return run.folder


def _refused(nursery: Nursery, folder: Path) -> str:
    from trainer.runs.run import Run

    assert attempt(nursery, Run(folder), {})["code"] == 1
    view = view_of(Run(folder))
    assert view.state == "failed"
    return view.what


def test_another_recipe_is_refused(nursery: Nursery, stopped: Path) -> None:
    config = json.loads((stopped / "config.json").read_text())
    config["recipe"]["learning_rate"] *= 2
    (stopped / "config.json").write_text(json.dumps(config))
    assert "recipe was changed" in _refused(nursery, stopped)


def test_other_clips_and_other_versions_are_refused(nursery: Nursery, stopped: Path, lesson: Recipe) -> None:
    clips = Path(lesson.data) / "clips.tsv"
    before = clips.read_text()
    clips.write_text(before.replace("hello there", "hello where"))
    try:
        assert "clips are not the same" in _refused(nursery, stopped)
    finally:
        clips.write_text(before)
    for state in stopped.glob("checkpoints/*/state.json"):
        values = json.loads(state.read_text())
        values["origin"]["versions"]["torch"] = "1.0"
        state.write_text(json.dumps(values))
        manifest = state.with_name("manifest.json")
        _vouch_again(state, manifest)
    assert "torch 1.0" in _refused(nursery, stopped)


def _vouch_again(file: Path, manifest: Path) -> None:
    import hashlib

    listed = json.loads(manifest.read_text())
    listed[file.name] = [file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()]
    manifest.write_text(json.dumps(listed))


def test_one_flipped_byte_costs_a_step_and_two_the_resume(nursery: Nursery, stopped: Path, uninjured: Result) -> None:
    from trainer.runs.run import Run

    newest, _ = sorted(stopped.glob("checkpoints/step-*/model.safetensors"), reverse=True)
    _flip(newest)
    assert attempt(nursery, Run(stopped), {"at": "step", "number": 1, "how": "KILL"})["code"] == -9
    resumed = [event for event in events_of(Run(stopped)) if event["event"] == "resumed"]
    assert resumed[-1]["step"] == 3  # 4 was the newest
    for file in stopped.glob("checkpoints/step-*/model.safetensors"):
        _flip(file)
    assert "damaged" in _refused(nursery, stopped)
    assert (stopped / "model" / "config.json").exists()


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_a_finished_run_and_one_that_goes_on_are_refused(nursery: Nursery, lesson: Recipe, folder: Path) -> None:
    run = new_run(folder, lesson, "run")
    finish(nursery, run)
    assert attempt(nursery, run, {})["code"] == 1
    assert "finished" in log_of(run) and view_of(run).state == "finished"
    going = new_run(folder, lesson, "going")
    from trainer.runs.identity import own_identity

    log = EventLog(going.events)
    log.append("started", max_steps=9, **own_identity())
    assert attempt(nursery, going, {})["code"] == 1
    assert "still going on" in log_of(going)


def test_a_torn_line_is_no_end(nursery: Nursery, stopped: Path, uninjured: Result) -> None:
    from trainer.runs.run import Run

    run = Run(stopped)
    with run.events.open("ab") as file:
        file.write(b'{"seq": 99, "time": "2026-11-')
    finish(nursery, run)
    assert +faults_of(run, uninjured) == {}
    assert [evaluation.step for evaluation in view_of(run).evaluations] == CHECKS
