"""Where clips come from: MInDS-14 on the Hub, the practice set in assets/, or a folder of one's own.

Whatever the source, it gives the same thing: clips whose sound is still encoded, decoded later by `speech.audio`
alone and within its limits.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trainer.errors import UserError
from trainer.hub.reach import reachable
from trainer.settings import PRACTICE, Settings
from trainer.speech.locales import Locale

MINDS14 = "PolyAI/minds14"
MINDS14_REVISION = "40ce77cb32a384e4d50a568e1ec39ac804019d33"

SourceKind = Literal["minds14", "practice", "folder"]
Split = Literal["train", "test"]

TITLES: dict[SourceKind, str] = {
    "minds14": "MInDS-14, real calls to a bank",
    "practice": "Practice voices",
    "folder": "Your own recordings",
}
PRACTICE_NOTE = (
    "The Hugging Face Hub is out of reach, so this uses practice clips that came with Voicetune, spoken by a computer."
)
_PATH_COLUMNS = ("path", "file_name")
_TEXT_COLUMNS = ("text", "transcription", "sentence")


@dataclass(frozen=True)
class RawClip:
    """One clip as the source has it. `split` is None where the source does not say."""

    name: str
    audio: bytes | Path | None
    text: str
    split: Split | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Source:
    """All clips of one locale. `note` is a sentence for the page, or empty."""

    kind: SourceKind
    clips: list[RawClip]
    note: str = ""
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def title(self) -> str:
        """What the page calls it."""
        return TITLES[self.kind]


def kind_of(data: str, settings: Settings) -> SourceKind:
    """Which source `data` (auto, minds14, practice or a path) means now."""
    if data == "auto":
        return "minds14" if reachable(settings.hub_endpoint, settings.hub_timeout) else "practice"
    if data == "minds14":
        return "minds14"
    return "practice" if data == "practice" else "folder"


def open_source(data: str, locale: Locale, settings: Settings) -> Source:
    """The clips of a locale. Raises UserError where there are none to be had."""
    kind = kind_of(data, settings)
    if kind == "minds14":
        return _minds14(locale, settings)
    if kind == "practice":
        return _practice(locale, note=PRACTICE_NOTE if data == "auto" else "")
    return _folder(Path(data).expanduser(), locale)


def practice_locales() -> list[str]:
    """The locales that the practice set has."""
    return sorted(folder.parent.name for folder in PRACTICE.glob("*/train-*.parquet"))


def _minds14(locale: Locale, settings: Settings) -> Source:
    away = UserError(
        "I could not fetch MInDS-14 from the Hugging Face Hub.",
        "Check the internet connection, or choose the practice clips under Advanced.",
    )
    if not reachable(settings.hub_endpoint, settings.hub_timeout):
        raise away  # load_dataset would try again for half a minute
    # Imported here: `datasets` takes a second, and the page must be up before it is needed.
    import datasets

    try:
        rows = datasets.load_dataset(MINDS14, locale.code, revision=MINDS14_REVISION, split="train", token=False)
    except (OSError, ValueError, datasets.exceptions.DatasetNotFoundError) as error:
        raise away from error
    # decode=False: datasets would need torchcodec; the bytes are decoded by speech.audio.
    rows = rows.cast_column("audio", datasets.Audio(decode=False))
    return Source("minds14", [_from_row(row, None) for row in rows])


def _practice(locale: Locale, note: str) -> Source:
    import pyarrow.parquet as parquet

    clips: list[RawClip] = []
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        for file in sorted((PRACTICE / locale.code).glob(f"{split}-*.parquet")):
            columns = ["path", "audio", "transcription"]
            clips += [_from_row(row, split) for row in parquet.read_table(file, columns=columns).to_pylist()]
    if not clips:
        raise UserError(
            f"There are no practice clips for {locale.english} yet.",
            f"Choose one of {', '.join(practice_locales())}, or connect to the internet to use MInDS-14.",
        )
    return Source("practice", clips, note)


def _from_row(row: dict[str, Any], split: Split | None) -> RawClip:
    return RawClip(row["path"], (row["audio"] or {}).get("bytes"), row["transcription"] or "", split)


def _folder(folder: Path, locale: Locale) -> Source:
    table = _find_table(folder)
    left_out: Counter[str] = Counter()
    clips = list(_from_table(table, locale, left_out))
    if not clips:
        raise UserError(
            f"The table {table.name} lists no clips for {locale.english}.",
            "It needs one row a clip, with the columns “path” and “text”.",
        )
    return Source("folder", clips, left_out=left_out)


def _find_table(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(
            "I cannot find that folder of recordings.",
            "Give a folder that holds audio files and a table (tsv or csv) of what is said in them.",
        )
    tables = sorted([*folder.glob("*.tsv"), *folder.glob("*.csv")])
    if len(tables) != 1:
        raise UserError(
            f"The folder should hold one table, and I see {len(tables)}.",
            "Put one .tsv or .csv file beside the audio, with the columns “path” and “text”.",
        )
    return tables[0]


def _from_table(table: Path, locale: Locale, left_out: Counter[str]) -> Iterator[RawClip]:
    home = table.parent.resolve()
    with table.open(encoding="utf-8-sig", newline="") as file:
        # Quotes are ordinary characters in a tsv, where a field cannot hold a tab.
        tabs = table.suffix == ".tsv"
        rows = csv.DictReader(
            file, delimiter="\t" if tabs else ",", quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL
        )
        path_column = _column(rows.fieldnames, _PATH_COLUMNS)
        text_column = _column(rows.fieldnames, _TEXT_COLUMNS)
        try:
            for row in rows:
                language = (row.get("language") or row.get("locale") or locale.language).split("-")[0]
                if language != locale.language:
                    left_out["in another language"] += 1
                    continue
                path = (home / (row[path_column] or "")).resolve()
                inside = path.is_relative_to(home) and path.is_file()  # a table must not reach out of its folder
                yield RawClip(
                    row[path_column] or "",
                    path if inside else None,
                    row[text_column] or "",
                    _split_of(row.get("split")),
                    row.get("speaker") or None,
                )
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"I cannot read the table {table.name}.", "Save it as UTF-8 text (tsv or csv).") from error


def _column(names: Iterable[str] | None, wanted: tuple[str, ...]) -> str:
    for name in names or ():
        if name.strip().lower() in wanted:
            return name
    raise UserError(f"The table has no column “{wanted[0]}”.", f"Name one of its columns {' or '.join(wanted)}.")


def _split_of(value: str | None) -> Split | None:
    if value in ("train", "test"):
        return "train" if value == "train" else "test"
    return None
