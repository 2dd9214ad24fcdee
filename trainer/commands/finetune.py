"""python -m trainer finetune: the trainer's own process, whether a person or the app started it."""

import argparse
from collections.abc import Callable
from typing import Any

from trainer.commands.console import decimal_number, whole_number
from trainer.commands.progress import ProgressBars
from trainer.commands.publish import add_sharing, check_sharing, share
from trainer.formatting import number
from trainer.models.base_ref import parse_base
from trainer.runs.follower import view_of
from trainer.runs.run import Run
from trainer.runs.train import help_train, open_run, reopen_run, train_run
from trainer.settings import Settings, typed_path
from trainer.speech.corpora import recordings_path
from trainer.speech.locales import LOCALES
from trainer.training.distributed import Ranks
from trainer.training.recipe import NAMED_DATA, NUMBERS, PRESETS, Precision, Recipe, Schedule, preset_of, said_range
from trainer.training.stop_signal import StopSignal

# option: (field of the recipe, type, what it is)
_OVERRIDES: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "--base": ("base", str, "the model to start from: starter, a Hub id or a folder"),
    "--data": (
        "data",
        str,
        "auto (MInDS-14, or practice without the Hub), minds14, practice, or a folder or its table",
    ),
    "--also": ("also", str, "auto, minds14 or practice: clips to learn from besides a folder, never to judge by"),
    "--max-steps": ("max_steps", whole_number, "how long to train"),
    "--learning-rate": ("learning_rate", decimal_number, "of the whole model, at its highest"),
    "--head-learning-rate": ("head_learning_rate", decimal_number, "of the new head alone"),
    "--warmup-steps": ("warmup_steps", whole_number, "until the learning rate is at its highest"),
    "--gradient-accumulation": ("gradient_accumulation", whole_number, "how many batches make a step"),
    "--eval-steps": ("eval_steps", whole_number, "between two checks"),
    "--patience": (
        "patience",
        whole_number,
        "checks in a row without a better model, which end it early; 0: none do",
    ),
    "--logging-steps": ("logging_steps", whole_number, "between two points of the loss curve"),
    "--clips": ("clips", whole_number, "how many to use of all splits together"),
    "--eval-clips": ("eval_clips", whole_number, "how many to check by, of validation and of test"),
    "--frozen-layers": ("frozen_layers", whole_number, "the lowest of the encoder that stay as they are"),
    "--head-steps": ("head_steps", whole_number, "the first ones, which train the head alone"),
    "--keep-share": ("keep_share", float, "of the kept model that is the base as it was, with practice clips"),
    "--copies": ("copies", whole_number, "changed ones of each clip that frozen layers compute once"),
    "--mask-time-prob": ("mask_time_prob", decimal_number, "share of the frames hidden in training (SpecAugment)"),
    "--dropout": ("dropout", decimal_number, "share of the activations dropped in training"),
    "--seed": ("seed", whole_number, "of all that is drawn by chance"),
}
_UNSET = {  # what no value means
    "head_learning_rate": "as the rest",
    "clips": "all",
    "mask_time_prob": "the base's own",
    "dropout": "the base's own",
}
_SWITCHES = {
    "--freeze-feature-encoder": ("freeze_feature_encoder", "leave the first layers as they are"),
    "--augment": ("augment", "vary speed, tone and noise of each clip"),
    "--gradient-checkpointing": ("gradient_checkpointing", "less memory, but slower"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All of the recipe; what is not given comes from the preset."""
    parser.add_argument("--locale", default="en-US", help=f"one of {', '.join(LOCALES)} (default: %(default)s)")
    parser.add_argument(
        "--preset",
        default="quick",
        help=f"where the options that are not given come from: {' | '.join(PRESETS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--run",
        type=typed_path,
        metavar="FOLDER",
        help="the run's folder: new, or one that waits to start (default: a new one beside the others)",
    )
    for option, (field, kind, words) in _OVERRIDES.items():
        parser.add_argument(option, type=kind, help=_explained(field, words))
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--batch-seconds", type=decimal_number, help=_explained("batch_seconds", "size of a batch"))
    sizes.add_argument("--batch-clips", type=whole_number, help=_explained("batch_clips", "size of a batch, instead"))
    parser.add_argument(
        "--precision",
        choices=Precision.__args__,  # type: ignore[attr-defined]  # of a Literal
        help=_explained("precision", "of the arithmetic; auto: what the machine does best"),
    )
    parser.add_argument(
        "--schedule",
        choices=Schedule.__args__,  # type: ignore[attr-defined]
        help=_explained("schedule", "how the learning rate falls after the warm-up"),
    )
    for option, (field, words) in _SWITCHES.items():
        parser.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=_explained(field, words))
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    add_sharing(parser, "--share", "when it has finished, share its model on the Hub under this name")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def _explained(field: str, words: str) -> str:
    """With the range, and what each preset has: one value where all have the same."""
    parts = [words, said_range(field) if field in NUMBERS else ""]
    values = {name: _shown(field, getattr(preset.recipe, field)) for name, preset in PRESETS.items()}
    one = next(iter(values.values())) if len(set(values.values())) == 1 else ""
    default = one or ", ".join(f"{name} {value}" for name, value in values.items())
    return f"{', '.join(filter(None, parts))} (default: {default})"


def _shown(field: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else str(value or _UNSET.get(field, "none"))


def recipe_of(options: argparse.Namespace, settings: Settings) -> Recipe:
    """The preset's recipe with what was given on the command line. Raises UserError."""
    names = [field for field, _, _ in _OVERRIDES.values()] + [field for field, _ in _SWITCHES.values()]
    names += ["precision", "schedule"]
    values = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.batch_seconds is not None or options.batch_clips is not None:
        values |= {"batch_seconds": options.batch_seconds, "batch_clips": options.batch_clips}
    if "base" in values:
        values["base"] = str(parse_base(values["base"], on_space=settings.on_space))
    data = values.get("data")
    if data and data not in NAMED_DATA:
        values["data"] = str(recordings_path(data).resolve())
    start = preset_of(options.preset).recipe
    if values.get("base", start.base) != start.base:
        values.setdefault("frozen_layers", 0)  # the preset's number is for its own base, and another may have none
    return start.change(locale=options.locale, **values)


def run(options: argparse.Namespace) -> int:
    """Exit code 0 when finished, 130 when stopped, 1 when failed."""
    settings = Settings.from_env()
    ranks = Ranks.from_env()
    if not ranks.first:
        return help_train(lambda: recipe_of(options, settings), options.run, settings, ranks, options.resume)
    if options.share:
        check_sharing(options)  # not after an hour of training
    resume = options.resume
    run_ = reopen_run(options.run) if resume else open_run(options.run, lambda: recipe_of(options, settings), settings)
    code = fine_tune(run_, settings, ranks, options.quiet, resume)
    if options.share and code == 0 and view_of(run_).state == "finished":
        print(share(run_, options.share, options.public, options.licence, options.quiet).url)
    return code


def fine_tune(run_: Run, settings: Settings, ranks: Ranks, quiet: bool, resume: bool) -> int:
    """Train here, in this process, the first of `ranks`, with progress bars; returns the exit code, see `run`.

    Raises UserError.
    """
    bars = ProgressBars(quiet=quiet)
    stop = StopSignal(run_.stop_file)
    stop.install()
    try:
        end = train_run(run_, settings, bars.show, stop, resume, ranks)
    finally:
        stop.remove()
        bars.close()
    return {"finished": 0, "stopped": stopped_code(ranks), "failed": 1}[end["event"]]


def stopped_code(ranks: Ranks) -> int:
    """130, as a shell reports Ctrl-C; 0 among several processes, whose launcher takes any other for a crash."""
    return 0 if ranks.many else 130
