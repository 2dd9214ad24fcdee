"""Pressing Start: a run's folder, its place in line and its trainer's process."""

import psutil

from trainer.runs.identity import identity_of, own_identity
from trainer.runs.keeping import write_keeper
from trainer.runs.processes import start_trainer
from trainer.runs.quota import check_limits
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.runs.turns import door, draw, hand_over
from trainer.settings import Settings
from trainer.training.recipe import Recipe


def start_run(settings: Settings, recipe: Recipe, owner: str) -> Run:
    """Create a run of this owner and start its trainer, which waits for its turn.

    Raises UserError where a limit of the settings stands against it.
    """
    with door(settings.turns_dir):
        check_limits(settings, owner)
        run = create_run(new_run_folder(settings.runs_dir, recipe.locale), recipe, owner)
        queue_trainer(settings, run)
    return run


def queue_trainer(settings: Settings, run: Run, resume: bool = False) -> None:
    """Put a run at the end of the line, with a trainer that waits and then begins or goes on. Hold the door."""
    ticket = draw(settings.turns_dir, run, own_identity())
    write_keeper(run, own_identity())
    try:
        process = start_trainer(run, resume)
    except BaseException:
        ticket.unlink(missing_ok=True)
        raise
    try:
        hand_over(ticket, run, identity_of(psutil.Process(process.pid)))
    except psutil.NoSuchProcess:  # it failed at once; its log says why
        ticket.unlink(missing_ok=True)
