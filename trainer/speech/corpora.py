"""Folders of recordings: one's own with a table, and the layouts of published corpora as they are unpacked.

Common Voice, a Hugging Face AudioFolder, LJSpeech, LibriSpeech, and Parquet in MInDS-14's schema.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import UserError
from trainer.settings import typed_path
from trainer.speech import tables
from trainer.speech.audio_files import LINK, AudioFiles
from trainer.speech.clips import LeftOut, RawClip, Split, example, printable, split_named
from trainer.speech.locales import Locale
from trainer.speech.tables import Row, Table

MOST_FOLDERS = 20_000  # that are looked through for transcripts; all of LibriSpeech has some 5,800
_FOR: dict[Split, str] = {"train": "train on", "validation": "validate on", "test": "test on"}
_DEPTH = 4  # LibriSpeech/train-clean-100/19/198
_TRANSCRIPTS = ".trans.txt"
_ONE_TABLE = "Put one .tsv or .csv file beside the audio, with the columns “path” and “text”."
_HIDDEN = (".", "~$", "__MACOSX")  # ._t.csv is Apple's note about t.csv; ~$t.csv Office's lock


@dataclass(frozen=True)
class Corpus:
    """Clips of one locale. `said`: what was read, a sentence for people."""

    clips: list[RawClip]
    left_out: LeftOut
    said: str


@dataclass(frozen=True)
class _Part:
    """A table, transcript or Parquet file, and the split that its name or folder says."""

    file: Path
    split: Split = ""


@dataclass(frozen=True)
class _Layout:
    """Which files of a folder are read, as what, and which tables are not."""

    home: Path
    kind: str  # table | transcripts | parquet
    parts: list[_Part]
    aside: list[Path]


def read_folder(typed: str, locale: Locale) -> Corpus:
    """The clips of a folder, or of the folder of a table. Raises UserError where there are none, with why."""
    path = recordings_path(typed)
    layout = _layout_of(path, locale) if path.is_dir() else _Layout(path.parent, "table", [_Part(path)], [])
    return _Reader(layout.home, locale).read(layout)


def recordings_path(typed: str) -> Path:
    """The folder of recordings, or its table, that a person means. Raises UserError where there is none.

    As `typed_path` reads it.
    """
    try:
        path = typed_path(typed)
        found = path.is_dir() or (_is_table(path) and path.is_file())
    except PermissionError as error:
        raise _closed() from error
    except OSError:  # far too long
        found = False
    if not found:
        raise UserError(
            "I cannot find that folder of recordings.",
            "Give the whole path of a folder that holds audio files and a table (tsv or csv) of what is said in them.",
        )
    return path


class _Reader:
    """Reads one folder's layout for one locale."""

    def __init__(self, home: Path, locale: Locale) -> None:
        self.home, self.locale = home, locale
        self.files = AudioFiles(home)
        self.left_out = LeftOut()

    def read(self, layout: _Layout) -> Corpus:
        """Raises UserError where no clip is left."""
        read = {"table": self._table, "transcripts": self._transcripts, "parquet": self._parquet}[layout.kind]
        clips: list[RawClip] = []
        said: list[str] = []
        for part in layout.parts:
            found, what = read(part)
            clips += found
            said.append(what)
        if layout.kind == "transcripts":
            said = [f"the transcripts of {len(said):,} folders" if len(said) > 1 else said[0]]
        aside = f" Not read: {_names(self._name(file) for file in layout.aside)}." if layout.aside else ""
        if not clips:
            names = _names(self._name(part.file) for part in layout.parts)
            raise UserError(
                f"The table {names} lists no clips for {self.locale.english}"
                + (f" that I can use: {self.left_out.say()}." if self.left_out else "."),
                "It needs one row a clip, with the columns “path” and “text”.",
            )
        marks = Counter(clip.split for clip in clips)
        marked = ", ".join(f"{marks[split]:,} to {_FOR[split]}" for split in _FOR if marks[split])
        marked = f" Marked: {marked}." if marked else ""
        return Corpus(clips, self.left_out, f"I read {' and '.join(said)}.{marked}{aside}")

    def _name(self, file: Path) -> str:
        return printable(file.relative_to(self.home).as_posix(), 80)

    def _table(self, part: _Part) -> tuple[list[RawClip], str]:
        name = self._name(part.file)
        if self.files.find(part.file.name, part.file.parent) == LINK:
            raise UserError(f"{name} is a link that leads out of the folder.", "Copy the table itself there.")
        ljspeech = part.file.stem.lower() == "metadata" and (part.file.parent / "wavs").is_dir()
        if ljspeech and tables.is_ljspeech(part.file, name):
            table = tables.read_ljspeech(part.file, name)
        else:
            table = tables.read_table(part.file, name)
        return list(self._clips(table, part)), table.said

    def _transcripts(self, part: _Part) -> tuple[list[RawClip], str]:
        name = self._name(part.file)
        rows = tables.read_transcripts(part.file, name)
        return list(self._clips(Table(name, rows, name), part)), name

    def _clips(self, table: Table, part: _Part) -> Iterator[RawClip]:
        # A Hugging Face AudioFolder's splits are its folders; a table of one's own may have a folder "test" by chance.
        by_folder = part.file.stem.lower() == "metadata"
        for row in table.rows:
            place = f"line {row.line} of {table.name}"
            found = self._usable(row, part.file.parent, place)
            if found is None:
                continue
            named = found.relative_to(self.files.home).as_posix()
            folder = split_named(row.path.replace("\\", "/").split("/")[0]) if by_folder else None
            split = row.split or part.split or folder or ""
            yield RawClip(printable(named, 200), found, row.text, split, row.speaker or None, place)

    def _usable(self, row: Row, base: Path, place: str) -> Path | None:
        """The sound of a row; None, counted, where it is not to be learnt from."""
        if row.language and not self.locale.is_spoken_as(row.language):
            self.left_out.add("in another language", example(row.language, place))
        elif not any(map(str.isalnum, row.text)):
            self.left_out.add("without a transcript", place)
        elif "\ufffd" in row.text:
            self.left_out.add("with letters lost to an encoding (�)", place)
        elif not row.path:
            self.left_out.add("without the name of a file", place)
        else:
            found = self.files.find(row.path, base)
            if isinstance(found, Path):
                return found
            self.left_out.add(found, example(_inside(row.path), place))
        return None

    def _parquet(self, part: _Part) -> tuple[list[RawClip], str]:
        from trainer.speech.parquet import parquet_clips  # pyarrow: only where there is such a file

        name = self._name(part.file)
        clips = list(parquet_clips(part.file, name, part.split, self.locale, self.left_out))
        return clips, name


