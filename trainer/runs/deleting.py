"""Deleting a run: out of every list at once, then off the disk."""

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
    for folder in runs_dir.glob(f"*{DELETED}"):
        shutil.rmtree(folder)


def size_of(run: Run) -> int:
    """Bytes that a run takes on the disk."""
    return sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file())
