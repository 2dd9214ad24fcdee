"""What goes wrong is said in plain words with what to try, and the last good state is kept: a resume ends as if nothing
had been.
"""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.models import files_in
from tests.faults.fork_server import ForkServer
from tests.faults.lesson import (
    CHECKS,
    STEPS,
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
from trainer.models.ctc_model import open_checkpoint
from trainer.runs.run import Run
from trainer.training.recipe import Recipe


def _says_that_the_disk_is_full(run: Run, code: int, largest: int = -1) -> None:
    view = view_of(run)
    if code == 0:
        assert any("disk is full" in note for note in view.notes), view
    elif view.state == "failed":
        assert "disk is full" in view.what and "room" in view.todo and code == 1, (view, log_of(run))
    else:  # not even that could be written: whoever watches sees the disk (`process.cause_of`), and the shell says it
        printed = Path(f"{run.folder}.log")
        assert code == 1 and ("disk is full" in log_of(run) or printed.stat().st_size == largest)


# Each kind of file is cut: events, clips, the list of a checkpoint, its weights, its moments, a model.
SIZES = [700, 2_000, 3_000, 4_000, 6_000, 9_000, 12_000, 16_000, 24_000, 32_000, 48_000]
IN_CI = (2_000, 12_000, 48_000)


@pytest.mark.parametrize("size", [pytest.param(n, marks=() if n in IN_CI else pytest.mark.slow) for n in SIZES])
def test_no_file_may_grow_beyond(
    size: int, fork_server: ForkServer, lesson: Recipe, uninjured: Result, folder: Path
) -> None:
    run = new_run(folder, lesson, "run")
    answer = attempt(fork_server, run, {"largest_file": size})
    _says_that_the_disk_is_full(run, answer["code"], size)
    if answer["code"] != 0:
        finish(fork_server, run)
    assert result_of(run) == uninjured
    assert faults_of(run, uninjured)["lost"] == faults_of(run, uninjured)["doubled"] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that can be made smaller and larger with `_resize`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.name != "posix" or os.geteuid() != 0 or _mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)) != 0:
        pytest.skip("needs to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


def _resize(disk: Path, kilobytes: int) -> None:
    assert _mount("-o", f"remount,size={kilobytes}k", str(disk)) == 0


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_disk_that_is_full(
    rounds: int, fork_server: ForkServer, lesson: Recipe, uninjured: Result, small_disk: Path, seed: str
) -> None:
    rng = random.Random(seed)
    for number in range(rounds):
        _resize(small_disk, 4_000)
        run = new_run(small_disk, lesson, f"run{number}")
        _resize(small_disk, _used(small_disk) // 1024 + rng.randrange(8, 500))
        answer = attempt(fork_server, run, {})
        if answer["code"] == 0 and not view_of(run).notes:  # there was just enough room
            continue
        _says_that_the_disk_is_full(run, answer["code"])
        if run.has_model:
            open_checkpoint(files_in(run.model))
        _resize(small_disk, 4_000)
        if answer["code"] != 0:
            finish(fork_server, run)
        assert result_of(run) == uninjured
        assert faults_of(run, uninjured)["lost"] == faults_of(run, uninjured)["doubled"] == 0
        shutil.rmtree(run.folder)


def _used(disk: Path) -> int:
    room = os.statvfs(disk)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


@pytest.mark.parametrize("number", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_a_gpu_whose_memory_is_full_goes_on_with_half_the_batch(
    number: int, fork_server: ForkServer, lesson: Recipe, folder: Path
) -> None:
    run = new_run(folder, lesson, "run")
    assert attempt(fork_server, run, {"at": "forward", "number": number, "how": "GPU"})["code"] == 0, log_of(run)
    view = view_of(run)
    assert view.state == "finished" and any("half the batch" in note for note in view.notes)
    assert [point.step for point in view.losses] == list(range(1, STEPS + 1))
    assert [evaluation.step for evaluation in view.evaluations] == CHECKS


def test_a_gpu_that_is_too_small_is_named(fork_server: ForkServer, lesson: Recipe, folder: Path) -> None:
    run = new_run(folder, lesson, "run")
    assert attempt(fork_server, run, {"at": "forward", "number": 5, "how": "GPU", "always": True})["code"] == 1
    view = view_of(run)
    assert "not even for half the batch" in view.what and "smaller" in view.todo
    assert view.saved_step == 2 and view.resumable


def test_memory_that_is_full_is_named_and_the_run_goes_on_later(
    fork_server: ForkServer, lesson: Recipe, uninjured: Result, folder: Path
) -> None:
    run = new_run(folder, lesson, "run")
    assert attempt(fork_server, run, {"at": "forward", "number": 11, "how": "CPU"})["code"] == 1
    view = view_of(run)
    assert "memory" in view.what and "smaller batch" in view.todo and view.resumable
    finish(fork_server, run)
    assert +faults_of(run, uninjured) == {}
    assert len([event for event in events_of(run) if event["event"] == "failed"]) == 1
