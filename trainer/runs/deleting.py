"""Deleting a run: out of every list at once, then off the disk."""

import contextlib
import shutil
from pathlib import Path

from trainer.errors import UserError
from trainer.runs.following import forget, view_of
from trainer.runs.run import Run

DELETED = ".deleted"  # what a folder is called while it goes; no list has it under this name


def delete_run(run: Run) -> None:
    """Remove a run with its model and its events. Raises UserError while it is still going on."""
    if not view_of(run).over:
        raise UserError("This training is still going on.", "Stop it first; then it can be deleted.")
    going = run.folder.with_name(run.folder.name + DELETED)
    run.folder.rename(going)
    forget(run)
    shutil.rmtree(going)


def sweep(runs_dir: Path) -> None:
    """Finish what a crash cut short."""
    for folder in (*runs_dir.glob(f"*{DELETED}"), *runs_dir.glob(f"*/*{DELETED}")):
        shutil.rmtree(folder, ignore_errors=True)  # another process may be at it


def drop_checkpoints(run: Run) -> int:
    """Remove what a run that is over could be resumed from, but not its model. Returns the bytes that came free."""
    size = size_of_folder(run.checkpoints)
    if size:
        going = run.checkpoints.with_name(run.checkpoints.name + DELETED)
        run.checkpoints.rename(going)
        shutil.rmtree(going)
    return size


def size_of(run: Run) -> int:
    """Bytes that a run takes on the disk."""
    return size_of_folder(run.folder)


def size_of_folder(folder: Path) -> int:
    """Bytes of all files in a folder; 0 where there is none. Those that go meanwhile are not counted."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            size += path.lstat().st_size if path.is_file() else 0
    return size
