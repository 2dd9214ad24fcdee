"""A run's life as the app leads it: started, resumed, adopted by the next app, ended with the machine."""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from trainer.errors import UserError
from trainer.formatting import number
from trainer.runs.events import EventLog, EventReader, last_told
from trainer.runs.follower import Follower, view_of
from trainer.runs.process import (
    Identity,
    alive,
    identity_in,
    identity_of,
    own_identity,
    process_of,
    sole_trainer,
    start_trainer,
    stop_trainer,
)
from trainer.runs.queue import assign_ticket, draw_ticket, list_tickets, queue_lock
from trainer.runs.run import LOCAL_OWNER, Run, list_runs, new_run_folder
from trainer.runs.storage import check_limits, check_queue, create_with_clips, make_room
from trainer.runs.view import RunView
from trainer.settings import Settings
from trainer.training.recipe import Recipe

MOST_ATTEMPTS = 4  # a run that takes the whole Space down with it must not do so for ever
SECONDS_TO_LEAVE = 7.0  # for all trainers together, after the signal; a Space is given 8 s before it is killed
TIME, SHUTDOWN = "time", "shutdown"  # reasons to stop that no person gave
log = logging.getLogger("voicetune.runs")


# --- start


def start_run(settings: Settings, recipe: Recipe, owner: str) -> Run:
    """Create a run of this owner and start its trainer, which waits for its turn.

    Raises UserError where a limit of the settings stands against it.
    """
    with queue_lock(settings.queue_dir):
        check_limits(settings, owner)
        run = create_with_clips(settings, new_run_folder(settings.runs_dir, recipe.locale), recipe, owner)
        queue_trainer(settings, run)
    return run


def queue_trainer(settings: Settings, run: Run, resume: bool = False) -> None:
    """Put a run at the end of the queue, with a trainer that waits and then begins or goes on. Hold the queue lock."""
    ticket = draw_ticket(settings.queue_dir, run, own_identity())
    write_owner_process(run, own_identity())
    try:
        process = start_trainer(run, resume)
    except BaseException:
        ticket.unlink(missing_ok=True)
        raise
    try:
        assign_ticket(ticket, run, identity_of(psutil.Process(process.pid)))
    except psutil.NoSuchProcess:  # it failed at once; its log says why
        ticket.unlink(missing_ok=True)


# --- stop


@contextmanager
def at_most(minutes: float, run: Run) -> Iterator[None]:
    """Ask the run to stop when it has been inside for so many minutes; 0: no limit."""
    timer = threading.Timer(minutes * 60, run.ask_to_stop, [TIME])
    timer.daemon = True
    if minutes:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end_fields(run: Run, settings: Settings) -> dict[str, str]:
    """The fields `what` and `todo` of a `stopped` event; {} where the person asked."""
    reason = run.stop_reason
    if reason == TIME:
        return {
            "what": f"It was stopped after {_minutes(settings.limits.minutes_a_run)}, the most that one training may "
            "take here.",
            "todo": "",
        }
    if reason == SHUTDOWN:
        return {"what": "It was stopped because Voicetune was shut down.", "todo": ""}
    return {}


def _minutes(count: float) -> str:
    return f"{number(count)} minute{'' if count == 1 else 's'}"


# --- resume


def resume_run(settings: Settings, run: Run) -> None:
    """Put a run back in the queue, with a trainer that goes on with it.

    Raises UserError where it cannot be resumed, or a limit of the settings stands against it.
    """
    refuse_what_cannot(Follower(run).view())  # before what waiting would not mend
    with queue_lock(settings.queue_dir):
        check_queue(settings, run.config().get("owner", LOCAL_OWNER), list_tickets(settings.queue_dir))
        make_room(settings, spare=run)
        announce(run)
        queue_trainer(settings, run, resume=True)


