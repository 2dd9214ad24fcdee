"""A person's own clips: kept whole, found by their owner alone, bounded, and never with a sentence on two sides."""

import csv
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.fakes.sounds import say, wav
from trainer.errors import UserError
from trainer.settings import SPACE, Settings
from trainer.speech import own_clips as module
from trainer.speech.corpora import read_folder
from trainer.speech.dataset import split_clips
from trainer.speech.locales import LOCALES
from trainer.speech.own_clips import (
    FEWEST_ALONE,
    FEWEST_MIXED,
    TABLE,
    OwnClips,
    check_enough,
    own_clips,
    splits_of,
    still_wanted,
)
from trainer.speech.reading_list import next_sentence, sentences
from trainer.speech.sources import open_source
from trainer.speech.text import normalise

EN = LOCALES["en-US"]
ANOTHER = "a" * 64
WORDS = [
    f"{first} {second}" for first in ("open", "close", "paint", "hold") for second in ("it", "door", "gate", "box")
]


@pytest.fixture
def store(tmp_path: Path) -> OwnClips:
    return own_clips(Settings(data_dir=tmp_path), "local", "en-US")


def spoken(text: str = "open it", seed: int = 0) -> bytes:
    return wav(say(text, seed))


def filled(store: OwnClips, texts: list[str]) -> OwnClips:
    for number, text in enumerate(texts):
        store.add(spoken(text, number), text)
    return store


def test_a_clip_is_kept_as_it_was_said(store: OwnClips) -> None:
    sound = np.repeat(say("open it"), 3)  # 48 kHz
    clip = store.add(wav(np.stack([sound, sound], axis=1), 48_000), "  Open\nit! ")
    assert [kept.text for kept in store.clips()] == ["Open it!"]
    samples, rate = soundfile.read(store.folder / clip.name)
    assert (rate, samples.ndim) == (16_000, 1)
    assert abs(len(samples) - len(sound) / 3) < 20 and abs(clip.seconds - len(samples) / 16_000) < 0.01
    assert store.sound(clip.name)[:4] == b"RIFF"


def test_the_folder_is_a_folder_of_ones_own_and_so_is_the_zip(store: OwnClips, tmp_path: Path) -> None:
    filled(store, [*WORDS, 'say "yes", please'])
    with zipfile.ZipFile(store.zip_to(tmp_path / "out")) as archive:
        assert not [name for name in archive.namelist() if name.startswith(("/", ".")) or ".." in name]
        archive.extractall(tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    for folder in (store.folder, unpacked):
        corpus = read_folder(str(folder), EN)
        assert not corpus.left_out
        expected = [(clip.text, clip.split) for clip in store.clips()]
        assert [(clip.text, clip.split) for clip in corpus.clips] == expected
        assert all(isinstance(clip.audio, Path) and clip.audio.is_file() for clip in corpus.clips)
    with pytest.raises(UserError, match="lists no clips for German"):
        read_folder(str(unpacked), LOCALES["de-DE"])


def test_nobody_reaches_anothers(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, on_space=True, limits=SPACE)
    clip = own_clips(settings, ANOTHER, "en-US").add(spoken(), "open it")
    stranger = own_clips(settings, "b" * 64, "en-US")
    assert stranger.clips() == []
    for reach in (stranger.delete, stranger.sound, lambda name: stranger.edit(name, "mine")):
        with pytest.raises(UserError, match="not there any more"):
            reach(clip.name)
        with pytest.raises(UserError, match="not there any more"):
            reach(f"../../{ANOTHER}/en-US/{clip.name}")
    for owner in ("nobody", "", "../local", "A" * 64):
        with pytest.raises(UserError, match="whose clips"):
            own_clips(settings, owner, "en-US")
    with pytest.raises(UserError, match="not one of the languages"):
        own_clips(settings, ANOTHER, "../en-US")


@pytest.mark.parametrize(
    ("sound", "text", "words"),
    [
        (spoken(), "…!", "no words"),
        (spoken(), "", "no words"),
        (spoken(), "a\ufffdb", "no words"),
        (spoken(), "open " * 101, "longer than 500"),
        (spoken(), "open it " * 12, "too short for these words"),
        (wav(np.zeros(16_000, np.float32)), "open it", "could not hear"),
        (b"not a sound", "open it", "cannot find any sound"),
        (b"", "open it", "empty"),
    ],
)
def test_what_cannot_be_learnt_from_leaves_nothing(store: OwnClips, sound: bytes, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        store.add(sound, text)
    assert store.clips() == [] and list(store.folder.glob("*.flac*")) == []


def test_there_are_bounds(tmp_path: Path) -> None:
    store = OwnClips(tmp_path / "clips", EN, most=2, most_seconds=2.0)
    with pytest.raises(UserError, match="longer than 2 seconds"):
        store.add(wav(say("a" * 20)), "a long one")
    first = filled(store, WORDS[:2]).clips()[0]
    with pytest.raises(UserError, match="2 clips in this language"):
        store.add(spoken(), WORDS[2])
    store.add(spoken(), first.text, instead=first.name)  # takes its place
    assert sorted(clip.text for clip in store.clips()) == sorted(WORDS[:2])
    assert len(list(store.folder.glob("*.flac"))) == 2, "the sound that was replaced is gone"


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        'He said "no", and',
        "a;b\tc|d",
        "<b>open</b>",
        "sep=;",
        "it’s 5 o'clock",
        "\u202eopen\u200b it\0",
    ],
)
def test_any_text_comes_back_as_it_reads(store: OwnClips, text: str) -> None:
    kept = store.add(wav(say("a" * 20)), text).text
    assert "\u202e" not in kept and "\0" not in kept
    assert [clip.text for clip in read_folder(str(store.folder), EN).clips] == [kept]


