"""Training a run in this process: alone on its folder, when its turn has come, with all that happens told as events."""

import logging
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trainer.errors import UserError, is_disk_full, refusal_of
from trainer.runs.events import ENDS, Event, EventLog, EventReader
from trainer.runs.follower import view_of
from trainer.runs.lifecycle import announce, at_most, end_fields, is_announced
from trainer.runs.preflight import check_inputs
from trainer.runs.process import alive, own_identity, sole_trainer
from trainer.runs.queue import hold_turn
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.runs.view import failure
from trainer.settings import Settings
from trainer.training.checkpoints import prune
from trainer.training.context import Context, Places
from trainer.training.distributed import Ranks
from trainer.training.estimate import check_memory, work_seconds
from trainer.training.measured import SHORTEST, note
from trainer.training.recipe import Recipe
from trainer.training.stop_signal import StopRequested, StopSignal

POLL_SECONDS = 0.5
# As torch's allocators and the system say it.
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")


def open_run(folder: Path | None, recipe: Callable[[], Recipe], settings: Settings) -> Run:
    """The run that waits to start in a folder, or a new one there, by the recipe; None: in a new folder.

    Raises UserError where the folder holds anything else, and, before a new one is made, where it could not start.
    """
    if folder is not None and (folder / "config.json").exists():
        run = Run(folder)
        if EventReader(run.events).read_new():
            raise UserError("This run was started before.", "Choose a new folder for a new run, or --resume this one.")
        return run
    chosen = recipe()
    settings.make_data_dir()
    check_inputs(chosen, settings)
    return create_run(folder or new_run_folder(settings.runs_dir, chosen.locale), chosen)


def reopen_run(folder: Path | None) -> Run:
    """The run in a folder, announced as resumed where the app that started this process has not done so.

    Raises UserError where there is none, or it cannot be resumed.
    """
    if folder is None or not (folder / "config.json").exists():
        raise UserError("There is no run to resume in that folder.", "See them all: python -m trainer runs list")
    run = Run(folder)
    if not is_announced(run):
        announce(run)
    return run


def train_run(
    run: Run,
    settings: Settings,
    on_event: Callable[[Event], object],
    stop: StopSignal,
    resume: bool = False,
    ranks: Ranks | None = None,
) -> Event:
    """Train until its end, and return that: a `finished`, `stopped` or `failed` event.

    `ranks` are the processes of which this is the first; None: it is alone. Raises UserError where another process
    trains the run, and where the disk is too full for its events.
    """
    with sole_trainer(run), _logging_to(run.log):
        log = EventLog(run.events)

        def tell(kind: str, /, **fields: object) -> Event:
            with stop.later():
                event = log.append(kind, **fields)
                on_event(event)
                return event

        try:
            places = Places(run.model, run.checkpoints, run.folder / "clips", run.tested)
            context = Context(places, tell, stop, ranks or Ranks())
            with ExitStack() as turn:
                kind, fields = _to_the_end(run, settings, context, resume, turn)
                end = tell(kind, **fields)  # before the next run's turn comes
            # Who reads the events may not know of its end: then what it can be resumed from must stay.
            note_time(run, settings)
            if kind == "finished" and not log.behind:
                prune(run.checkpoints, keep=0)
        finally:
            log.close()
        if log.behind:
            raise _disk_full()
        return end


def note_time(run: Run, settings: Settings) -> None:
    """Keep how long it took for the next estimate. Only of one attempt: what was computed before is not there again."""
    view = view_of(run)
    worked = view.pace.worked(view.ended) if view.ended else None
    if view.state in ("finished", "stopped") and view.first_step == 0 and worked and view.step >= SHORTEST:
        recipe = run.recipe()
        made = recipe.change(max_steps=view.step)
        note(recipe, settings, work_seconds(made, settings), worked)


@contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """What goes wrong is not for the terminal of whoever started it; the run's log has it, whoever that was."""
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


End = tuple[str, Mapping[str, str | bool]]  # of a run: the kind of its last event, and the fields


def _to_the_end(run: Run, settings: Settings, context: Context, resume: bool, turn: ExitStack) -> End:
    try:
        outcome = _train(run, settings, context, resume, turn)
        return outcome, end_fields(run, settings) if outcome == "stopped" else {}
    except StopRequested:
        return "stopped", end_fields(run, settings)
    except UserError as error:
        return "failed", failure(error)
    except Exception as error:
        return "failed", failure(_explain(error))


def _train(run: Run, settings: Settings, context: Context, resume: bool, turn: ExitStack) -> str:
    """`turn` is held from when it comes until the caller closes it."""
    recipe, tell, stop = run.recipe(), context.tell, context.stop
    tell("queued", **own_identity())
    check_memory(recipe, settings)  # before one's turn and before any weights are downloaded
    turn.enter_context(hold_turn(settings.queue_dir, run, lambda place: tell("place", place=place), stop.check))
    turn.enter_context(at_most(settings.limits.minutes_a_run, run))
    tell("started", max_steps=recipe.max_steps, eval_steps=recipe.eval_steps, **own_identity())
    with stop.anywhere():
        # Imported only when it is one's turn: those who wait should not fill the memory with torch.
        from trainer.training.finetune import finetune
    return finetune(recipe, settings, context, resume)


def _disk_full() -> UserError:
    return UserError("The disk is full.", "Make some room, then resume it.")


def _explain(error: Exception) -> UserError:
    """What a person can do about a fault that is not theirs; the log has the rest, under the same number."""
    number = uuid.uuid4().hex[:8]
    logging.error("fault %s\n%s", number, "".join(traceback.format_exception(error)))
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
        return UserError(
            "The memory of this machine was not enough.",
            "Close other programs and resume it, or fine-tune again with a smaller batch or a smaller base model.",
        )
    if is_disk_full(error):
        return _disk_full()
    if known := refusal_of(error):
        return known
    return UserError(
        f"Something went wrong that should not have (number {number}).",
        "Start it again; if it happens again, the log in the run's folder says more.",
    )


def help_train(
    recipe_given: Callable[[], Recipe], folder: Path | None, settings: Settings, ranks: Ranks, resume: bool
) -> int:
    """Take part in the training that the first of several processes leads; returns the exit code.

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
            from trainer.training.finetune import finetune
        nowhere = Path("/nonexistent")
        places = Places(nowhere, run.checkpoints if run and resume else nowhere, nowhere)
        finetune(recipe, settings, Context(places, lambda kind, /, **fields: None, stop, ranks), resume)
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
