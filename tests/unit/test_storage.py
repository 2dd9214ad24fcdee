"""Limits on what is kept: checkpoints go before anybody is refused, models never go by themselves."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.run_folder import write_run
from trainer.errors import UserError
from trainer.runs.events import EventLog
from trainer.runs.follower import forget, view_of
from trainer.runs.lifecycle import TIME, at_most, end_fields
from trainer.runs.process import has_ended, sole_trainer
from trainer.runs.run import LOCAL_OWNER, Run
from trainer.runs.storage import LEAST_FREE_BYTES, check_kept, drop_checkpoints, make_room, room_of
from trainer.settings import LAPTOP, SPACE, Settings
from trainer.speech.locales import LOCALES
from trainer.ui.wording import result_sentence

MODEL, CHECKPOINT = 40_000, 90_000


def with_files(run: Run) -> Run:
    (run.model / "model.safetensors").write_bytes(bytes(MODEL))
    (run.checkpoints / "checkpoint-10").mkdir(parents=True)
    (run.checkpoints / "checkpoint-10" / "optimizer.pt").write_bytes(bytes(CHECKPOINT))
    return run


def settings_with(data_dir: Path, disk_bytes: int) -> Settings:
    return Settings(data_dir=data_dir, limits=replace(LAPTOP, disk_bytes=disk_bytes))


def test_the_oldest_checkpoints_go_first_and_no_more_than_needed(tmp_path: Path) -> None:
    runs = sorted((with_files(write_run(tmp_path)) for _ in range(3)), key=lambda run: run.id)
    room = room_of(runs)
    assert room.models >= 3 * MODEL and room.checkpoints == 3 * CHECKPOINT and room.other > 0
    make_room(settings_with(tmp_path, room.total - CHECKPOINT + 1))
    assert [run.checkpoints.exists() for run in runs] == [False, True, True]
    assert all(run.has_model for run in runs)


def test_models_are_never_dropped_and_the_refusal_says_what_to_do(tmp_path: Path) -> None:
    run = with_files(write_run(tmp_path))
    with pytest.raises(UserError, match="and 1 kB is the most") as refused:
        make_room(settings_with(tmp_path, 1000))
    assert "Delete one" in refused.value.todo
    assert run.has_model and run.checkpoints.exists(), "dropped for nothing"


def test_checkpoints_of_a_run_that_goes_on_stay(tmp_path: Path) -> None:
    run = with_files(write_run(tmp_path, end="none"))
    with pytest.raises(UserError):
        make_room(settings_with(tmp_path, 1000))
    assert run.checkpoints.exists()


def test_a_visitor_of_a_space_keeps_so_many(tmp_path: Path) -> None:
    space = Settings(data_dir=tmp_path, on_space=True, limits=replace(SPACE, kept_runs_of_visitor=2))
    write_run(tmp_path)
    check_kept(space, LOCAL_OWNER)
    write_run(tmp_path)
    with pytest.raises(UserError, match="You keep 2 trainings"):
        check_kept(space, LOCAL_OWNER)
    check_kept(space, "somebody else")


def test_time_that_is_up_asks_to_stop_and_the_end_says_why(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with at_most(0, run):
        pass
    assert not run.stop_file.exists()
    with at_most(0.001 / 60, run):
        while not run.stop_file.exists():
            pass
    run.ask_to_stop("")  # the first reason stands
    assert run.stop_reason == TIME
    settings = Settings(data_dir=tmp_path, limits=replace(SPACE, minutes_a_run=120.0))
    assert "after 120 minutes" in end_fields(run, settings)["what"]


def test_limits_come_from_the_environment_and_differ_on_a_space() -> None:
    laptop, space = Settings.from_env({}), Settings.from_env({"SPACE_ID": "a/b"})
    assert (laptop.limits, space.limits) == (LAPTOP, SPACE)
    chosen = Settings.from_env({"SPACE_ID": "a/b", "VOICETUNE_MAX_RUNS": "2", "VOICETUNE_MAX_GB": "0.5"}).limits
    assert chosen == replace(SPACE, runs_of_visitor=2, disk_bytes=500_000_000)


def test_where_dropping_would_not_be_enough_nothing_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with 1 GB too little, and checkpoints of a few kilobytes."""
    run = with_files(write_run(tmp_path, end="stopped"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UserError, match="almost full"):
        make_room(settings_with(tmp_path, 0))
    assert (run.checkpoints / "checkpoint-10" / "optimizer.pt").is_file()


def test_a_full_disk_takes_the_oldest_checkpoints_that_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = sorted((with_files(write_run(tmp_path, end="stopped")) for _ in range(3)), key=lambda run: run.id)
    usage = shutil.disk_usage(tmp_path)
    lacking = CHECKPOINT + 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=LEAST_FREE_BYTES - lacking))
    make_room(settings_with(tmp_path, 0))
    assert [run.checkpoints.exists() for run in runs] == [False, False, True]


def test_a_page_no_longer_promises_to_go_on_from_what_was_dropped(tmp_path: Path) -> None:
    run = with_files(write_run(tmp_path, end="none"))
    log = EventLog(run.events)
    log.append("checkpoint", step=10)
    log.append("stopped")
    log.close()
    forget(run)
    before = view_of(run)
    assert "Resume goes on from step 10" in result_sentence(before, LOCALES["en-US"])
    make_room(settings_with(tmp_path, room_of([run]).total - CHECKPOINT + 1))
    assert not run.checkpoints.exists()
    view = view_of(run)
    assert (
        view.saved_step is None
        and view.state == "stopped"
        and "Resume goes on" not in result_sentence(view, LOCALES["en-US"])
    )
    assert (view.ended, view.last_event) == (before.ended, before.last_event)
    assert has_ended(run) and view.resumable  # from its start


def test_checkpoints_of_a_run_that_somebody_trains_stay_whatever_its_events_say(tmp_path: Path) -> None:
    run = with_files(write_run(tmp_path))
    with sole_trainer(run):
        drop_checkpoints(run)
    assert run.checkpoints.exists()
    drop_checkpoints(run)
    assert not run.checkpoints.exists()