def test_a_sentence_is_in_one_split_whatever_is_done_to_it(store: OwnClips) -> None:
    filled(store, [*WORDS, *WORDS[:9], "Open, it!", "CLOSE GATE"])

    def sides() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for clip in store.clips():
            found.setdefault(normalise(clip.text, EN), set()).add(clip.split)
        return found

    assert all(len(splits) == 1 for splits in sides().values())
    assert splits_of(store.clips(), EN) == {"train": 11, "validation": 2, "test": 3}
    for split in ("test", "validation", "train"):  # made to say what is on another side already
        clip = next(clip for clip in store.clips() if clip.split == split)
        other = next(clip for clip in store.clips() if clip.split != split)
        assert store.edit(clip.name, f"{other.text}!").split == other.split
    twice = next(clip for clip in store.clips() if clip.split == "test")
    store.add(spoken(), twice.text)
    store.edit(twice.name, "something quite new")
    store.delete(store.clips()[0].name)
    assert all(len(splits) == 1 for splits in sides().values())
    splitting = split_clips(read_folder(str(store.folder), EN).clips, EN, seed=1)
    assert splitting.split_by == "text" and splitting.note == ""


def test_the_fewest_have_something_to_judge_by(store: OwnClips) -> None:
    for has in range(FEWEST_MIXED):
        with pytest.raises(UserError, match=f"Record {FEWEST_MIXED - has} (more|sentences)"):
            check_enough(store.clips(), EN, mixed=True)
        filled(store, [WORDS[has]])
    check_enough(store.clips(), EN, mixed=True)
    assert splits_of(store.clips(), EN) == {"train": 3, "validation": 1, "test": 1}
    with pytest.raises(UserError, match="Record 5 more"):
        check_enough(store.clips(), EN, mixed=False)
    filled(store, WORDS[FEWEST_MIXED:FEWEST_ALONE])
    check_enough(store.clips(), EN, mixed=False)
    filled(store, [WORDS[0]])
    assert splits_of(store.clips(), EN).total() == FEWEST_ALONE, "the same once more is no other sentence"


