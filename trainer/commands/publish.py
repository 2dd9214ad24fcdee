"""python -m trainer publish: a run's model on the Hub, signed by the login of this computer."""

import argparse
import json
import sys

from tqdm import tqdm

from trainer.errors import UserError
from trainer.publishing.options import LICENCES, PublishOptions, suggested_name
from trainer.publishing.plots import picture
from trainer.publishing.publish import Hub, Receipt, publish, who_signs
from trainer.runs.follower import view_of
from trainer.runs.run import Run, find_run, list_runs
from trainer.settings import Settings
from trainer.speech.locales import locale_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and what becomes of it."""
    parser.add_argument("id", nargs="?", help="the run (default: the newest with a model)")
    add_sharing(parser, "--name", "on the Hub: a name, or owner/name (default: made from the run's id)")
    parser.add_argument("--json", action="store_true", help="the publication as JSON on stdout")


def add_sharing(parser: argparse.ArgumentParser, name: str, explained: str) -> None:
    """The options that `finetune` has as well."""
    parser.add_argument(name, metavar="NAME", help=explained)
    parser.add_argument("--public", action="store_true", help="for everybody to see (default: only for you)")
    parser.add_argument(
        "--licence",
        default="apache-2.0",
        choices=tuple(LICENCES),
        help="that others may use it by (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the address and three lines that use the model; exit code 0. Raises UserError."""
    run_ = _find(options.id, Settings.from_env())
    receipt = share(run_, options.name, options.public, options.licence)
    if options.json:
        figures = {name: getattr(receipt, name) for name in ("repo_id", "url", "private", "commit", "files")}
        print(json.dumps(figures, ensure_ascii=False))
    else:
        print(f"{receipt.url}\n\n{receipt.usage}")
    return 0


def check_sharing(options: argparse.Namespace) -> None:
    """Whether `--share` can work: a name that will do, and a login that may write. Raises UserError."""
    PublishOptions(options.share, not options.public, options.licence)
    who_signs(True, Hub())


def share(run_: Run, name: str | None, public: bool, licence: str, quiet: bool = False) -> Receipt:
    """Publish with a progress bar. huggingface_hub reads this computer's login by itself. Raises UserError."""
    options = PublishOptions(name or suggested_name(run_.id), not public, licence)
    curves = picture(view_of(run_), locale_of(run_.recipe().locale))
    with tqdm(desc="sharing", unit="B", unit_scale=True, file=sys.stderr, disable=quiet) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        return publish(run_, options, True, curves, Hub(), show)


def _find(run_id: str | None, settings: Settings) -> Run:
    if run_id:
        run_ = find_run(settings.runs_dir, run_id)
        if run_ is None:
            raise UserError("There is no run with this id.", "See them all: python -m trainer runs list")
        return run_
    newest = next((run_ for run_ in list_runs(settings.runs_dir) if run_.has_model), None)
    if newest is None:
        raise UserError("There is no run with a model yet.", "Start one: python -m trainer finetune")
    return newest
