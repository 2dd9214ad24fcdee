"""Inputs of public bug reports, which are no part of the project: each gives its right value or a refusal in words."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.dataset import split_clips
from trainer.speech.locales import LOCALES
from trainer.speech.preview import preview
from trainer.speech.sources import open_source

DE = LOCALES["de-DE"]
SETTINGS = Settings(data_dir=Path("unused"), hub_endpoint="http://127.0.0.1:9", hub_timeout=0.5)


@dataclass(frozen=True)
class Expected:
    """Six clips, (train, test) of them as marked or drawn; or words of the refusal."""

    sides: tuple[int, int] = (5, 1)
    refused: str = ""


EXPECTED = {
    "apostrophes": Expected(),
    "apple_double": Expected(),
    "backslashes": Expected(),
    "common_voice": Expected(),
    "csv_cp1252": Expected(refused=r"t\.csv is not in UTF-8"),
    "csv_open_quote": Expected(refused="line 3"),
    "csv_unquoted_comma": Expected(refused="Line 2"),
    "nfd_names": Expected(),
    "only_test_rows": Expected((0, 6)),
    "overlapping_split": Expected((3, 3)),
    "pipe_in_text": Expected(),
    "split_in_capitals": Expected((4, 2)),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_table_of_a_report(name: str, cases: Path) -> None:
    expected, folder = EXPECTED[name], str(cases / name / "input")
    if expected.refused:
        for look in (open_source, preview):
            with pytest.raises(UserError, match=expected.refused):
                look(folder, DE, SETTINGS)
        return
    source = open_source(folder, DE, SETTINGS)
    assert len(source.clips) == 6 and all(isinstance(clip.audio, Path) for clip in source.clips)
    splitting = split_clips(source.clips, DE, seed=42)
    assert (len(splitting.train) + len(splitting.validation), len(splitting.test)) == expected.sides
    assert ("trained on too" in splitting.note) == (name == "overlapping_split")
    seen = preview(folder, DE, SETTINGS)
    assert (seen.clips, len(seen.samples)) == (6, 3)


def test_no_report_about_tables_is_forgotten(cases: Path) -> None:
    found = {folder.name for folder in cases.iterdir() if list(folder.glob("input/*.[ct]sv"))}
    assert found == set(EXPECTED)
