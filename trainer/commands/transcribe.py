"""python -m trainer transcribe: one text a file."""

import argparse
import dataclasses
import json
import sys

from trainer.errors import UserError
from trainer.models.bases import folder_of
from trainer.settings import Settings
from trainer.transcription.session import transcribe_with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model and the files."""
    parser.add_argument("--model", required=True, help="a Hub id, or the folder of a model")
    parser.add_argument("--format", default="text", choices=("text", "json"), help="json: with times and confidence")
    parser.add_argument("files", nargs="+", metavar="FILE")


def run(options: argparse.Namespace) -> int:
    """Goes on past a bad file; its error goes to stderr, and the exit code is then 1."""
    settings = Settings.from_env()
    folder = folder_of(options.model)
    failed = 0
    for file in options.files:
        try:
            transcript = transcribe_with(file, folder, settings)
        except UserError as error:
            print(f"{file}: {error}", file=sys.stderr)
            failed = 1
            continue
        if options.format == "json":
            print(json.dumps({"file": file, **dataclasses.asdict(transcript)}, ensure_ascii=False), flush=True)
        else:
            print(transcript.text, flush=True)
    return failed
