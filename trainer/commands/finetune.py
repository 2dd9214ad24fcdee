"""python -m trainer finetune: the trainer's own process, whether a person or the app started it."""

import argparse
import logging
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path

from trainer.commands.helping import help_train
from trainer.commands.progress import ProgressBars
from trainer.commands.publish import add_sharing, check_sharing, share
from trainer.errors import UserError
from trainer.runs.events import Event, EventLog
from trainer.runs.identity import own_identity
from trainer.runs.reasons import end_fields
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.runs.timekeeping import at_most
from trainer.runs.turns import turn
from trainer.runs.view import failure
from trainer.settings import Settings
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
        return help_train(lambda: recipe_of(options), options.run, settings)
    if options.share:
        check_sharing(options)  # not after an hour of training
    run_ = _run_of(options, settings)
    recipe = run_.recipe()
    log = EventLog(run_.events)
    bars = ProgressBars(quiet=options.quiet)

    def tell(kind: str, **fields: object) -> Event:
        event = log.append(kind, **fields)
        bars.show(event)
        return event

    stop = StopSignal(run_.stop_file)
    stop.install()
    try:
        code = _train(run_, recipe, settings, tell, stop)
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
    if options.share and code == 0 and not stop.requested:
        print(share(run_, options.share, options.public, options.licence, options.quiet).url)
    return code


def _run_of(options: argparse.Namespace, settings: Settings) -> Run:
    if options.run is not None and (options.run / "config.json").exists():
        run_ = Run(options.run)
        if run_.events.exists():
            raise UserError("This run was started before.", "Choose a new folder for a new run.")
        return run_
    recipe = recipe_of(options)
    return create_run(options.run or new_run_folder(settings.runs_dir, recipe.locale), recipe)


def _train(run_: Run, recipe: Recipe, settings: Settings, tell: Callable[..., Event], stop: StopSignal) -> int:
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
        outcome = finetune(recipe, settings, places, tell, stop)
        tell(outcome, **(end_fields(run_, settings) if outcome == "stopped" else {}))
    return 0 if outcome == "finished" else stopped_code()


def stopped_code() -> int:
    """130, as a shell reports Ctrl-C; 0 among several processes, whose launcher takes any other for a crash."""
    return 0 if Ranks.from_env().many else 130


def _explain(error: Exception) -> UserError:
    """What a person can do about a fault that is not theirs; the log has the rest, under the same number."""
    number = uuid.uuid4().hex[:8]
    logging.error("fault %s\n%s", number, "".join(traceback.format_exception(error)))
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "not enough memory" in text:
        return UserError("The memory of this machine was not enough.", "Try a smaller batch, or a smaller base model.")
    if isinstance(error, OSError) and error.errno == 28:  # ENOSPC
        return UserError("The disk is full.", "Make some room, then start again.")
    return UserError(
        f"Something went wrong that should not have (number {number}).",
        "Start it again; if it happens again, the log in the run's folder says more.",
    )
