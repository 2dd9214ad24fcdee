"""Clips in Parquet, as data sets lie on the Hub and the practice set in assets: MInDS-14's schema or one like it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from trainer.errors import UserError
from trainer.formatting import file_size
from trainer.speech.clips import LeftOut, RawClip, Split
from trainer.speech.locales import Locale
from trainer.speech.tables import MOST_ROWS, PATHS, columns_of, split_of

MOST_BYTES = 2 * 2**30  # of one file, unpacked: its sounds are held in memory
_BATCH = 64  # rows unpacked at once


def parquet_clips(file: Path, name: str, split: Split, locale: Locale, left_out: LeftOut) -> Iterator[RawClip]:
    """The clips of a locale: `audio` is encoded bytes, or a struct of bytes and path; `transcription` or `text`.

    Rows without words, without sound, or in another language (`lang_id`, `locale`, ...) are counted in `left_out`.
    Raises UserError for what has another schema, or is broken or too large.
    """
    try:
        opened = pyarrow.parquet.ParquetFile(file)
        columns = _columns(opened.schema_arrow, name)
        _refuse_too_large(opened.metadata, name)
        labels = _labels(opened.schema_arrow)
        held, number = 0, 0
        for batch in opened.iter_batches(batch_size=_BATCH, columns=sorted(set(columns.values()))):
            for row in batch.to_pylist():
                number += 1
                values = {meaning: row[column] for meaning, column in columns.items()}
                values["language"] = labels.get(values.get("language"), values.get("language"))
                clip = _clip(values, split, f"row {number} of {name}")
                held += len(clip.audio) if isinstance(clip.audio, bytes) else 0
                if held > MOST_BYTES:  # few bytes may unfold to many, whatever the file says of itself
                    raise _too_large(name)
                if (why := _unusable(clip, str(values["language"] or ""), locale)) is None:
                    yield clip
                else:
                    left_out.add(why, clip.where)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{name} is no Parquet file that I can read.", "Copy it there once more.") from error


def _columns(schema: pyarrow.Schema, name: str) -> dict[str, str]:
    """Columns by what they mean; with "audio", those that name its file are only its "name"."""
    names: list[str] = schema.names
    if "audio" not in names:
        raise UserError(f"{name} has no column “audio”.", "It needs the columns “audio” and “transcription” or “text”.")
    meant = columns_of(["" if column in PATHS and column != "audio" else column for column in names], name)
    columns = {meaning: names[column] for meaning, column in meant.items()}
    if "lang_id" in names:
        columns.setdefault("language", "lang_id")
    if "path" in names:
        columns["name"] = "path"
    return columns


def _labels(schema: pyarrow.Schema) -> dict[Any, str]:
    """The languages that the numbers in `lang_id` stand for, where `datasets` wrote them into the schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return dict(enumerate(map(str, features["lang_id"]["names"])))
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def _refuse_too_large(metadata: pyarrow.parquet.FileMetaData, name: str) -> None:
    if metadata.num_rows > MOST_ROWS:
        raise UserError(f"{name} has more than {MOST_ROWS:,} rows.", "Leave fewer rows in it.")
    if sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)) > MOST_BYTES:
        raise _too_large(name)


def _clip(values: dict[str, Any], split: Split, place: str) -> RawClip:
    audio = values["path"] if isinstance(values["path"], dict) else {"bytes": values["path"]}
    sound = audio.get("bytes")
    return RawClip(
        name=str(values.get("name") or audio.get("path") or ""),
        audio=sound if isinstance(sound, bytes) else None,
        text=str(values["text"] or ""),
        split=split_of(str(values.get("split") or ""), place) or split,
        speaker=str(values["speaker"]) if values.get("speaker") not in (None, "") else None,
        place=place,
    )


def _unusable(clip: RawClip, language: str, locale: Locale) -> str | None:
    if language and not language.isdecimal() and not locale.is_spoken_as(language):
        return "in another language"
    if not any(map(str.isalnum, clip.text)):
        return "without a transcript"
    return None if clip.audio else "without sound"


def _too_large(name: str) -> UserError:
    return UserError(f"{name} holds more than {file_size(MOST_BYTES)}.", "Take a part of it.")
