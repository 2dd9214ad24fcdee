"""python -m trainer finetune: the trainer's own process, whether a person or the app started it."""

import argparse
import logging
import sys
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path

from trainer.commands.helping import help_train
from trainer.commands.progress import ProgressBars
from trainer.commands.publish import add_sharing, check_sharing, share
from trainer.errors import UserError
from trainer.runs.events import Event, EventLog, EventReader
from trainer.runs.following import view_of
from trainer.runs.identity import own_identity
from trainer.runs.reasons import end_fields
from trainer.runs.resuming import announce, is_announced
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.runs.timekeeping import at_most
from trainer.runs.turns import turn
from trainer.runs.view import failure
from trainer.settings import Settings
from trainer.training.checkpoints import prune
from trainer.training.disk import is_disk_full
from trainer.training.fitting import check_fits
from trainer.training.presets import PRESETS, preset_of
from trainer.training.ranks import Ranks
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
    add_sharing(parser, "--share", "when it has finished, share its model on the Hub under this name")
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
    if not Ranks.from_env().first:
        return help_train(lambda: recipe_of(options), options.run, settings, options.resume)
    if options.share:
        check_sharing(options)  # not after an hour of training
    if not options.resume:
        run_ = _run_of(options, settings)
    elif options.run is None or not (options.run / "config.json").exists():
        raise UserError("There is no run to resume in that folder.", "See them all: python -m trainer runs list")
    else:
        run_ = open_again(Run(options.run))
    code = fine_tune(run_, settings, options.quiet, options.resume)
    if options.share and code == 0 and view_of(run_).state == "finished":
        print(share(run_, options.share, options.public, options.licence, options.quiet).url)
    return code


def open_again(run_: Run) -> Run:
    """Announce that it is resumed, where the app that started this process has not. UserError where it cannot be."""
    if not is_announced(run_):
        announce(run_)
    return run_


def fine_tune(run_: Run, settings: Settings, quiet: bool, resume: bool) -> int:
    """Train here, in this process; returns the exit code, see `run`."""
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
        return 0 if outcome == "finished" else stopped_code()
    except StopRequested:
        tell("stopped", **end_fields(run_, settings))
        return stopped_code()
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
    check_fits(recipe, settings)  # before one's turn and before any weights are downloaded
    with (
        turn(settings.turns_dir, run_, lambda place: tell("place", place=place), stop.check),
        at_most(settings.limits.minutes_a_run, run_),
    ):
        tell("started", max_steps=recipe.max_steps, **own_identity())
        with stop.anywhere():
            # Imported only when it is one's turn: those who wait should not fill the memory with torch.
            from trainer.training.finetune import Places, finetune
        places = Places(run_.model, run_.checkpoints, run_.folder / "clips")
        outcome = finetune(recipe, settings, places, tell, stop, resume)
        tell(outcome, **(end_fields(run_, settings) if outcome == "stopped" else {}))
    return outcome


def stopped_code() -> int:
    """130, as a shell reports Ctrl-C; 0 among several processes, whose launcher takes any other for a crash."""
    return 0 if Ranks.from_env().many else 130


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