def announce(run: Run) -> None:
    """Open a new attempt, so that all who watch know at once and nobody else opens one.

    Raises UserError where it cannot be resumed, or is trained by another process whatever its events say.
    """
    with sole_trainer(run):
        refuse_what_cannot(Follower(run).view())
        run.stop_file.unlink(missing_ok=True)
        run.exit_file.unlink(missing_ok=True)
        run.process.unlink(missing_ok=True)
        events = EventLog(run.events)
        events.append("resuming")
        events.close()


def is_announced(run: Run) -> bool:
    """Whether the trainer that is to go on has not appeared yet."""
    return last_told(run.events) == "resuming"


def refuse_what_cannot(view: RunView) -> None:
    """Raises UserError with the reason. Whether what was saved still fits, only the trainer can tell."""
    if view.state == "finished":
        raise UserError("This training is finished: there is nothing left to do.", "To train more, fine-tune again.")
    if not view.over:
        raise UserError("This training is still going on.", "Watch it, or stop it first.")
    if not view.resumable:
        raise UserError(f"Resuming would fail in the same way. {view.what}", view.todo)


def resume_interrupted(settings: Settings) -> list[Run]:
    """Put this Space's interrupted runs back in the queue, the oldest first; returns them. Elsewhere a person decides.

    One that cannot be resumed is logged and does not keep the others, or the app, from starting.
    """
    if not settings.on_space or not settings.lasting:
        return []
    resumed = []
    for run in reversed(list_runs(settings.runs_dir)):
        view = view_of(run)
        slept = view.state == "stopped" and run.stop_reason == SHUTDOWN
        if not (view.state == "interrupted" or slept) or not view.saved_step or _attempts(run) >= MOST_ATTEMPTS:
            continue
        try:
            resume_run(settings, run)
        except UserError as error:  # too many wait; the page has a Resume button
            log.warning("%s was not resumed: %s", run.id, error)
        except OSError:
            log.exception("%s was not resumed", run.id)
        else:
            resumed.append(run)
    return resumed


def _attempts(run: Run) -> int:
    return sum(event["event"] == "started" for event in EventReader(run.events).read_new())


# --- adopt


def adopt(settings: Settings) -> list[Run]:
    """Take over the runs that wait or train and whose app is gone; returns them.

    Runs that were started from a shell have no owner process, and belong to the person there.
    """
    adopted = []
    with queue_lock(settings.queue_dir):
        for ticket in list_tickets(settings.queue_dir):
            owner_process = owner_process_of(ticket.run)
            if owner_process and not alive(owner_process["pid"], owner_process["pid_started"]):
                write_owner_process(ticket.run, own_identity())
                adopted.append(ticket.run)
    return adopted


def owner_process_of(run: Run) -> Identity | None:
    """The app that looks after this run; None for a run from a shell."""
    try:
        return identity_in(json.loads(run.owner_process.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def write_owner_process(run: Run, owner_process: Identity) -> None:
    """Name the app that looks after this run."""
    draft = run.owner_process.with_suffix(".part")
    draft.write_text(json.dumps(owner_process), encoding="utf-8")
    draft.replace(run.owner_process)


def runs_of_this_app(settings: Settings) -> list[Run]:
    """The runs that wait or train and that this process looks after."""
    me = own_identity()
    return [ticket.run for ticket in list_tickets(settings.queue_dir) if owner_process_of(ticket.run) == me]


# --- shutdown


def shutdown(settings: Settings) -> None:
    """The machine is turned off: every trainer of this app saves and ends, at once and side by side.

    Those that have not done so after SECONDS_TO_LEAVE are killed; they have their checkpoints.
    """
    runs = runs_of_this_app(settings)
    for run in runs:  # before anything else, so that none loses time
        run.ask_to_stop(SHUTDOWN)
        if process := process_of(run):
            with contextlib.suppress(ProcessLookupError, OSError, psutil.NoSuchProcess):
                process.terminate()
    threads = [threading.Thread(target=_end, args=(run,), name=f"shutdown-{run.id}") for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _end(run: Run) -> None:
    try:
        stop_trainer(run, seconds_alone=SECONDS_TO_LEAVE, seconds_after_signal=0.0)
    except Exception:
        log.exception("Ending %s failed", run.id)
