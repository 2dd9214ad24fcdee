"""What may be started and kept: checked at the door, where nobody else can take the last place meanwhile."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.errors import UserError
from trainer.runs.deleting import drop_checkpoints, size_of, size_of_folder
from trainer.runs.following import view_of
from trainer.runs.run import Run, list_runs
from trainer.runs.turns import Ticket, line
from trainer.settings import Settings

LEAST_FREE_BYTES = 2**30  # of the disk itself: a checkpoint of a base-size model with its optimizer


@dataclass(frozen=True)
class Room:
    """What takes room, in bytes. `most` 0: no limit."""

    models: int
    checkpoints: int
    other: int  # events, logs, clips
    most: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.models + self.checkpoints + self.other


def room_of(runs: list[Run], most: int = 0) -> Room:
    """What these runs take."""
    models = sum(size_of_folder(run.model) for run in runs)
    checkpoints = sum(size_of_folder(run.checkpoints) for run in runs)
    return Room(models, checkpoints, sum(map(size_of, runs)) - models - checkpoints, most)


def check_limits(settings: Settings, owner: str) -> None:
    """Raises UserError, with what to do, where this owner cannot start another run now. Hold the door."""
    check_line(settings, owner, line(settings.turns_dir))
    check_kept(settings, owner)
    make_room(settings)


def check_line(settings: Settings, owner: str, tickets: Sequence[Ticket]) -> None:
    """Raises UserError where the line, or this owner's part of it, is as long as it may be."""
    limits = settings.limits
    if len(tickets) > limits.waiting_runs:
        raise UserError(
            f"{len(tickets) - 1} trainings are waiting in line already, the most that may.",
            "Try again when one of them has finished.",
        )
    theirs = sum(ticket.run.config().get("owner") == owner for ticket in tickets)
    if theirs >= limits.runs_of_visitor:
        under_way = "one training" if theirs == 1 else f"{theirs} trainings"
        raise UserError(f"You have {under_way} under way already, the most you may.", "Stop one, or wait for its end.")


def check_kept(settings: Settings, owner: str) -> None:
    """Raises UserError where this owner keeps as many runs as they may."""
    most = settings.limits.kept_runs_of_visitor
    if most and len(list_runs(settings.runs_dir, owner)) >= most:
        raise UserError(
            f"You keep {most} trainings, the most you may.", "Delete one that you no longer need, under Earlier runs."
        )


def make_room(settings: Settings, spare: Run | None = None) -> None:
    """Drop checkpoints of runs that are over, the oldest first, until all fits. Models, and `spare`, are never touched.

    Raises UserError where that is not enough.
    """
    most = settings.limits.disk_bytes
    runs = list_runs(settings.runs_dir)
    taken = sum(map(size_of, runs)) if most else 0
    for run in reversed(runs):
        if not _too_full(settings, taken):
            return
        if run != spare and view_of(run).over:
            taken -= drop_checkpoints(run)
    if not _too_full(settings, taken):
        return
    if most and taken >= most:
        raise UserError(
            f"The trainings kept here take {gigabytes(taken)}, and {gigabytes(most)} is the most.",
            "Delete one that you no longer need, under Earlier runs.",
        )
    raise UserError("The disk is almost full.", "Make some room, or delete trainings that you no longer need.")


def _too_full(settings: Settings, taken: int) -> bool:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data_dir).free
    most = settings.limits.disk_bytes
    return free < LEAST_FREE_BYTES or bool(most and taken >= most)


def gigabytes(size: int) -> str:
    """ "1.4 GB", "50 GB", or "16 MB" below a tenth of one."""
    return f"{size / 1e9:.1f}".removesuffix(".0") + " GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
