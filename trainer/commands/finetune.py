"""python -m trainer finetune: the trainer's own process, whether a person or the app started it."""

import argparse
import logging
import sys
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path

from trainer.commands.progress import ProgressBars
from trainer.errors import UserError
from trainer.runs.events import Event, EventLog, EventReader
from trainer.runs.processes import own_identity
from trainer.runs.resuming import announce, is_announced
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.runs.turns import turn
from trainer.runs.view import failure
from trainer.settings import Settings
from trainer.training.checkpoints import prune
from trainer.training.disk import is_disk_full
from trainer.training.presets import PRESETS, preset_of
from trainer.training.recipe import Precision, Recipe, Schedule
from trainer.training.stopping import StopRequested, StopSignal

# option: (field of the recipe, type)
_OVERRIDES: dict[str, tuple[str, type]] = {
    "--base": ("base", str),
    "--data": ("data", str),
    "--max-steps": ("max_steps", int),
    "--learning-rate": ("learning_rate", float),
    "--head-learning-rate": ("head_learning_rate", float),
    "--warmup-steps": ("warmup_steps", int),
    "--gradient-accumulation": ("gradient_accumulation", int),
    "--eval-steps": ("eval_steps", int),
    "--logging-steps": ("logging_steps", int),
    "--clips": ("clips", int),
    "--test-clips": ("test_clips", int),
    "--mask-time-prob": ("mask_time_prob", float),
    "--dropout": ("dropout", float),
    "--seed": ("seed", int),
}

DISK_FULL = UserError("The disk is full.", "Make some room, then resume it: it goes on from where it was saved.")
# As torch's allocators and the system say it.
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All of the recipe; what is not given comes from the preset."""
    parser.add_argument("--locale", default="en-US", help="one of MInDS-14's, e.g. de-DE (default: %(default)s)")
    parser.add_argument("--preset", default="quick", help=f"{' | '.join(PRESETS)} (default: %(default)s)")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="the run's folder: new, or one that waits to start")
    for option, (_, kind) in _OVERRIDES.items():
        parser.add_argument(option, type=kind)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--batch-seconds", type=float, help="seconds of audio a batch")
    sizes.add_argument("--batch-clips", type=int, help="clips a batch, instead")
    parser.add_argument("--precision", choices=Precision.__args__)  # type: ignore[attr-defined]  # of a Literal
    parser.add_argument("--schedule", choices=Schedule.__args__)  # type: ignore[attr-defined]
    for option in ("--freeze-feature-encoder", "--augment", "--gradient-checkpointing"):
        parser.add_argument(option, action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The preset's recipe with what was given on the command line."""
    names = [field for field, _ in _OVERRIDES.values()]
    names += ["precision", "schedule", "freeze_feature_encoder", "augment", "gradient_checkpointing"]
    values = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.batch_seconds is not None or options.batch_clips is not None:
        values |= {"batch_seconds": options.batch_seconds, "batch_clips": options.batch_clips}
    data = values.get("data")
    if data and data not in ("auto", "minds14", "practice"):
        values["data"] = str(Path(data).resolve())
    return preset_of(options.preset).recipe.change(locale=options.locale, **values)


def run(options: argparse.Namespace) -> int:
    """Exit code 0 when finished, 130 when stopped, 1 when failed."""
    settings = Settings.from_env()
    if not options.resume:
        return _fine_tune(_run_of(options, settings), settings, options.quiet, resume=False)
    if options.run is None or not (options.run / "config.json").exists():
        raise UserError("There is no run to resume in that folder.", "See them all: python -m trainer runs list")
    return go_on(Run(options.run), settings, options.quiet)


def go_on(run_: Run, settings: Settings, quiet: bool) -> int:
    """Resume a run here, in this process; the exit code is that of `run`. Raises UserError where that cannot be."""
    if not is_announced(run_):  # by the app that started this process
        announce(run_)
    return _fine_tune(run_, settings, quiet, resume=True)


def _fine_tune(run_: Run, settings: Settings, quiet: bool, resume: bool) -> int:
    recipe = run_.recipe()
    log = EventLog(run_.events)
    bars = ProgressBars(quiet=quiet)
    stop = StopSignal(run_.stop_file)

    def tell(kind: str, **fields: object) -> Event:
        with stop.later():
            event = log.append(kind, **fields)
            bars.show(event)
            return event

    stop.install()
    try:
        outcome = _train(run_, recipe, settings, tell, stop, resume)
        if log.behind:  # who reads the events does not know of its end: what it can be resumed from must stay
            return 1
        if outcome == "finished":
            prune(run_.checkpoints, keep=0)
        return 0 if outcome == "finished" else 130
    except StopRequested:
        tell("stopped")
        return 130
    except UserError as error:
        tell("failed", **failure(error))
        return 1
    except Exception as error:
        tell("failed", **failure(_explain(error)))
        return 1
    finally:
        bars.close()
        log.close()
        if log.behind:  # nobody will read it there
            print(DISK_FULL, file=sys.stderr)


def _run_of(options: argparse.Namespace, settings: Settings) -> Run:
    if options.run is not None and (options.run / "config.json").exists():
        run_ = Run(options.run)
        if EventReader(run_.events).read_new():
            raise UserError("This run was started before.", "Choose a new folder for a new run, or --resume this one.")
        return run_
    recipe = recipe_of(options)
    return create_run(options.run or new_run_folder(settings.runs_dir, recipe.locale), recipe)


def _train(
    run_: Run, recipe: Recipe, settings: Settings, tell: Callable[..., Event], stop: StopSignal, resume: bool
) -> str:
    tell("queued", **own_identity())
    with turn(settings.turns_dir, lambda place: tell("place", place=place), stop.check):
        tell("started", max_steps=recipe.max_steps, **own_identity())
        with stop.anywhere():
            # Imported only when it is one's turn: those who wait should not fill the memory with torch.
            from trainer.training.finetune import Places, finetune
        places = Places(run_.model, run_.checkpoints, run_.folder / "clips")
        outcome = finetune(recipe, settings, places, tell, stop, resume)
        tell(outcome)
    return outcome


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
        return DISK_FULL
    return UserError(
        f"Something went wrong that should not have (number {number}).",
        "Start it again; if it happens again, the log in the run's folder says more.",
    )
