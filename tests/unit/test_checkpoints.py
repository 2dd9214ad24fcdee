"""Which checkpoint is trusted after a crash, a full disk or a flipped bit."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.errors import is_disk_full
from trainer.training.checkpoints import (
    MANIFEST,
    SavePace,
    drop_after,
    newest_whole,
    prune,
    recover_model,
    save_step,
    saved_steps,
)


def write(folder: Path) -> None:
    (folder / "state.pt").write_bytes(b"weights" * 1000)
    (folder / "rng").mkdir()
    (folder / "rng" / "numpy.json").write_text("[1, 2]")


def test_the_last_two_are_kept_and_the_newest_is_chosen(tmp_path: Path) -> None:
    assert newest_whole(tmp_path / "none") is None
    for step in (80, 90, 1000):
        assert save_step(tmp_path, step, write).step == step
    assert [saved.step for saved in saved_steps(tmp_path)] == [1000, 90]
    newest = newest_whole(tmp_path)
    assert newest is not None and newest.step == 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000090", "step-000001000"]


@pytest.mark.parametrize("name", ["state.pt", "rng/numpy.json", MANIFEST])
@pytest.mark.parametrize("fault", ["flipped", "torn", "gone"])
def test_a_broken_checkpoint_is_passed_over(tmp_path: Path, name: str, fault: str) -> None:
    save_step(tmp_path, 1, write)
    file = save_step(tmp_path, 2, write).folder / name
    data = file.read_bytes()
    if fault == "flipped":
        middle = len(data) // 2
        file.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif fault == "torn":
        file.write_bytes(data[:-1])
    else:
        file.unlink()
    newest = newest_whole(tmp_path)
    assert newest is not None and newest.step == 1


def test_a_full_disk_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    save_step(tmp_path, 1, write)

    def write_too_much(folder: Path) -> None:
        write(folder)
        raise OSError(errno.ENOSPC, "no space left")

    with pytest.raises(OSError, match="no space"):
        save_step(tmp_path, 2, write_too_much)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]


def test_a_folder_without_manifest_never_counts_and_goes(tmp_path: Path) -> None:
    save_step(tmp_path, 1, write)
    for name in ("step-000000009", "step-000000010.part"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    assert [saved.step for saved in saved_steps(tmp_path)] == [1]
    prune(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    save_step(tmp_path, 1, write)

    def write_other(folder: Path) -> None:
        (folder / "other").write_text("x")

    again = save_step(tmp_path, 1, write_other)
    assert again.is_whole() and not (again.folder / "state.pt").exists()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _losses_and_share(step: float, cost: float, hours: float = 2) -> tuple[float, float]:
    """The most that a crash can cost in seconds, and the share of the time that saving takes."""
    clock = Clock()
    pace = SavePace(clock)
    most = saving = saved_at = 0.0
    while clock.now < hours * 3600:
        clock.now += step
        most = max(most, clock.now - saved_at)
        if pace.due():
            since = clock.now
            clock.now += cost
            most, saving, saved_at = max(most, clock.now - saved_at), saving + cost, since
            pace.saved(cost)
    return most, saving / clock.now


@pytest.mark.parametrize(("step", "cost"), [(0.05, 0.2), (0.4, 2.0), (20.0, 10.0), (1.0, 11.0)])
def test_saves_cost_little_and_lose_little(step: float, cost: float) -> None:
    most, share = _losses_and_share(step, cost)
    assert most <= 300 and share < 0.05


def test_a_save_that_takes_long_is_still_made_within_five_minutes() -> None:
    most, share = _losses_and_share(5.0, 40.0)
    assert most <= 300 and share < 0.19


def test_the_model_that_was_being_replaced_comes_back(tmp_path: Path) -> None:
    (tmp_path / "model.old").mkdir()
    recover_model(tmp_path / "model")
    recover_model(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_later_steps_go_where_an_earlier_one_is_gone_on_from(tmp_path: Path) -> None:
    for step in (8, 9):
        save_step(tmp_path, step, write)
    drop_after(tmp_path, 8)
    assert [saved.step for saved in saved_steps(tmp_path)] == [8]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EFBIG, "File too large"), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("I/O error: Permission denied (os error 13)"), False),
    ],
)
def test_a_full_disk_is_known_however_it_is_said(error: Exception, full: bool) -> None:
    assert is_disk_full(error) is full


_SAVER = """
import sys; from pathlib import Path; from trainer.training.checkpoints import save_step
def write(folder):
    for number in range(20): (folder / str(number)).write_bytes(bytes([step % 256]) * 50_000)
step = 0
while True:
    step += 1; save_step(Path(sys.argv[1]), step, write); print(step, flush=True)
"""


def test_killed_at_any_moment_the_last_one_told_can_be_trusted(tmp_path: Path) -> None:
    """Real processes, kill -9; what a process has said it saved must be there, whole."""
    for round_ in range(10):
        folder = tmp_path / str(round_)
        command = [sys.executable, "-c", _SAVER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd(), env=os.environ) as saver:
            assert saver.stdout is not None
            saver.stdout.readline()
            time.sleep(0.013 * round_)
            saver.kill()
            told = [1, *map(int, saver.stdout.read().split())][-1]
        newest = newest_whole(folder)
        assert newest is not None and newest.step in (told, told + 1)
        assert {path.read_bytes()[:1] for path in newest.folder.glob("[0-9]*")} == {bytes([newest.step % 256])}
