"""python -m trainer transcribe: one text a file."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from trainer.errors import UserError
from trainer.models.bases import folder_of
from trainer.runs.run import LOCAL_OWNER
from trainer.settings import Settings
from trainer.transcription.choices import choice_here, folder_of_choice
from trainer.transcription.session import transcribe_with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model and the files."""
    parser.add_argument(
        "--model", help="a Hub id, or the folder of a model (default: your newest, else the practice model)"
    )
    parser.add_argument("--format", default="text", choices=("text", "json"), help="json: with times and confidence")
    parser.add_argument("files", nargs="+", metavar="FILE")


def run(options: argparse.Namespace) -> int:
    """Goes on past a bad file; its error goes to stderr, and the exit code is then 1."""
    settings = Settings.from_env()
    folder = folder_of(options.model) if options.model else _folder_here(settings)
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


def _folder_here(settings: Settings) -> Path:
    """The model that needs no download; which one it is goes to stderr, so that stdout stays the texts alone."""
    choice = choice_here(settings, LOCAL_OWNER)
    folder = folder_of_choice(choice.value, settings, LOCAL_OWNER)
    print(f"{choice.label}: {folder}", file=sys.stderr)
    return folder