def test_how_many_more_follows_from_what_is_there(store: OwnClips) -> None:
    assert still_wanted([], EN) == 20
    clips = filled(store, WORDS[:4]).clips()
    mean = sum(clip.seconds for clip in clips) / 4
    assert still_wanted(clips, EN) == round((120 - 4 * mean) / mean)
    assert still_wanted(clips * 200, EN) == 16, "long enough, but few sentences"


def test_a_crash_leaves_neither_half_a_clip_nor_half_a_table(store: OwnClips, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(store, WORDS[:2])
    (store.folder / "20260101-000000-0badc0de.flac.part").write_bytes(b"half")
    (store.folder / "20260101-000000-0badc0de.flac").write_bytes(b"in no row")
    with monkeypatch.context() as broken:
        broken.setattr(module, "_table", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError):
            store.add(spoken(), WORDS[2])
    assert [clip.text for clip in store.clips()] == WORDS[:2]
    store.add(spoken(), WORDS[3])
    names = {clip.name for clip in store.clips()}
    assert {file.name for file in store.folder.iterdir()} == {*names, TABLE, ".lock"}


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe", b"file_name,text\n", b"file_name,text,split,seconds\n../x,a,train,1\n"]
)
def test_a_damaged_table_is_left_as_it_is(store: OwnClips, damage: bytes) -> None:
    filled(store, WORDS[:1])
    table = store.folder / TABLE
    rows = damage if damage != b"file_name,text\n" else damage + b'a.flac,"open\n'
    table.write_bytes(rows)
    with pytest.raises(UserError, match="damaged"):
        store.add(spoken(), WORDS[1])
    assert table.read_bytes() == rows


@pytest.mark.parametrize(("on_space", "advice"), [(False, f"Mend {TABLE}"), (True, "whoever runs this Space")])
def test_who_has_a_damaged_table_is_told_what_they_can_do(tmp_path: Path, on_space: bool, advice: str) -> None:
    store = filled(own_clips(Settings(data_dir=tmp_path, on_space=on_space), "0" * 64, "en-US"), WORDS[:1])
    (store.folder / TABLE).write_bytes(b"\xff")
    with pytest.raises(UserError, match=advice) as told:
        store.clips()
    assert (TABLE in str(told.value)) is not on_space


def test_many_at_once_lose_nothing(store: OwnClips) -> None:
    threads = [threading.Thread(target=store.add, args=(spoken(text), text)) for text in WORDS[:8]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(clip.text for clip in store.clips()) == sorted(WORDS[:8])
    with (store.folder / TABLE).open(newline="") as file:
        assert len(list(csv.reader(file))) == 9


def test_a_copy_is_as_the_clips_were(store: OwnClips, tmp_path: Path) -> None:
    first = filled(store, WORDS[:3]).clips()[0]
    store.link_to(tmp_path / "copy")
    store.delete(first.name)
    store.edit(store.clips()[0].name, "something else")
    assert [clip.text for clip in read_folder(str(tmp_path / "copy"), EN).clips] == WORDS[:3]


@pytest.mark.parametrize("code", LOCALES)
def test_sentences_to_read_are_never_those_that_practice_is_judged_by(code: str, tmp_path: Path) -> None:
    locale = LOCALES[code]
    clips = open_source("practice", locale, Settings(data_dir=tmp_path)).clips
    held_out = {normalise(clip.text, locale) for clip in clips if clip.split != "train"}
    read = [normalise(text, locale) for text in sentences(code)]
    assert len(set(read)) == len(read) >= 50 and held_out and not held_out & set(read)


def test_reading_goes_on_where_it_was_and_ends() -> None:
    whole = sentences("en-US")
    assert next_sentence(EN, []) == whole[0]
    assert next_sentence(EN, [whole[1]], after=whole[0]) == whole[2], "what was said is not asked for again"
    assert next_sentence(EN, whole[1:], after=whole[-1]) == whole[0], "what was skipped comes again at the end"
    assert next_sentence(EN, whole, after=whole[0]) == ""
