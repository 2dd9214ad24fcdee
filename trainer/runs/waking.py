"""A Space that went to sleep, or was restarted, goes on with what it was doing: nobody may be there to press Resume."""

import logging

from trainer.errors import UserError
from trainer.runs.events import EventReader
from trainer.runs.following import view_of
from trainer.runs.reasons import SHUTDOWN
from trainer.runs.resuming import resume_run
from trainer.runs.run import Run, list_runs
from trainer.settings import Settings

MOST_ATTEMPTS = 4  # a run that takes the whole Space down with it must not do so for ever
log = logging.getLogger("voicetune.page")


def wake(settings: Settings) -> list[Run]:
    """Put this Space's interrupted runs back in line, the oldest first; returns them. Elsewhere a person decides."""
    if not settings.on_space or not settings.lasting:
        return []
    woken = []
    for run in reversed(list_runs(settings.runs_dir)):
        view = view_of(run)
        put_to_sleep = view.state == "stopped" and run.stop_reason == SHUTDOWN
        cut_off = view.state == "interrupted" or put_to_sleep
        if not cut_off or not view.saved_step or _attempts(run) >= MOST_ATTEMPTS:
            continue
        try:
            resume_run(settings, run)
        except UserError as error:  # too many wait; the page has a Resume button
            log.warning("%s was not resumed: %s", run.id, error)
        else:
            woken.append(run)
    return woken


def _attempts(run: Run) -> int:
    return sum(event["event"] == "started" for event in EventReader(run.events).read_new())
