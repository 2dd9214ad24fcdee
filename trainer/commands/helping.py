"""The processes beside the first one of a training on several GPUs: they compute, and say and save nothing."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from trainer.errors import UserError
from trainer.runs.events import ENDS, EventReader
from trainer.runs.identity import alive
from trainer.runs.run import Run
from trainer.settings import Settings
from trainer.training.recipe import Recipe
from trainer.training.stopping import StopRequested, StopSignal

POLL_SECONDS = 0.5


def help_train(
    recipe_given: Callable[[], Recipe], folder: Path | None, settings: Settings, resume: bool = False
) -> int:
    """Take part in the training that the first process leads; returns the exit code.

    `folder` is the run's, None where the first process chooses one: then only the launcher's signal stops this one
    while it prepares.
    """
    run = Run(folder) if folder is not None else None
    recipe = run.recipe() if run and (run.folder / "config.json").exists() else recipe_given()
    stop = StopSignal(run.stop_file if run else None)
    stop.install()
    try:
        if run and not _turn_has_come(run, stop, resume):
            return 0
        with stop.anywhere():
            from trainer.training.finetune import Places, finetune
        nowhere = Path("/nonexistent")
        places = Places(nowhere, run.checkpoints if run and resume else nowhere, nowhere)
        finetune(recipe, settings, places, lambda kind, **fields: None, stop, resume)
    except StopRequested:
        return 0
    except UserError:  # the first process meets it too, and says it
        return 1
    except Exception:
        logging.exception("a helping process failed")
        return 1
    return 0


def _turn_has_come(run: Run, stop: StopSignal, resume: bool) -> bool:
    """Wait, without torch in memory, until the first process has its turn; False where the run ended before."""
    reader = EventReader(run.events)
    # A run that is resumed has ended before.
    events = [event for event in reader.read_new() if not (resume and event["event"] in ENDS)]
    while True:
        stop.check()
        last = next((event for event in reversed(events) if event["event"] in ("started", *ENDS)), None)
        if last and last["event"] == "started" and alive(last["pid"], last["pid_started"]):
            return True
        if last and last["event"] in ENDS:
            return False
        time.sleep(POLL_SECONDS)
        events += reader.read_new()
