"""python -m trainer evaluate: a model's error rates on clips of a locale."""

import argparse
import dataclasses
import json

from trainer.api import evaluate
from trainer.commands.console import whole_number
from trainer.speech.locales import LOCALES

DATA = "auto (MInDS-14, or practice where the Hub is out of reach) | minds14 | practice | a folder or its table"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--split test is what the run never saw, with the seed that it had; validation is what its model was chosen by."""
    parser.add_argument("--model", required=True, help="a Hub id, or the folder of a model")
    parser.add_argument("--locale", help=f"one of {', '.join(LOCALES)} (default: the model's own, or en-US)")
    parser.add_argument("--data", default="auto", help=f"{DATA} (default: %(default)s)")
    parser.add_argument(
        "--split",
        default="test",
        choices=("train", "validation", "test", "all"),
        help="which clips: test is what the run never saw (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=whole_number, default=42, help="by which clips were split; the run's own (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    """Prints the figures; exit code 0."""
    report = evaluate(options.model, locale=options.locale, data=options.data, split=options.split, seed=options.seed)
    if options.json:
        figures = {name: value for name, value in dataclasses.asdict(report).items() if name != "title"}
        print(json.dumps(figures, ensure_ascii=False))
    else:
        print(f"WER {report.wer:.1%} · CER {report.cer:.1%} on {report.clips} clips of {report.title}")
    return 0
