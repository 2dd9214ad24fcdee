"""Which app looks after a run's trainer: the one that started it or, when that one is gone, the next that looks.

The trainer needs no keeper to go on. The keeper is who ends it when the machine is about to be switched off.
"""

import contextlib
import json
import logging
import threading

from trainer.runs.identity import Identity, alive, identity_in, own_identity
from trainer.runs.processes import process_of, stop_trainer
from trainer.runs.reasons import SHUTDOWN
from trainer.runs.run import Run
from trainer.runs.turns import door, line
from trainer.settings import Settings

log = logging.getLogger("voicetune.runs")

SECONDS_TO_LEAVE = 7.0  # for all trainers together, after the signal; a Space is given 8 s before it is killed


def adopt(settings: Settings) -> list[Run]:
    """Take over the runs that wait or train and whose app is gone; returns them.

    Runs that were started from a shell have no keeper, and belong to the person there.
    """
    adopted = []
    with door(settings.turns_dir):
        for ticket in line(settings.turns_dir):
            keeper = keeper_of(ticket.run)
            if keeper and not alive(keeper["pid"], keeper["pid_started"]):
                write_keeper(ticket.run, own_identity())
                adopted.append(ticket.run)
    return adopted


def keeper_of(run: Run) -> Identity | None:
    """The app that keeps this run; None for a run from a shell."""
    try:
        return identity_in(json.loads(run.keeper.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def write_keeper(run: Run, keeper: Identity) -> None:
    """Name the app that keeps this run."""
    draft = run.keeper.with_suffix(".part")
    draft.write_text(json.dumps(keeper), encoding="utf-8")
    draft.replace(run.keeper)


def kept_by_me(settings: Settings) -> list[Run]:
    """The runs that wait or train and that this process looks after."""
    me = own_identity()
    return [ticket.run for ticket in line(settings.turns_dir) if keeper_of(ticket.run) == me]


def leave(settings: Settings) -> None:
    """The machine goes to sleep: every trainer that this app keeps saves and ends, at once and side by side.

    Those that have not done so after SECONDS_TO_LEAVE are killed; they have their checkpoints.
    """
    runs = kept_by_me(settings)
    for run in runs:  # before anything else, so that none loses time
        run.ask_to_stop(SHUTDOWN)
        if process := process_of(run):
            with contextlib.suppress(ProcessLookupError, OSError):
                process.terminate()
    threads = [threading.Thread(target=_end, args=(run,), name=f"leave-{run.id}") for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _end(run: Run) -> None:
    try:
        stop_trainer(run, seconds_alone=SECONDS_TO_LEAVE, seconds_after_signal=0.0)
    except Exception:
        log.exception("Ending %s failed", run.id)
