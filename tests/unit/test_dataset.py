"""What a model is trained and tested on: found, split, and with what cannot be used left out and counted."""

from pathlib import Path

import numpy as np
import pytest

from tests.fakes.sounds import say, wav
from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.dataset import Preparation, Splitting, choose, frames_needed, split_clips
from trainer.speech.locales import LOCALES
from trainer.speech.preview import glance
from trainer.speech.sources import RawClip, Source, open_source, practice_locales

EN, KO = LOCALES["en-US"], LOCALES["ko-KR"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", hub_endpoint="http://127.0.0.1:9", hub_timeout=0.5)


def _clips(texts: list[str], speakers: int = 0) -> list[RawClip]:
    return [
        RawClip(f"{number}.wav", b"", text, None, f"s{number % speakers}" if speakers else None)
        for number, text in enumerate(texts)
    ]


def test_no_text_is_on_both_sides_whatever_its_punctuation() -> None:
    texts = [f"Sentence number {number}." for number in range(100)] + ["sentence number 7", "SENTENCE, number 8!"]
    splitting = split_clips(_clips(texts), EN, seed=1)
    assert len(splitting.test) == pytest.approx(20, abs=2) and not splitting.note
    sides = [
        {clip.text.lower().strip(".!").replace(",", "") for clip in side} for side in (splitting.train, splitting.test)
    ]
    assert not sides[0] & sides[1]
    assert split_clips(_clips(texts), EN, seed=1) == splitting
    assert split_clips(_clips(texts), EN, seed=2) != splitting


def test_few_texts_are_tested_with_other_speakers() -> None:
    clips = _clips(["one", "two", "three"] * 40, speakers=6)
    splitting = split_clips(clips, EN, seed=0)
    assert not {clip.speaker for clip in splitting.train} & {clip.speaker for clip in splitting.test}
    assert "speakers" in splitting.note
    without = split_clips(_clips(["yes", "no"] * 50), EN, seed=0)
    assert len(without.test) == 20 and without.note


def test_a_sources_own_split_is_kept() -> None:
    clips = [RawClip("a", b"", "a", "train"), RawClip("b", b"", "b", "test"), RawClip("c", b"", "c", None)]
    splitting = split_clips(clips, EN, seed=0)
    assert ([clip.name for clip in splitting.train], [clip.name for clip in splitting.test]) == (["a", "c"], ["b"])


def test_choosing_some_clips() -> None:
    clips = _clips([str(number) for number in range(50)])
    assert choose(clips, 10, "source", 0) == clips[:10]
    drawn = choose(clips, 10, "seeded", 0)
    assert len(drawn) == 10 and drawn != clips[:10] and drawn == choose(clips, 10, "seeded", 0)
    assert choose(clips, None, "seeded", 0) == clips == choose(clips, 99, "source", 0)


def test_repeated_labels_need_a_frame_between_them() -> None:
    assert frames_needed("abc") == 3
    assert frames_needed("hello") == 6
    assert frames_needed("aaa") == 5
    assert frames_needed("") == 0


def test_what_cannot_be_used_is_left_out_and_counted(settings: Settings) -> None:
    good = wav(say("hello there"))
    clips = [
        RawClip("good", good, "Hello there!"),
        RawClip("empty", good, " ?! "),
        RawClip("soundless", None, "hello"),
        RawClip("broken", b"RIFFnonsense", "hello"),
        RawClip("long", wav(np.zeros(16_000 * 32, np.float32) + 0.1), "hello"),
        RawClip("crowded", wav(say("ab")), "far more letters than there are frames in so short a clip"),
    ]
    prepare = Preparation(EN, "lower", settings, frames_of=lambda samples: samples // 320)
    dataset = prepare(Source("folder", clips), Splitting(clips, [clips[0]]))
    assert [example.text for example in dataset.train] == ["hello there"]
    assert dataset.left_out == {
        "without a transcript": 1,
        "without sound": 1,
        "unreadable": 1,
        "too long": 1,
        "too short for their text": 1,
    }
    example = dataset.train[0]
    assert example.samples.dtype == np.int16 and example.units == "hello|there"
    assert np.abs(example.waveform()).max() == pytest.approx(0.3, abs=0.02)


def test_nothing_left_says_why(settings: Settings) -> None:
    clips = [RawClip("soundless", None, "hello")]
    prepare = Preparation(EN, "lower", settings, frames_of=lambda samples: samples)
    with pytest.raises(UserError, match="2 without sound"):
        prepare(Source("folder", clips), Splitting(clips, clips))


def test_korean_is_learnt_by_jamo(settings: Settings) -> None:
    clips = [RawClip("ko", wav(say("abcdefghijk")), "카드 정지")]
    dataset = Preparation(KO, "lower", settings, lambda samples: samples // 320)(
        Source("folder", clips), Splitting(clips, clips)
    )
    assert dataset.train[0].text == "카드 정지" and len(dataset.train[0].units) == 10


def _table(folder: Path, name: str, content: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "a.wav").write_bytes(wav(say("a")))
    (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", 'path\ttext\na.wav\thallo "du"\n'),
        ("t.csv", 'file_name,transcription\na.wav,"hallo ""du"""\n'),
        ("t.csv", '\ufeffsentence,path\n"hallo ""du""",a.wav\n'),
    ],
)
def test_tables_of_ones_own(tmp_path: Path, settings: Settings, name: str, content: str) -> None:
    source = open_source(str(_table(tmp_path / "own", name, content)), EN, settings)
    assert [(clip.name, clip.text) for clip in source.clips] == [("a.wav", 'hallo "du"')]
    assert isinstance(source.clips[0].audio, Path)


def test_other_languages_and_paths_outside_are_left_out(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "secret.wav").write_bytes(wav(say("secret")))
    folder = _table(
        tmp_path / "own", "t.tsv", "path\ttext\tlanguage\na.wav\thi\ten\n../secret.wav\tx\ten\na.wav\thallo\tde\n"
    )
    source = open_source(str(folder), EN, settings)
    assert [clip.audio is not None for clip in source.clips] == [True, False]
    assert source.left_out == {"in another language": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "path\ttext\n", "one table"),
        ("t.tsv", "sound\ttext\na.wav\tx\n", "path"),
        ("t.tsv", "path\twords\na.wav\tx\n", "text"),
        ("t.tsv", "path\ttext\n", "no clips"),
        ("t.tsv", "", "path"),
    ],
)
def test_a_table_that_is_off_says_how(
    tmp_path: Path, settings: Settings, name: str, content: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_source(str(_table(tmp_path / "own", name, content)), EN, settings)
    assert str(tmp_path) not in str(caught.value)


def test_without_the_hub_auto_means_practice(settings: Settings) -> None:
    assert {"en-US", "de-DE", "ko-KR", "zh-CN"} <= set(practice_locales())
    source = open_source("auto", EN, settings)
    assert source.kind == "practice" and "spoken by a computer" in source.note
    test = {clip.text for clip in source.clips if clip.split == "test"}
    train = {clip.text for clip in source.clips if clip.split == "train"}
    assert len(test) >= 14 and len(train) >= 60 and not test & train
    with pytest.raises(UserError, match="MInDS-14"):
        open_source("minds14", EN, settings)


def test_a_glance_at_the_practice_set_has_clips_to_play(settings: Settings) -> None:
    seen = glance("auto", EN, settings)
    assert seen.clips > 80 and seen.seconds is not None and seen.seconds > 120 and seen.note
    assert len(seen.samples) == 3
    assert all(sample.text and sample.wav.startswith(b"RIFF") for sample in seen.samples)
