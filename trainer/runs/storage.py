"""What may be started and kept, and what makes room: checked while holding the queue lock."""

import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import UserError
from trainer.formatting import file_size
from trainer.runs.events import EventLog
from trainer.runs.follower import Follower, forget, view_of
from trainer.runs.process import sole_trainer
from trainer.runs.queue import Ticket, list_tickets
from trainer.runs.run import FROZEN_CLIPS, LOCAL_OWNER, Run, create_run, list_runs
from trainer.settings import Settings
from trainer.speech.own_clips import TABLE, own_clips
from trainer.training.recipe import Recipe

CLIPS_SHARE, VISITOR_SHARE = 0.1, 0.25  # of the disk for all runs, for clips of all visitors; of these, for one's
DAYS_KEPT = 30  # of a Space's visitor's own clips, after the last change
LEAST_FREE_BYTES = 2**30  # of the disk itself: a checkpoint of a base-size model with its optimizer
DELETED = ".deleted"  # what a folder is called while it goes; no list has it under this name


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
    """Raises UserError, with what to do, where this owner cannot start another run now. Hold the queue lock."""
    check_queue(settings, owner, list_tickets(settings.queue_dir))
    check_kept(settings, owner)
    make_room(settings)


def check_queue(settings: Settings, owner: str, tickets: Sequence[Ticket]) -> None:
    """Raises UserError where the queue, or this owner's part of it, is as long as it may be."""
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
    """Drop checkpoints of runs that are over, the oldest first and no more than needed. Models, and `spare`, are never
    touched.

    Raises UserError, and drops nothing, where all of them together would not be enough.
    """
    most = settings.limits.disk_bytes
    runs = list_runs(settings.runs_dir)
    taken = sum(map(size_of, runs)) + size_of_folder(settings.clips_dir) if most else 0
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    lacking = LEAST_FREE_BYTES - shutil.disk_usage(settings.data_dir).free
    over = taken - most + 1 if most else 0
    to_drop, freed = [], 0
    for run in reversed(runs):
        if freed >= max(lacking, over):
            break
        if run != spare and view_of(run).over and (size := size_of_folder(run.checkpoints)):
            to_drop.append(run)
            freed += size
    if freed < over:
        raise UserError(
            f"The trainings kept here take {file_size(taken)}, and {file_size(most)} is the most.",
            "Delete one that you no longer need, under Earlier runs.",
        )
    if freed < lacking:
        raise UserError("The disk is almost full.", "Make some room, or delete trainings that you no longer need.")
    for run in to_drop:
        drop_checkpoints(run)


def check_room_for_clip(settings: Settings, owner: str) -> None:
    """Raises UserError where this owner, or all together, keep as much of their own clips as they may."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(settings.data_dir).free < LEAST_FREE_BYTES:
        raise UserError("The disk is almost full.", "Make some room, or delete trainings that you no longer need.")
    most = int(CLIPS_SHARE * settings.limits.disk_bytes)
    own = most if owner == LOCAL_OWNER else int(VISITOR_SHARE * most)
    if most and size_of_folder(settings.clips_dir / owner) > own:
        raise UserError(f"Your clips take {file_size(own)}, the most they may.", "Delete some that you no longer need.")
    if most and size_of_folder(settings.clips_dir) > most:
        raise UserError(
            "The clips that are kept here for all visitors take all the room there is for them.",
            "Try again another day, or use Voicetune on your own computer.",
        )


def create_with_clips(settings: Settings, folder: Path, recipe: Recipe, owner: str) -> Run:
    """Make a run in a new folder. The owner's own clips, where it learns from them, are kept in it as they are now, so
    that it can be resumed whatever becomes of them."""
    if not Path(recipe.data).is_relative_to(settings.clips_dir):
        return create_run(folder, recipe, owner)
    copy = folder.absolute() / FROZEN_CLIPS
    run = create_run(folder, recipe.change(data=str(copy)), owner)
    try:
        own_clips(settings, owner, recipe.locale).link_to(copy)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return run


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


def sweep_clips(settings: Settings) -> None:
    """On a Space, remove the clips of visitors who have not changed theirs for DAYS_KEPT."""
    if not settings.on_space:
        return
    for table in settings.clips_dir.glob(f"*/*/{TABLE}"):
        with contextlib.suppress(OSError):
            if table.stat().st_mtime < time.time() - DAYS_KEPT * 24 * 3600:
                shutil.rmtree(table.parent)


def drop_checkpoints(run: Run) -> None:
    """Remove what a run that is over could be resumed from, but not its model; its events say so.

    Does nothing where somebody resumes it in this moment.
    """
    try:
        with sole_trainer(run, seconds=0.0):
            if not Follower(run).view().over:
                return
            events = EventLog(run.events)
            events.append("checkpoints_dropped")  # first: a crash behind it leaves a promise unmade, not one unkept
            going = run.checkpoints.with_name(run.checkpoints.name + DELETED)
            run.checkpoints.rename(going)
            shutil.rmtree(going)
            events.close()  # what a full disk did not take is written now
    except UserError:
        return


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
