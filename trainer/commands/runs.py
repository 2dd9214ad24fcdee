"""python -m trainer runs: what was trained here, and what is being trained now."""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

from trainer.commands import finetune
from trainer.errors import UserError
from trainer.formatting import file_size, moment
from trainer.runs.follower import view_of
from trainer.runs.process import stop_trainer
from trainer.runs.run import Run, find_run, list_runs
from trainer.runs.storage import delete_run, size_of, sweep
from trainer.runs.train import reopen_run
from trainer.runs.view import EvalPoint
from trainer.settings import Settings
from trainer.training.distributed import Ranks

_ID = "the run's id, as list shows it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """list, or one of the others with a run's id; the newest run is meant where an id is left out of `show`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="all runs, the newest first")
    shown = actions.add_parser("show", help="one run: its state, its error rates, its recipe")
    for printing in (listed, shown):
        printing.add_argument("--json", action="store_true", help="JSON on stdout")
    shown.add_argument("id", nargs="?", help=f"{_ID} (default: the newest)")
    for name, summary in (("stop", "stop one and keep what it learnt"), ("delete", "remove one from the disk")):
        actions.add_parser(name, help=summary).add_argument("id", help=_ID)
    resumed = actions.add_parser("resume", help="go on with one that was stopped or cut off")
    resumed.add_argument("id", help=_ID)
    resumed.add_argument("--quiet", action="store_true", help="no progress bars")


def run(options: argparse.Namespace) -> int:
    """Exit code 0, after `resume` that of a fine-tune.

    Raises UserError where there is no such run, or it cannot be deleted or resumed now.
    """
    settings = Settings.from_env()
    if options.action == "resume":
        run = reopen_run(_find(options.id, settings).folder)
        return finetune.fine_tune(run, settings, Ranks.from_env(), options.quiet, resume=True)
    sweep(settings.runs_dir)
    actions: dict[str, Callable[[argparse.Namespace, Settings], None]] = {
        "list": _list,
        "show": _show,
        "stop": lambda options, settings: stop_trainer(_find(options.id, settings)),
        "delete": lambda options, settings: delete_run(_find(options.id, settings)),
    }
    actions[options.action](options, settings)
    return 0


def _list(options: argparse.Namespace, settings: Settings) -> None:
    runs = [summary_of(run) for run in list_runs(settings.runs_dir)]
    if options.json:
        print(json.dumps(runs, ensure_ascii=False))
        return
    print(f"{'id':<32}{'when':<15}{'state':<13}{'step':>11}{'WER':>8}{'CER':>8}  {'judged by':<10}{'MB':>8}")
    for run in runs:
        step = f"{run['step']}/{run['max_steps']}"
        rates = "".join(f"{run[name]:>8.1%}" if run[name] is not None else f"{'':>8}" for name in ("wer", "cer"))
        when, judged, megabytes = moment(run["created"]), run["judged_by"] or "", run["bytes"] / 1e6
        print(f"{run['id']:<32}{when:<15}{run['state']:<13}{step:>11}{rates}  {judged:<10}{megabytes:>8.1f}")
    most = settings.limits.disk_bytes
    total = f"{file_size(sum(run['bytes'] for run in runs))} in all"
    print(total + (f", of at most {file_size(most)}" if most else ""))


def _show(options: argparse.Namespace, settings: Settings) -> None:
    run = _find(options.id, settings) if options.id else next(iter(list_runs(settings.runs_dir)), None)
    if run is None:
        raise UserError("There are no runs yet.", "Start one: python -m trainer finetune")
    view = view_of(run)
    figures = {
        **summary_of(run),
        "minutes": round(view.elapsed(time.time()) / 60, 1),
        "before": _rates(view.untrained_test if view.test else view.baseline),
        "validation": _rates(view.best),
        "test": _rates(view.test),
        "what": view.what,
        "todo": view.todo,
        "notes": view.notes,
        "model": str(run.model) if run.has_model else None,
        "data": dataclasses.asdict(view.data) if view.data else None,
        "recipe": run.recipe().to_dict(),
    }
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
        return
    for name, value in (figures | {"created": moment(run.created)}).items():
        if value not in (None, "", [], {}):
            print(f"{name:<10} {json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value}")


def summary_of(run: Run) -> dict[str, Any]:
    """One run in a line: rates are fractions of the kept model, None where there is none yet.

    `judged_by` is the split that they are of: "test", or "validation" where the test split was not read (yet);
    `created` is in seconds since the epoch.
    """
    view = view_of(run)
    return {
        "id": run.id,
        "created": run.created,
        "state": view.state,
        "step": view.step,
        "max_steps": view.max_steps,
        **_rates(view.test or view.best),
        "judged_by": view.judged_by,
        "bytes": size_of(run),
    }


def _rates(evaluation: EvalPoint | None) -> dict[str, float | None]:
    return {name: getattr(evaluation, name, None) for name in ("wer", "cer")}


def _find(run_id: str, settings: Settings) -> Run:
    run = find_run(settings.runs_dir, run_id)
    if run is None:
        raise UserError("There is no run with this id.", "See them all: python -m trainer runs list")
    return run
