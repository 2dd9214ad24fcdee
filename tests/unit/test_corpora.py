"""Folders of recordings: sounds are found however they are written, or left out for true reasons; known layouts."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.fakes.hub import minds14_files
from tests.fakes.sounds import wav
from tests.fakes.tables import SOUND, folder_with
from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.corpora import recordings_path
from trainer.speech.dataset import Preparation, split_clips
from trainer.speech.locales import LOCALES
from trainer.speech.preview import preview
from trainer.speech.sources import Source, open_source

SETTINGS = Settings(data_dir=Path("unused"), hub_endpoint="http://127.0.0.1:9", hub_timeout=0.5)
TABLE = "path,text\na.wav,yes\nb.wav,no\n"


def read(folder: Path, locale: str = "en-US") -> Source:
    return open_source(str(folder), LOCALES[locale], SETTINGS)


def listed(source: Source) -> list[tuple[str, str, str]]:
    return [(clip.name, clip.text, clip.split) for clip in source.clips]


NFC, NFD = (unicodedata.normalize(form, "Gespräch für É.wav") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("written", "lies"),
    [
        ("clips\\x.wav", "clips/x.wav"),
        (".\\clips\\x.wav", "clips/x.wav"),
        ("./clips//x.wav", "clips/x.wav"),
        ("other/../clips/x.wav", "clips/x.wav"),
        ("x.wav", "clips/x.wav"),
        ("x.wav", "wavs/x.wav"),
        ("x", "clips/x.wav"),
        ("X.WAV", "x.wav"),
        ("x.wav", "x.WAV"),
        (NFC, NFD),
        (NFD, NFC),
        (f"{NFC[:-4]}/{NFD}", f"{NFD[:-4]}/{NFC}"),
        ("back\\slash.wav", "back\\slash.wav"),
        ("with, comma and “quotes”.wav", "with, comma and “quotes”.wav"),
    ],
)
def test_sounds_are_found_however_they_are_written(tmp_path: Path, written: str, lies: str) -> None:
    source = read(folder_with(tmp_path, {"t.tsv": f"path\ttext\n{written}\tyes\n"}, [lies]))
    assert [clip.audio for clip in source.clips] == [tmp_path / lies] and not source.left_out


def test_a_whole_path_into_the_folder_is_inside(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "own", {"t.tsv": f"path\ttext\n{tmp_path / 'own' / 'a.wav'}\tyes\n"})
    assert [clip.name for clip in read(folder).clips] == ["a.wav"]
    link = tmp_path / "link"
    link.symlink_to(folder)
    (folder / "t.tsv").write_text(f"path\ttext\n{link / 'a.wav'}\tyes\n")
    assert [clip.name for clip in read(link).clips] == ["a.wav"]


def test_what_is_left_out_is_counted_by_its_true_reason(tmp_path: Path) -> None:
    secret = folder_with(tmp_path, {}, ["secret.wav"]) / "secret.wav"
    rows = [
        ("a.wav", "yes", "en"),
        ("missing/x.wav", "yes", "en"),
        ("../secret.wav", "yes", "en"),
        (str(secret), "yes", "en"),
        ("C:\\Users\\Ann\\x.wav", "yes", "en"),
        ("clips/../../secret.wav", "yes", "en"),
        ("link.wav", "yes", "en"),
        ("nowhere.wav", "yes", "en"),
        ("clips", "yes", "en"),
        ("b.wav", " ?! ", "en"),
        ("b.wav", "h\ufffdren", "en"),
        ("", "yes", "en"),
        ("b.wav", "ja", "German"),
        ("x" * 300 + ".wav", "yes", "en"),
        ("a\x01.wav", "yes", "en"),
    ]
    table = "path\ttext\tlanguage\n" + "".join("\t".join(row) + "\n" for row in rows)
    folder = folder_with(tmp_path / "own", {"t.tsv": table}, ["a.wav", "b.wav", "clips/c.wav"])
    (folder / "link.wav").symlink_to(secret)
    (folder / "nowhere.wav").symlink_to(folder / "gone.wav")
    source = read(folder)
    assert [clip.name for clip in source.clips] == ["a.wav"]
    assert source.left_out == {
        "not found": 4,
        "outside the folder": 4,
        "behind a link out of the folder": 1,
        "not a file": 1,
        "without a transcript": 1,
        "with letters lost to an encoding (�)": 1,
        "without the name of a file": 1,
        "in another language": 1,
    }
    said = source.left_out.say()
    assert "4 not found (such as “missing/x.wav”, line 3 of t.tsv)" in said
    assert "1 behind a link out of the folder (such as “link.wav”, line 8 of t.tsv)" in said
    assert "1 in another language (such as “German”, line 14 of t.tsv)" in said


@pytest.mark.parametrize(
    "path", ["/home/ann/voice/x.wav", "C:\\Users\\ann\\x.wav", "~/ann/x.wav", "\\\\nas\\ann\\x.wav"]
)
def test_no_whole_path_is_said(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match=r"“…/x\.wav”, line 2") as caught:
        read(folder_with(tmp_path, {"t.tsv": f"path\ttext\n{path}\tyes\n"}))
    assert "ann" not in str(caught.value)


def test_nothing_outside_is_looked_for(tmp_path: Path) -> None:
    folder_with(tmp_path, {}, ["there.wav"])
    table = "path\ttext\n../there.wav\tyes\n../missing.wav\tyes\n"
    with pytest.raises(UserError, match="2 outside the folder"):
        read(folder_with(tmp_path / "own", {"t.tsv": table}))


@pytest.mark.parametrize(
    "other", ["._t.csv", ".t.csv", "~$t.csv", ".~lock.t.csv#", "__MACOSX/t.csv", "t.csv.bak", "t.txt"]
)
def test_what_is_no_table(tmp_path: Path, other: str) -> None:
    junk = b"\0\x05\x16\x07\0\x02\0\0Mac OS X"
    assert len(read(folder_with(tmp_path, {"t.csv": TABLE, other: junk})).clips) == 2


def test_a_folder_called_like_a_table_is_none(tmp_path: Path) -> None:
    (tmp_path / "old.csv").mkdir()
    assert len(read(folder_with(tmp_path, {"t.csv": TABLE})).clips) == 2


def test_two_tables_are_named_and_one_can_be_given(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, {"one.csv": TABLE, "two.TSV": "path\ttext\na.wav\tmaybe\n"})
    with pytest.raises(UserError, match=r"2: one\.csv, two\.TSV"):
        read(folder)
    assert listed(read(folder / "two.TSV")) == [("a.wav", "maybe", "")]


@pytest.mark.parametrize(
    ("typed", "words"),
    [("/no/such/folder", "cannot find"), ("~nobody-of-that-name/x", "cannot find"), ("", "cannot find"),
     ("a\0b", "cannot find"), ("x" * 5000, "cannot find"), ("own/a.wav", "cannot find"), ("fold\udcffer", "UTF-8")],
)  # fmt: skip
def test_folders_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, words: str) -> None:
    folder_with(tmp_path / "own", {"t.csv": TABLE})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        open_source(typed, LOCALES["en-US"], SETTINGS)
    str(caught.value).encode()


def test_a_folder_as_shells_and_file_managers_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_with(tmp_path / "my voice", {"t.csv": TABLE})
    monkeypatch.setenv("HOME", str(tmp_path))
    for typed in (f'"{folder}"', f"'{folder}'", f" {folder}/ ", "~/my voice"):
        assert recordings_path(typed) == folder


def test_file_names_that_are_not_utf_8_are_no_trouble(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, {"t.csv": TABLE})
    for name in (b"K\xe4se.wav", b"K\xe4se.csv"):
        try:
            Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(SOUND)
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(UserError, match=r"2: K\?se\.csv, t\.csv") as caught:
        read(folder)
    str(caught.value).encode()


def test_an_empty_folder_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"one table, and I see 0 \(but a\.wav, b\.wav, book\.xlsx\)"):
        read(folder_with(tmp_path, {"book.xlsx": b"PK"}))


def test_a_table_behind_a_link_is_not_read(tmp_path: Path) -> None:
    folder_with(tmp_path, {"secret.csv": "password,hunter2\n"})
    (folder_with(tmp_path / "own", {}) / "t.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(UserError, match="leads out of the folder") as caught:
        read(tmp_path / "own")
    assert "hunter2" not in str(caught.value)


VOICES = "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tlocale\tsegment\n"


def voices(*names: str) -> str:
    return VOICES + "".join(f"ann\t{name}\t0\tWord {name[0]}\t2\t0\ten\t\n" for name in names)


def test_common_voice(tmp_path: Path) -> None:
    sounds = [f"clips/{name}.mp3" for name in "abcd"]
    files: dict[str, bytes | str] = {
        "validated.tsv": voices("a.mp3", "b.mp3", "c.mp3"),
        "invalidated.tsv": voices("d.mp3"),
        "other.tsv": voices("d.mp3"),
        "clip_durations.tsv": "clip\tduration[ms]\na.mp3\t900\n",
        "times.txt": "x",
    }
    source = read(folder_with(tmp_path, files, sounds))
    assert listed(source) == [(f"clips/{name}.mp3", f"Word {name}", "") for name in "abc"]
    assert {clip.speaker for clip in source.clips} == {"ann"}
    assert "validated.tsv" in source.note and "Not read: clip_durations.tsv, invalidated.tsv" in source.note
    files |= {"train.tsv": voices("a.mp3"), "dev.tsv": voices("b.mp3"), "test.tsv": voices("c.mp3")}
    source = read(folder_with(tmp_path, files, sounds))
    assert sorted((name, split) for name, _, split in listed(source)) == [
        ("clips/a.mp3", "train"), ("clips/b.mp3", "validation"), ("clips/c.mp3", "test"),
    ]  # fmt: skip
    assert "1 to train on, 1 to validate on, 1 to test on" in source.note


def test_the_first_common_voice_names_files_without_an_ending(tmp_path: Path) -> None:
    source = read(folder_with(tmp_path, {"validated.tsv": voices("abc")}, ["clips/abc.mp3"]))
    assert [clip.name for clip in source.clips] == ["clips/abc.mp3"]


def test_archives_as_they_unfold(tmp_path: Path) -> None:
    for language, word in (("en", "b.mp3"), ("de", "a.mp3")):
        folder_with(tmp_path / "cv-corpus" / language, {"validated.tsv": voices(word)}, [f"clips/{word}"])
    assert [clip.name for clip in read(tmp_path).clips] == ["clips/b.mp3"]
    with pytest.raises(UserError, match="I see 0"):
        read(tmp_path, "fr-FR")


def test_tables_named_as_splits(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"Train.csv": "path,text\na.wav,yes\n", "val.csv": "path,text\nb.wav,no\n"}
    assert listed(read(folder_with(tmp_path, files))) == [("a.wav", "yes", "train"), ("b.wav", "no", "validation")]
    with pytest.raises(UserError, match=r"dev\.csv"):
        read(folder_with(tmp_path, {"dev.csv": "path,text\nb.wav,no\n"}))


def test_audio_folder_with_one_metadata(tmp_path: Path) -> None:
    rows = "file_name,transcription\ntrain/a.wav,yes\ntest/b.wav,no\nc.wav,maybe\n"
    source = read(folder_with(tmp_path, {"metadata.csv": rows}, ["train/a.wav", "test/b.wav", "c.wav"]))
    assert listed(source) == [("train/a.wav", "yes", "train"), ("test/b.wav", "no", "test"), ("c.wav", "maybe", "")]
    own = folder_with(tmp_path / "own", {"t.csv": "path,text\ntest/b.wav,no\n"}, ["test/b.wav"])
    assert listed(read(own)) == [("test/b.wav", "no", "")]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_audio_folder_with_a_metadata_in_each_split(tmp_path: Path, suffix: str) -> None:
    def rows(name: str, text: str) -> str:
        row = {"file_name": name, "text": text}
        return f"file_name,text\n{name},{text}\n" if suffix == "csv" else json.dumps(row) + "\n"

    files: dict[str, bytes | str] = {
        f"train/metadata.{suffix}": rows("a.wav", "yes"),
        f"test/metadata.{suffix}": rows("a.wav", "no"),
    }
    source = read(folder_with(tmp_path, files, ["train/a.wav", "test/a.wav"]))
    assert sorted(listed(source)) == [("test/a.wav", "no", "test"), ("train/a.wav", "yes", "train")]
    assert {clip.place for clip in source.clips} == {
        f"line {1 + (suffix == 'csv')} of {split}/metadata.{suffix}" for split in ("train", "test")
    }


def test_ljspeech(tmp_path: Path) -> None:
    rows = 'LJ001-0001|Chapter 18, "quoted|Chapter eighteen, "quoted\nLJ001-0002|in being|in being\n'
    source = read(folder_with(tmp_path, {"metadata.csv": rows}, ["wavs/LJ001-0001.wav", "wavs/LJ001-0002.wav"]))
    assert listed(source) == [
        ("wavs/LJ001-0001.wav", 'Chapter eighteen, "quoted', ""),
        ("wavs/LJ001-0002.wav", "in being", ""),
    ]


def test_librispeech(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "SPEAKERS.TXT": "x",
        "train-clean-100/19/198/19-198.trans.txt": "19-198-0000 NORTHANGER ABBEY\n19-198-0001 THIS LITTLE WORK\n",
        "train-clean-100/19/198/._19-198.trans.txt": b"\0\x05\x16",
        "dev-other/20/1/20-1.trans.txt": "20-1-0000 CHAPTER ONE\n20-1-0001 GONE\n",
    }
    sounds = ["train-clean-100/19/198/19-198-0000.flac", "train-clean-100/19/198/19-198-0001.flac"]
    source = read(folder_with(tmp_path, files, [*sounds, "dev-other/20/1/20-1-0000.flac"]))
    assert listed(source) == [
        ("dev-other/20/1/20-1-0000.flac", "CHAPTER ONE", "validation"),
        (sounds[0], "NORTHANGER ABBEY", "train"),
        (sounds[1], "THIS LITTLE WORK", "train"),
    ]
    assert [clip.speaker for clip in source.clips] == ["20", "19", "19"]
    assert source.left_out == {"not found": 1} and "2 folders" in source.note


@pytest.mark.parametrize("name", ["train-00000-of-00001.parquet", "en-US/test-00000-of-00001.parquet"])
def test_parquet_in_the_schema_of_minds14(tmp_path: Path, name: str) -> None:
    files = minds14_files("en-US", {"hello there": SOUND, "?": SOUND, "no": b""})
    content = next(data for path, data in files.items() if path.endswith(".parquet"))
    source = read(folder_with(tmp_path, {name: content, "README.md": "x"}, []))
    split = "test" if "test" in name else "train"
    assert [(clip.text, clip.split, clip.audio) for clip in source.clips] == [("hello there", split, SOUND)]
    assert source.left_out == {"without a transcript": 1, "without sound": 1}
    with pytest.raises(UserError, match="in another language"):
        read(tmp_path, "de-DE")


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + b"\xff" * 50 + b"PAR1", b"nonsense"])
def test_parquet_that_is_broken(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UserError, match=r"train\.parquet is no Parquet"):
        read(folder_with(tmp_path, {"train.parquet": content}, []))


def test_parquet_with_other_columns(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"words": ["x"], "audio": [b"x"]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="no column “text”"):
        read(tmp_path)
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x"], "label": [1]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="no column “audio”"):
        read(tmp_path)
    table = pyarrow.table(
        {"file": ["/x/1.flac"], "audio": [SOUND], "text": ["hi"], "speaker_id": [7], "split": ["dev"]}
    )
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    clip = read(tmp_path).clips[0]
    assert (clip.audio, clip.text, clip.speaker, clip.split) == (SOUND, "hi", "7", "validation")


def test_the_page_shows_what_the_trainer_reads(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, {"t.csv": "path,text\na.wav,yes\nb.wav,no\ngone.wav,maybe\n"})
    source, seen = read(folder), preview(str(folder), LOCALES["en-US"], SETTINGS)
    assert seen.clips == len(source.clips) == 2 and seen.note == ""
    assert seen.details == (source.note, "Left out: 1 not found (such as “gone.wav”, line 4 of t.csv).")


def test_a_silent_clip_with_words_is_left_out(tmp_path: Path) -> None:
    silence = wav(np.zeros(16_000, np.float32))
    rows = "path,text,split\na.wav,yes,train\nquiet.wav,yes,train\nb.wav,no,validation\nb.wav,no,test\n"
    source = read(folder_with(tmp_path, {"t.csv": rows, "quiet.wav": silence}))
    prepare = Preparation(LOCALES["en-US"], "lower", SETTINGS, frames_of=lambda samples: samples // 320)
    dataset = prepare(source, split_clips(source.clips, LOCALES["en-US"], seed=0))
    assert [example.name for example in dataset.train] == ["a.wav"] and dataset.left_out == {"silent": 1}
    assert any("silent “quiet.wav”, line 3 of t.csv" in note for note in dataset.notes)


def test_only_test_clips_cannot_be_trained_on(tmp_path: Path) -> None:
    source = read(folder_with(tmp_path, {"t.csv": "path,text,split\na.wav,yes,test\nb.wav,no,Eval\n"}))
    prepare = Preparation(LOCALES["en-US"], "lower", SETTINGS, frames_of=lambda samples: samples // 320)
    with pytest.raises(UserError, match="All clips of this data are marked"):
        prepare(source, split_clips(source.clips, LOCALES["en-US"], seed=0))