def _inside(written: str) -> str:
    """A path as a table has it, without the folders of whole paths: they are of somebody's computer."""
    plain = written.replace("\\", "/")
    whole = plain.startswith(("/", "~")) or plain[1:2] == ":"
    return f"…/{plain.rsplit('/', 1)[-1]}" if whole else written


def _layout_of(home: Path, locale: Locale, depth: int = 3) -> _Layout:
    """What kind of folder it is. Raises UserError where that is in doubt."""
    if found := _tables_in(home):
        return _choose(home, found)
    folders = [folder for folder in _visible(home) if folder.is_dir()]
    by_split = [
        _Part(part.file, split)
        for folder in folders
        if (split := split_named(folder.name))
        for part in _choose(folder, _tables_in(folder)).parts
    ]
    if by_split:
        return _Layout(home, "table", by_split, [])
    if parts := list(_transcripts_in(home)):
        return _Layout(home, "transcripts", parts, [])
    if parts := list(_parquet_in(home, locale)):
        return _Layout(home, "parquet", parts, [])
    # As archives unfold: cv-corpus-24.0/de/validated.tsv
    spoken = [folder for folder in folders if locale.is_spoken_as(folder.name)] or folders
    if len(spoken) == 1 and depth:
        return _layout_of(spoken[0], locale, depth - 1)
    seen = _names(file.name for file in _visible(home) if file.is_file() and file.suffix.lower() not in ("", ".md"))
    raise UserError("The folder should hold one table, and I see 0" + (f" (but {seen})." if seen else "."), _ONE_TABLE)


def _choose(home: Path, found: list[Path]) -> _Layout:
    """The tables of a folder to be read: its splits' (train.tsv, dev.tsv), else validated.tsv or metadata.csv, or
    the only one. Raises UserError where several could be meant."""
    splits = [(file, split) for file in found if (split := split_named(file.stem))]
    names = [split for _, split in splits]
    whole = [file for file in found if file.stem.lower() in ("validated", "metadata")]
    if splits and len(set(names)) == len(names) and ("train" in names or len(splits) == len(found)):
        parts = [_Part(file, split) for file, split in splits]
    elif len(whole) == 1:
        parts = [_Part(whole[0])]
    elif len(found) < 2:
        parts = [_Part(file) for file in found]
    else:
        raise UserError(
            f"The folder should hold one table, and I see {len(found)}: {_names(file.name for file in found)}.",
            "Keep one of them there, or name them train and test.",
        )
    taken = {part.file for part in parts}
    return _Layout(home, "table", parts, [file for file in found if file not in taken])


def _names(names: Iterable[str]) -> str:
    """The first few, for a sentence."""
    whole = [printable(name, 40) for name in names]
    return ", ".join(whole[:4]) + (f" and {len(whole) - 4} more" if len(whole) > 4 else "")


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith(_HIDDEN))
    except OSError as error:
        raise _closed() from error


def _closed() -> UserError:
    return UserError("I may not look into that folder of recordings.", "See that you may read it.")


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in tables.SUFFIXES and not file.name.startswith(_HIDDEN) and not file.is_dir()


def _tables_in(folder: Path) -> list[Path]:
    return [file for file in _visible(folder) if _is_table(file)]


def _transcripts_in(home: Path) -> Iterator[_Part]:
    """LibriSpeech's: a folder a speaker and chapter, below folders such as train-clean-100 and dev-other."""
    for number, (folder, inner, names) in enumerate(os.walk(home)):
        if number == MOST_FOLDERS:
            return  # somebody's whole disk
        above = Path(folder).relative_to(home).parts
        inner[:] = sorted(name for name in inner if not name.startswith(_HIDDEN)) if len(above) < _DEPTH else []
        said = (split_named(part.split("-")[0]) for part in above)
        split: Split = next((found for found in said if found), "")
        for name in sorted(names):
            if name.endswith(_TRANSCRIPTS) and not name.startswith(_HIDDEN):
                yield _Part(Path(folder, name), split)


def _parquet_in(home: Path, locale: Locale) -> Iterator[_Part]:
    """As a data set lies on the Hub: train-00000-of-00001.parquet, here or in a folder of its own ("de-DE", "data")."""
    own = sorted((home / locale.code).glob("*.parquet"))
    for file in own or sorted([*home.glob("*.parquet"), *home.glob("*/*.parquet")]):
        if file.is_file() and not any(part.startswith(_HIDDEN) for part in file.relative_to(home).parts):
            yield _Part(file, split_named(file.stem.split("-")[0]) or "")
