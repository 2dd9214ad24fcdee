"""python -m trainer transcribe: one text a file, or one file a file."""

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.api import folder_of_model, transcribe
from trainer.commands.console import explain
from trainer.errors import UserError
from trainer.runs.run import LOCAL_OWNER
from trainer.settings import Settings, typed_path
from trainer.speech.audio_files import SUFFIXES
from trainer.transcription.model_list import choice_here, folder_of_choice
from trainer.transcription.subtitles import WRITERS, Format, write

PRINTED = ("text", "json")  # formats that are printed where no folder is named; the others are files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model and the files."""
    parser.add_argument(
        "--model", help="a Hub id, or the folder of a model (default: your newest, else the practice model)"
    )
    parser.add_argument(
        "--format",
        default="text",
        choices=("text", *WRITERS),
        help="text: a line a file; json: an object a line, with times in seconds and confidence; txt, srt, vtt and "
        "tsv: a file beside each sound, in paragraphs, as subtitles or word by word (default: %(default)s)",
    )
    parser.add_argument("--output", metavar="FOLDER", help="where to write a file for each sound")
    parser.add_argument("--words", default="", metavar="WORDS", help="names and words to listen for, between commas")
    parser.add_argument(
        "--no-phrases",
        dest="phrases",
        action="store_false",
        help="spell by sound alone, without the words and phrases that the model knows",
    )
    parser.add_argument(
        "--language",
        default="",
        metavar="CODE",
        help="what is spoken, as en, de or zh, for a model of many languages such as Whisper (default: it finds out)",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="sounds or films of any usual kind, or folders")


def run(options: argparse.Namespace) -> int:
    """Goes on past a bad file; its error goes to stderr, and the exit code is then 1."""
    settings = Settings.from_env()
    folder = folder_of_model(options.model, settings) if options.model else _folder_here(settings)
    failed = 0
    found, missing = _sounds(options.files)
    for name, why in missing:
        print(f"{name}: {explain(why)}", file=sys.stderr)
        failed = 1
    for (name, path, _), target in zip(found, _targets(found, options), strict=True):
        try:
            if target is not None and target.exists():
                raise UserError(f"{target.name} is there already.", "Move it away, or name another folder to write to.")
            transcript = transcribe(
                path,
                folder,
                words=options.words,
                phrases=options.phrases,
                language=options.language,
                settings=settings,
            )
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(write(transcript, _kind(options)), encoding="utf-8")
                print(target, flush=True)
            elif options.format == "json":
                print(json.dumps({"file": name, **dataclasses.asdict(transcript)}, ensure_ascii=False), flush=True)
            else:
                print(transcript.text, flush=True)
        except Exception as error:  # whatever it is, the other files are not to blame
            print(f"{name}: {explain(error)}", file=sys.stderr)
            failed = 1
    return failed


Sound = tuple[str, Path, Path]  # as it is called, where it lies, and where in what was asked for


def _sounds(typed: Sequence[str]) -> tuple[list[Sound], list[tuple[str, UserError]]]:
    """Each file, and for each folder the sounds anywhere in it; then what is no path, and folders without any."""
    found: list[Sound] = []
    missing = []
    for name in typed:
        try:
            path = typed_path(name)
        except UserError as error:
            missing.append((name, error))
            continue
        if not path.is_dir():
            found.append((name, path, Path(path.name)))
            continue
        inside = [(str(Path(name) / file.relative_to(path)), file, file.relative_to(path)) for file in _in(path)]
        if not inside:
            missing.append((name, UserError("No sounds are in that folder.", "Name one with recordings in it.")))
        found += inside
    return found, missing


def _in(folder: Path) -> Iterator[Path]:
    return (
        file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def _targets(found: Sequence[Sound], options: argparse.Namespace) -> list[Path | None]:
    """Where each is written: beside the sound, or within the folder that was named; None where it is printed."""
    if options.output is None and options.format in PRINTED:
        return [None] * len(found)
    output = typed_path(options.output) if options.output is not None else None
    places = [output / inside if output else path for _, path, inside in found]
    ending = f".{_kind(options)}"
    plain = Counter(place.with_suffix(ending) for place in places)
    # a.wav and a.mp3 keep the whole of their names: a.wav.srt.
    return [
        place.with_suffix(ending) if plain[place.with_suffix(ending)] == 1 else place.with_name(place.name + ending)
        for place in places
    ]


def _kind(options: argparse.Namespace) -> Format:
    kind: Format = "txt" if options.format == "text" else options.format
    return kind


def _folder_here(settings: Settings) -> Path:
    """The model that needs no download; which one it is goes to stderr, so that stdout stays the texts alone."""
    choice = choice_here(settings, LOCAL_OWNER)
    folder = folder_of_choice(choice.value, settings, LOCAL_OWNER)
    print(f"{choice.label}: {folder}", file=sys.stderr)
    return folder
