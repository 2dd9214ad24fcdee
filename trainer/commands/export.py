"""python -m trainer export: a model as an ONNX file, with a script that uses it without Transformers."""

import argparse
import sys
from pathlib import Path

from trainer.models.base_ref import parse_base
from trainer.models.resolve import find_model
from trainer.runs.run import LOCAL_OWNER
from trainer.settings import Settings, typed_path
from trainer.transcription.model_list import choice_here, folder_of_choice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and where its files go."""
    parser.add_argument(
        "model", nargs="?", help="a Hub id, or the folder of a model (default: your newest, else the practice model)"
    )
    parser.add_argument(
        "--out",
        default="onnx",
        metavar="FOLDER",
        help="for model.onnx, vocab.json and transcribe_onnx.py (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the graph's path; exit code 0. Raises UserError."""
    from trainer.models.ctc_model import open_checkpoint
    from trainer.models.model_files import read_model
    from trainer.models.onnx_export import export_onnx
    from trainer.models.onnx_files import GRAPH, check_exportable

    settings = Settings.from_env()
    if options.model:
        files = find_model(parse_base(options.model, on_space=settings.on_space), settings)
    else:
        choice = choice_here(settings, LOCAL_OWNER)
        print(choice.label, file=sys.stderr)
        files = read_model(folder_of_choice(choice.value, settings, LOCAL_OWNER), settings.max_load_bytes)
    check_exportable(files.config)  # before the weights are read
    folder = Path(typed_path(options.out))
    export_onnx(open_checkpoint(files), folder)
    print(folder / GRAPH)
    return 0
