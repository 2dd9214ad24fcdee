"""The one reader of people's tables: csv, tsv and JSON lines, with what the columns mean.

What is not certain is refused with the number of the line: a table that is read amiss teaches wrong words in silence.
Nothing here looks for the sounds: that is `speech.audio_files`.
"""

import csv
import io
import json
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.formatting import file_size
from trainer.speech.clips import Split, printable, split_named

MOST_BYTES = 128 * 2**20  # of a table; the largest training list of Common Voice has some 400 MB, a usual one 10
MOST_ROWS = 500_000
MOST_FIELD = 100_000  # characters; csv's own limit, which any library may change, is 131,072
SUFFIXES = (".csv", ".tsv", ".jsonl")  # in any case
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# Longer marks first: UTF-32's begins like UTF-16's.
_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_NO_TEXT = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"PAR1")  # xlsx and ods, xls, gzip, Parquet
PATHS = (
    *("path", "file", "file_name", "filename", "file_path", "filepath", "clip", "wav", "wav_filename"),
    *("audio", "audio_file", "audio_path", "audio_filepath", "audio_filename", "audio_file_name"),
)
_MEANINGS = {
    "path": PATHS,
    "text": ("text", "sentence", "transcription", "transcript"),
    "split": ("split", "subset", "partition"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk_id"),
    "language": ("language", "locale", "lang", "language_code"),
}
_REQUIRED = ("path", "text")
_SAVE = "Save it as UTF-8: in Excel “CSV UTF-8”, elsewhere the encoding UTF-8."


@dataclass(frozen=True)
class Row:
    """One line of a table, all as written but for spaces around it. `line` counts from 1, as editors do."""

    line: int
    path: str
    text: str
    split: Split = ""
    speaker: str = ""
    language: str = ""


@dataclass(frozen=True)
class Table:
    """`said`: what was found, for people: "t.csv (6 rows, separated by commas)"."""

    name: str
    rows: list[Row]
    said: str


def read_table(file: Path, name: str) -> Table:
    """Rows of a table with a header, or of JSON lines. `name` is what people are told it is called.

    Raises UserError, with the line where there is one, for what cannot be read for certain.
    """
    text, encoding = _text_of(file, name)
    if file.suffix.lower() == ".jsonl":
        return _made(name, list(_json_rows(text, name)), [encoding])
    lines, separator = _lines(text)
    head, columns, separator = _header(lines, separator, name)
    rows, empty = [], 0
    for line, fields in _records(lines, head, separator, name):
        if not any(fields):
            empty += 1
            continue
        rows.append(_row({meaning: fields[column] for meaning, column in columns.items()}, line, name))
        _refuse_too_many(len(rows), name)
    skipped = f"{empty} empty ones skipped" if empty > 1 else "an empty one skipped" if empty else ""
    return _made(name, rows, [skipped, f"separated by {_SEPARATORS[separator]}", encoding])


def is_ljspeech(file: Path, name: str) -> bool:
    """Whether it has LJSpeech's lines, without a header: id|as printed|as said."""
    lines, separator = _lines(_text_of(file, name)[0])
    first = next(filter(str.strip, lines), "")
    meant = _meanings(_names(first.split("|")))
    return separator is None and first.count("|") in (1, 2) and not any(meant[meaning] for meaning in _REQUIRED)


def read_ljspeech(file: Path, name: str) -> Table:
    """LJSpeech's metadata.csv: the words as they are said ("eighteen" for "18") where a row has them."""
    text, encoding = _text_of(file, name)
    rows: list[Row] = []
    for line, content in enumerate(io.StringIO(text, newline=None), 1):
        fields = [field.strip() for field in content.split("|")]
        if not any(fields):
            continue
        if len(fields) not in (2, 3):
            raise _wrong_number(line, name, len(fields), 3, "|")
        rows.append(Row(line, fields[0], fields[-1] or fields[1]))
        _refuse_too_many(len(rows), name)
    return _made(name, rows, ["as LJSpeech has it, separated by bars", encoding])


def read_transcripts(file: Path, name: str) -> list[Row]:
    """LibriSpeech's *.trans.txt: an id, a space, and the words."""
    rows: list[Row] = []
    for line, content in enumerate(io.StringIO(_text_of(file, name)[0], newline=None), 1):
        path, _, text = content.strip().partition(" ")
        if path:
            rows.append(Row(line, path, text.strip(), speaker=path.split("-")[0]))
            _refuse_too_many(len(rows), name)
    return rows


def columns_of(names: Sequence[str], table: str) -> dict[str, int]:
    """Which column means what: "path", "text" and, where there are any, "split", "speaker", "language".

    Case, spaces, hyphens and underscores do not matter. Raises UserError where one is missing or two could be meant.
    """
    names = _names(names)
    for number, name in enumerate(names):
        if name and name in names[:number]:
            raise UserError(f"{table} has two columns named “{printable(name)}”.", "Rename or delete one of them.")
    found: dict[str, int] = {}
    for meaning, columns in _meanings(names).items():
        if len(columns) > 1:
            both = " or ".join(f"“{names[column]}”" for column in columns)
            raise UserError(f"In {table} the {meaning} could be the column {both}.", "Rename or delete one of them.")
        if columns:
            found[meaning] = columns[0]
        elif meaning in _REQUIRED:
            has = ", ".join(f"“{printable(name, 20)}”" for name in names[:8] if name) or "nothing"
            raise UserError(
                f"{table} has no column “{meaning}”: its first line reads {has}.",
                "Its first line names the columns: “path” for the file of each clip, “text” for what is said in it.",
            )
    return found


def _meanings(names: Sequence[str]) -> dict[str, list[int]]:
    return {
        meaning: [column for column, name in enumerate(names) if name in words] for meaning, words in _MEANINGS.items()
    }


def _names(header: Sequence[str]) -> list[str]:
    """Header fields as they are compared: "\ufeff File-Name" is "file_name"."""
    plain = (unicodedata.normalize("NFKC", name).replace("\ufeff", "").replace("\u200b", "") for name in header)
    return [re.sub(r"[\s_-]+", "_", name.strip(" \t\r\n\xa0'\"").casefold()) for name in plain]


def _text_of(file: Path, name: str) -> tuple[str, str]:
    """A table's text, and its encoding for people ("" where it is the usual one). Raises UserError."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for for ever
            raise UserError(f"{name} is not a file.", "Put a table (tsv or csv) in its place.")
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"I cannot open {name}.", "See that you may read it.") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"{name} is larger than {file_size(MOST_BYTES)}.", "Leave fewer rows in it.")
    if data.startswith(_NO_TEXT):
        raise UserError(f"{name} is not a text but a workbook or an archive.", "Export it as CSV, in UTF-8.")
    encoding = next((codec for mark, codec in _MARKS if data.startswith(mark)), _unmarked(data))
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise UserError(f"{name} is cut off or not the {encoding.upper()} that it seems.", _SAVE) from error
        line = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
        what = f"{name} is not in UTF-8: line {line} has a letter in another encoding, such as Windows-1252."
        raise UserError(what, _SAVE) from error
    if "\0" in text:
        raise UserError(f"{name} holds null characters, which no text has.", _SAVE)
    return text, "" if encoding == "utf-8-sig" else encoding.upper()


def _unmarked(data: bytes) -> str:
    """UTF-16 shows by its zeros: a header's first letters are Latin."""
    if len(data) > 3 and data[0] and data[2] and not data[1] | data[3]:
        return "utf-16-le"
    return "utf-16-be" if len(data) > 3 and data[1] and data[3] and not data[0] | data[2] else "utf-8-sig"


def _lines(text: str) -> tuple[list[str], str | None]:
    """Lines, whatever ends them, and the separator that Excel's first line ("sep=;") names; that line is then empty."""
    lines = list(io.StringIO(text, newline=None))
    named = re.fullmatch(r'"?sep=(.)"?[,;\t|]*\n?', lines[0]) if lines else None
    if named and named[1] in _SEPARATORS:
        return ["\n", *lines[1:]], named[1]
    return lines, None


def _header(lines: list[str], separator: str | None, name: str) -> tuple[tuple[int, int], dict[str, int], str]:
    """(Lines up to and with the header, its fields), its columns, and the separator: the one that shows the most.

    Raises UserError.
    """
    above = next((number for number, line in enumerate(lines) if line.strip(" \t\r\n,;|")), len(lines))
    line = lines[above] if above < len(lines) else ""

    def fields(separator: str) -> list[str]:
        try:
            return next(csv.reader([line], delimiter=separator, **_style(separator)), [])
        except csv.Error:
            return []  # a quotation mark that does not close: not by this separator

    def known(separator: str) -> tuple[int, int]:
        names = fields(separator)
        return sum(bool(found) for found in _meanings(_names(names)).values()), len(names)

    separator = separator or max(_SEPARATORS, key=known)
    names = fields(separator)
    while names and not names[-1].strip():  # of separators at the end of each line
        names.pop()
    return (above + 1, len(names)), columns_of(names, name), separator


def _style(separator: str) -> dict[str, Any]:
    """Quotes are ordinary characters between tabs and bars, which a field cannot hold there."""
    quoted = separator in ",;"
    return {"quoting": csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, "strict": True, "skipinitialspace": True}


def _records(lines: list[str], head: tuple[int, int], separator: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """(Line, fields) of each row below the header, as many fields as that has. Raises UserError with the line."""
    above, width = head
    style = _style(separator)
    reader = csv.reader(lines[above:], delimiter=separator, **style)
    while True:
        line = above + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "limit" in str(error):  # csv gives no number; the words are those of its source
                raise _too_long(line, name) from error
            fields = _spoken_of(lines[line - 1 : above + reader.line_num], separator)
            if not fields:
                raise _open_quote(line, name) from error
        if any("\n" in field and separator in field for field in fields):
            raise _open_quote(line, name)
        if any(len(field) > MOST_FIELD for field in fields):
            raise _too_long(line, name)
        fields = [" ".join(field.split("\n")).strip() for field in fields]
        if style["quoting"] == csv.QUOTE_NONE:
            fields = [_unwrapped(field) for field in fields]
        if any(fields) and (len(fields) < width or any(fields[width:])):
            raise _wrong_number(line, name, len(fields), width, separator)
        yield line, fields


def _spoken_of(lines: list[str], separator: str) -> list[str]:
    """The fields of a line whose closed quotation marks are words, as in `a.wav,"Yes" he said`; [] of others."""
    if len(lines) != 1 or lines[0].count('"') % 2:
        return []
    return next(csv.reader(lines, delimiter=separator, skipinitialspace=True), [])


def _unwrapped(field: str) -> str:
    """A field that a program put into quotation marks, without them; one that has its own stays."""
    wrapped = len(field) > 1 and field[0] == field[-1] == '"' and '"' not in field[1:-1].replace('""', "")
    return field[1:-1].replace('""', '"') if wrapped else field


def _json_rows(text: str, name: str) -> Iterator[Row]:
    for line, content in enumerate(io.StringIO(text, newline=None), 1):
        if not content.strip():
            continue
        _refuse_too_many(line, name)
        try:
            pairs = json.loads(content, object_pairs_hook=list) if len(content) <= MOST_FIELD else None
        except (ValueError, RecursionError):
            pairs = None
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
            raise UserError(f"Line {line} of {name} is not a JSON object.", "Each line is one, with “path” and “text”.")
        columns = columns_of([key for key, _ in pairs], f"Line {line} of {name}")
        values = {meaning: pairs[column][1] for meaning, column in columns.items()}
        if not all(value is None or isinstance(value, str | int) for value in values.values()):
            raise UserError(f"Line {line} of {name} has a list or an object in place of a word.", "Write plain text.")
        yield _row({meaning: "" if value is None else str(value) for meaning, value in values.items()}, line, name)


def _row(values: dict[str, str], line: int, name: str) -> Row:
    split = split_of(values.get("split", ""), f"Line {line} of {name}")
    text = " ".join(values["text"].split())
    path = values["path"].strip(" \ufeff\u200b")  # of a table that was put together from two
    return Row(line, path, text, split, values.get("speaker", ""), values.get("language", ""))


def split_of(written: str, place: str) -> Split:
    """Which split a field names. Raises UserError for a word that names none."""
    split = split_named(written)
    if split is None:
        what = f"{place} names a split that I do not know: “{printable(written, 30)}”."
        raise UserError(what, "Write train, validation or test, or leave it empty.")
    return split


def _made(name: str, rows: list[Row], facts: list[str]) -> Table:
    count = f"{len(rows):,} rows" if len(rows) != 1 else "1 row"
    return Table(name, rows, f"{name} ({', '.join(filter(None, [count, *facts]))})")


def _refuse_too_many(count: int, name: str) -> None:
    if count > MOST_ROWS:
        raise UserError(f"{name} has more than {MOST_ROWS:,} rows.", "Leave fewer rows in it.")


def _too_long(line: int, name: str) -> UserError:
    what = f"Line {line} of {name} has a field of more than {MOST_FIELD:,} characters."
    return UserError(what, "Shorten it, or close the quotation mark that swallows what follows.")


def _open_quote(line: int, name: str) -> UserError:
    return UserError(
        f'In line {line} of {name} a quotation mark (") opens that does not close before the line ends.',
        'Close it, or write it twice ("") within a text that stands in quotation marks.',
    )


def _wrong_number(line: int, name: str, found: int, width: int, separator: str) -> UserError:
    sign = {"\t": "tab", "|": "bar", ";": "semicolon"}.get(separator, "comma")
    todo = f"Put a text that holds a {sign} in quotation marks."
    if found < width:
        todo = f"Write a {sign} for each empty field too."
    elif separator not in ",;":
        todo = f"A field cannot hold a {sign}: take it out."
    return UserError(f"Line {line} of {name} has {found} fields where {width} belong.", todo)
