"""Tables as people's programs write them: read for certain, or refused with the line."""

import os
from pathlib import Path

import pytest

from tests.fakes.tables import folder_with
from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech import tables
from trainer.speech.clips import RawClip, split_named
from trainer.speech.locales import LOCALES
from trainer.speech.sources import Source, open_source

DE, EN = LOCALES["de-DE"], LOCALES["en-US"]
SETTINGS = Settings(data_dir=Path("unused"), hub_endpoint="http://127.0.0.1:9", hub_timeout=0.5)
TWO = [("a.wav", "Käse, bitte"), ("b.wav", "Ja")]


def read(folder: Path, locale: str = "de-DE") -> Source:
    return open_source(str(folder), LOCALES[locale], SETTINGS)


def pairs(clips: list[RawClip]) -> list[tuple[str, str]]:
    return [(clip.name, clip.text) for clip in clips]


COMMA = 'path,text\na.wav,"Käse, bitte"\nb.wav,Ja\n'
SEMICOLON = "path;text\na.wav;Käse, bitte\nb.wav;Ja\n"
TAB = "path\ttext\na.wav\tKäse, bitte\nb.wav\tJa\n"
# What a program or a hand makes of the same two clips: all of it must be read alike.
ALIKE: dict[str, tuple[str, bytes]] = {
    "utf-8": ("t.csv", COMMA.encode()),
    "utf-8 with BOM": ("t.csv", COMMA.encode("utf-8-sig")),
    "utf-16 little": ("t.csv", b"\xff\xfe" + TAB.encode("utf-16-le")),
    "utf-16 big": ("t.csv", b"\xfe\xff" + SEMICOLON.encode("utf-16-be")),
    "utf-16 little, unmarked": ("t.tsv", TAB.encode("utf-16-le")),
    "utf-16 big, unmarked": ("t.tsv", TAB.encode("utf-16-be")),
    "utf-32": ("t.csv", COMMA.encode("utf-32")),
    "semicolons": ("t.csv", SEMICOLON.encode()),
    "tabs in a csv": ("t.csv", TAB.encode()),
    "commas in a tsv": ("t.tsv", COMMA.encode()),
    "bars": ("t.csv", TAB.replace("\t", "|").encode()),
    "suffix in capitals": ("T.CSV", COMMA.encode()),
    "tsv in capitals": ("T.TSV", TAB.encode()),
    "windows line ends": ("t.csv", COMMA.replace("\n", "\r\n").encode()),
    "old mac line ends": ("t.csv", COMMA.replace("\n", "\r").encode()),
    "mixed line ends": ("t.csv", COMMA.replace("\n", "\r\n", 1).encode()),
    "no last line end": ("t.csv", COMMA.rstrip().encode()),
    "all in quotes": ("t.csv", '"path","text"\n"a.wav","Käse, bitte"\n"b.wav","Ja"\n'.encode()),
    "tsv all in quotes": ("t.tsv", '"path"\t"text"\n"a.wav"\t"Käse, bitte"\n"b.wav"\t"Ja"\n'.encode()),
    "excel names its separator": ("t.csv", ("sep=;\r\n" + SEMICOLON).encode()),
    "empty lines": ("t.csv", COMMA.replace("\n", "\n\n").encode()),
    "empty rows": ("t.csv", (COMMA + ",\n , \n").encode()),
    "empty lines above": ("t.csv", ("\n,,\n" + COMMA).encode()),
    "separators at the ends": ("t.csv", 'path,text,\na.wav,"Käse, bitte",\nb.wav,Ja,\n'.encode()),
    "separators at some ends": ("t.csv", 'path,text\na.wav,"Käse, bitte",,\nb.wav,Ja\n'.encode()),
    "spaces around": ("t.csv", ' path , text \n a.wav , "Käse, bitte"\n b.wav , Ja \n'.encode()),
    "header in capitals": ("t.csv", COMMA.replace("path,text", "PATH,Text").encode()),
    "header with spaces": ("t.csv", COMMA.replace("path,text", "File Name,\xa0Transcript ").encode()),
    "header in full width": ("t.csv", COMMA.replace("path,text", "ｐａｔｈ,ｔｅｘｔ").encode()),
    "hugging face's names": ("t.csv", COMMA.replace("path,text", "file_name,transcription").encode()),
    "deepspeech's names": ("t.csv", COMMA.replace("path,text", "wav_filename,transcript").encode()),
    "a text over two lines": ("t.csv", COMMA.replace("b.wav,Ja", 'b.wav,"\nJa"').encode()),
    "put together from two": ("t.csv", COMMA.replace("b.wav", "\ufeffb.wav").encode()),
    "a line separator in a text": ("t.csv", COMMA.replace("Käse, ", "Käse,\u2028").encode()),
    "other order, more columns": ("t.csv", 'text,note,path\n"Käse, bitte","x,""y""",a.wav\nJa,,b.wav\n'.encode()),
    "json lines": ("t.jsonl", b'{"path":"a.wav","text":"K\\u00e4se, bitte"}\n\n{"text":"Ja","path":"b.wav","n":[1]}\n'),
    "nemo's manifest": ("m.JSONL", '{"audio_filepath":"a.wav","duration":1,"text":"Käse, bitte"}\n'
                        '{"audio_filepath":"b.wav","duration":1,"text":"Ja"}\n'.encode()),
}  # fmt: skip


