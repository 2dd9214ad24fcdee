"""Pressing Resume: a run that was stopped or cut off goes on in the same folder, as a new attempt."""

from filelock import FileLock

from trainer.errors import UserError
from trainer.runs.events import EventLog, EventReader
from trainer.runs.following import Follower
from trainer.runs.quota import check_line, make_room
from trainer.runs.run import LOCAL_OWNER, Run
from trainer.runs.starting import queue_trainer
from trainer.runs.turns import door, line
from trainer.runs.view import RunView
from trainer.settings import Settings


def resume_run(settings: Settings, run: Run) -> None:
    """Put a run back in line, with a trainer that goes on with it.

    Raises UserError where it cannot be resumed, or a limit of the settings stands against it.
    """
    refuse_what_cannot(Follower(run).view())  # before what waiting would not mend
    with door(settings.turns_dir):
        check_line(settings, run.config().get("owner", LOCAL_OWNER), line(settings.turns_dir))
        make_room(settings, spare=run)
        announce(run)
        queue_trainer(settings, run, resume=True)


def announce(run: Run) -> None:
    """Open a new attempt, so that all who watch know at once and nobody else opens one.

    Raises UserError where it cannot be resumed.
    """
    with FileLock(run.folder / "resume.lock"):
        refuse_what_cannot(Follower(run).view())
        run.stop_file.unlink(missing_ok=True)
        run.exit_file.unlink(missing_ok=True)
        run.process.unlink(missing_ok=True)
        log = EventLog(run.events)
        log.append("resuming")
        log.close()


def is_announced(run: Run) -> bool:
    """Whether the trainer that is to go on has not appeared yet."""
    events = EventReader(run.events).read_new()
    return bool(events) and events[-1]["event"] == "resuming"


def refuse_what_cannot(view: RunView) -> None:
    """Raises UserError with the reason. Whether what was saved still fits, only the trainer can tell."""
    if view.state == "finished":
        raise UserError("This training is finished: there is nothing left to do.", "To train more, fine-tune again.")
    if not view.over:
        raise UserError("This training is still going on.", "Watch it, or stop it first.")
    if not view.resumable:
        raise UserError(f"Resuming would fail in the same way. {view.what}", view.todo)
