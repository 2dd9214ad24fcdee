"""Pressing Start: a run's folder and its trainer's process."""

from trainer.errors import UserError
from trainer.runs.processes import start_trainer
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.runs.turns import waiting
from trainer.settings import Settings
from trainer.training.recipe import Recipe


def start_run(settings: Settings, recipe: Recipe, owner: str) -> Run:
    """Create a run of this owner and start its trainer, which waits for its turn.

    Raises UserError where too many wait already.
    """
    if waiting(settings.turns_dir) > settings.max_waiting_runs:
        raise UserError("Too many trainings are waiting already.", "Try again when one of them has finished.")
    run = create_run(new_run_folder(settings.runs_dir, recipe.locale), recipe, owner)
    start_trainer(run)
    return run