@pytest.mark.parametrize("kind", ALIKE)
def test_tables_that_are_read_alike(tmp_path: Path, kind: str) -> None:
    name, content = ALIKE[kind]
    source = read(folder_with(tmp_path, {name: content}))
    assert pairs(source.clips) == TWO and not source.left_out
    assert all(isinstance(clip.audio, Path) and clip.audio.is_file() for clip in source.clips)
    assert name in source.note and "2 rows" in source.note


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (COMMA, "separated by commas)"),
        (SEMICOLON, "separated by semicolons)"),
        (TAB, "separated by tabs)"),
        (COMMA + ",\n\n", "2 empty ones skipped"),
        (b"\xff\xfe" + TAB.encode("utf-16-le"), "UTF-16"),
    ],
)
def test_what_was_found_is_said(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in read(folder_with(tmp_path, {"t.csv": content})).note


# What must not be guessed at: (name, content, words of the refusal)
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "windows-1252": ("t.csv", COMMA.encode("cp1252"), "t.csv is not in UTF-8: line 2"),
    "windows-1251": ("t.csv", "path,text\na.wav,ok\nb.wav,Добрый день\n".encode("cp1251"), "not in UTF-8: line 3"),
    "shift jis, old mac": ("t.csv", "path,text\ra.wav,ok\rb.wav,カード\r".encode("shift_jis"), "not in UTF-8: line 3"),
    "utf-16 cut off": ("t.csv", b"\xff\xfe" + TAB.encode("utf-16-le")[:-1], "UTF-16"),
    "a workbook": ("t.csv", b"PK\x03\x04\x14\0\x06\0", "workbook"),
    "nulls": ("t.csv", b"path,text\na.wav,o\0k\n", "null"),
    "an unquoted comma": ("t.csv", b"path,text\nb.wav,Ja\na.wav,Bread, please\n", "Line 3 of t.csv has 3 fields"),
    "a comma below a trailing one": ("t.csv", b"path,text,\na.wav,Bread, please\n", "Line 2 of t.csv has 3 fields"),
    "a tab in a text": ("t.tsv", b"path\ttext\na.wav\tBread\tplease\n", "Line 2 of t.tsv has 3 fields"),
    "too few fields": ("t.csv", b"path,text,split\na.wav,Ja\n", "Line 2 of t.csv has 2 fields"),
    "a bar in ljspeech": ("metadata.csv", b"a|x\nb|y|z|w\n", "Line 2 of metadata.csv has 4 fields"),
    "an open quote": ("t.csv", b'path,text\na.wav,"Ja\nb.wav,Nein\n', "line 2 of t.csv"),
    "an open quote at the end": ("t.csv", b'path,text\na.wav,Ja\nb.wav,"Nein', "line 3 of t.csv"),
    "an open quote, closed by the next": ("t.csv", b'path,text\na.wav,"Ja\nb.wav,"Nein"\n', "line 2 of t.csv"),
    "an open quote, closed at a line's end": ("t.csv", b'path,text\na.wav,"Ja\nb.wav,Nein"\n', "line 2 of t.csv"),
    "a quote over rows, text first": ("t.csv", b'text,path\n"Ja,a.wav\nNein",b.wav\n', "line 2 of t.csv"),
    "an open quote in the header": ("t.csv", b'path,"text\na.wav,Ja\n', "no column"),
    "two equal columns": ("t.csv", b"path,text,Text\na.wav,Ja,Nein\n", "two columns named “text”"),
    "two of no meaning": ("t.csv", b"path,text,note,note\na.wav,Ja,x,y\n", "two columns named “note”"),
    "two that could be it": ("t.csv", b"path,text,sentence\na.wav,Ja,Nein\n", "“text” or “sentence”"),
    "no header": ("t.csv", b"a.wav,Ja\nb.wav,Nein\n", "no column “path”: its first line reads “a.wav”, “ja”"),
    "an unknown split": ("t.csv", b"path,text,split\na.wav,Ja,train\nb.wav,Nein,holdout\n", "Line 3.*“holdout”"),
    "no object in a line": ("t.jsonl", b'{"path":"a.wav","text":"Ja"}\n["b.wav","Nein"]\n', "Line 2 of t.jsonl"),
    "a torn line": ("t.jsonl", b'{"path":"a.wav","text":"Ja"}\n{"path":"b.w', "Line 2 of t.jsonl"),
    "a key twice": ("t.jsonl", b'{"path":"a.wav","text":"Ja","text":"Nein"}\n', "Line 1 of t.jsonl.*“text”"),
    "a list for a word": ("t.jsonl", b'{"path":"a.wav","text":["Ja"]}\n', "Line 1 of t.jsonl"),
    "deep JSON": ("t.jsonl", b"[" * 90_000 + b"\n", "Line 1 of t.jsonl"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_tables_that_are_refused(tmp_path: Path, kind: str) -> None:
    name, content, words = REFUSED[kind]
    folder = folder_with(tmp_path, {name: content}, sounds=["a.wav", "b.wav", "wavs/a.wav"])
    with pytest.raises(UserError, match=words) as caught:
        read(folder)
    assert str(tmp_path) not in str(caught.value) and caught.value.todo


def test_quotation_marks_that_are_words_stay(tmp_path: Path) -> None:
    rows = 'path,text\na.wav,"Yes" he said\nb.wav,He said "no"\n'
    assert pairs(read(folder_with(tmp_path, {"t.csv": rows})).clips)[1][1] == 'He said "no"'
    rows = 'path\ttext\na.wav\t"Yes" and "no"\nb.wav\t"Never\n'
    assert [text for _, text in pairs(read(folder_with(tmp_path / "tabs", {"t.tsv": rows})).clips)] == [
        '"Yes" and "no"',
        '"Never',
    ]


def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 3)
    monkeypatch.setattr(tables, "MOST_FIELD", 50)
    monkeypatch.setattr(tables, "MOST_BYTES", 1000)
    for number, (content, words) in enumerate(
        [
            ("path,text\n" + "a.wav,x\n" * 4, "more than 3 rows"),
            ("path,text\na.wav,x\na.wav," + "x" * 51, "Line 3 of t.csv has a field of more than 50"),
            ("path,text\n" + "a.wav,x\n" * 200, "larger than"),
        ]
    ):
        with pytest.raises(UserError, match=words):
            read(folder_with(tmp_path / str(number), {"t.csv": content}))


def test_a_field_beyond_csvs_own_limit_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Line 2 of t\.csv has a field of more than 100,000"):
        read(folder_with(tmp_path, {"t.csv": "path,text\na.wav," + "x" * 200_000}))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(UserError, match=r"t\.csv is not a file"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("words", "split"),
    [
        (("train", "Training", " TRAIN "), "train"),
        (("validation", "Valid", "VAL", "dev", "development"), "validation"),
        (("test", "Testing", "eval"), "test"),
        (("", "  "), ""),
        (("holdout", "trainer", "0"), None),
    ],
)
def test_splits_have_many_names(words: tuple[str, ...], split: str | None) -> None:
    assert {split_named(word) for word in words} == {split}


def test_optional_columns_are_read_as_kindly_as_required_ones(tmp_path: Path) -> None:
    rows = (
        "Path,Text,Split,Speaker,Language\na.wav,eins,Training,s1,German\nb.wav,zwei,DEV,s2,de_AT\na.wav,drei,Eval,,\n"
    )
    clips = read(folder_with(tmp_path, {"t.csv": rows})).clips
    assert [(clip.split, clip.speaker) for clip in clips] == [("train", "s1"), ("validation", "s2"), ("test", None)]


@pytest.mark.parametrize(
    ("code", "same", "other"),
    [
        (
            "de-DE",
            ["de", "DE", "de-CH", "de_AT", "deu", "ger", "German", "Deutsch", "Deutsch (Deutschland)"],
            ["en", "d"],
        ),
        ("en-US", ["eng", "en-NZ", "British English", "English (United Kingdom)", "ENGLISH"], ["German", "ende"]),
        ("zh-CN", ["zh-TW", "cmn", "中文", "中文（中国）", "Chinese (Simplified)"], ["ja", "cs"]),
        ("fr-FR", ["Franc\u0327ais", "français", "fra"], ["Fr\xe4nkisch"]),
    ],
)
def test_languages_by_code_tag_or_name(code: str, same: list[str], other: list[str]) -> None:
    assert all(LOCALES[code].is_spoken_as(word) for word in same)
    assert not any(LOCALES[code].is_spoken_as(word) for word in other)
