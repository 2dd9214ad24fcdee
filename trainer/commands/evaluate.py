"""python -m trainer evaluate: a model's error rates on clips of a locale."""

import argparse
import json
import time

from trainer.settings import Settings
from trainer.speech.locales import locale_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--split test is what training never saw, with the seed that the run had."""
    parser.add_argument("--model", required=True, help="a Hub id, or the folder of a model")
    parser.add_argument("--locale", help="default: the model's own, or en-US")
    parser.add_argument("--data", default="auto", help="auto | minds14 | practice | a folder (default: %(default)s)")
    parser.add_argument("--split", default="test", choices=("train", "test", "all"))
    parser.add_argument("--seed", type=int, default=42, help="of the split (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    """Prints the figures; exit code 0."""
    # torch takes seconds to import, so only when this command is really run.
    from trainer.models.bases import folder_of
    from trainer.models.loading import open_checkpoint, read_notes
    from trainer.speech.dataset import Preparation, split_clips
    from trainer.speech.sources import open_source
    from trainer.training.evaluating import evaluate

    settings = Settings.from_env()
    folder = folder_of(options.model)
    locale = locale_of(options.locale or read_notes(folder).get("locale") or "en-US")
    checkpoint = open_checkpoint(folder)
    source = open_source(options.data, locale, settings)
    prepare = Preparation(locale, checkpoint.vocabulary.case, settings, checkpoint.frames)
    dataset = prepare(source, split_clips(source.clips, locale, options.seed))
    examples = {"train": dataset.train, "test": dataset.test, "all": dataset.train + dataset.test}[options.split]
    started = time.perf_counter()
    result = evaluate(checkpoint, examples, locale)
    figures = {
        "wer": result.rates.wer,
        "cer": result.rates.cer,
        "loss": result.loss,
        "clips": len(examples),
        "seconds": round(time.perf_counter() - started, 3),
        "audio_seconds": round(sum(example.seconds for example in examples), 3),
        "left_out": dict(dataset.left_out),
        "locale": locale.code,
        "data": source.kind,
        "split": options.split,
    }
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
    else:
        print(f"WER {result.rates.wer:.1%} · CER {result.rates.cer:.1%} on {len(examples)} clips of {source.title}")
    return 0
