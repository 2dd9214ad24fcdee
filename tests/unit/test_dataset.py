"""What a model is trained and tested on: found, split, and with what cannot be used left out and counted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.sounds import say, wav
from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.dataset import Preparation, Splitting, choose, frames_needed, split_clips, validation_size
from trainer.speech.locales import LOCALES
from trainer.speech.preview import glance
from trainer.speech.sources import RawClip, Source, Split, open_source, practice_locales

EN, KO = LOCALES["en-US"], LOCALES["ko-KR"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", hub_endpoint="http://127.0.0.1:9", hub_timeout=0.5)


def _clips(texts: list[str], speakers: int = 0) -> list[RawClip]:
    return [
        RawClip(f"{number}.wav", b"", text, "", f"s{number % speakers}" if speakers else None)
        for number, text in enumerate(texts)
    ]


def _sides(splitting: Splitting) -> list[list[RawClip]]:
    return [splitting.train, splitting.validation, splitting.test]


def _apart(splitting: Splitting, fact: Callable[[RawClip], object]) -> bool:
    """Whether no two splits have clips that are equal in this."""
    facts = [{fact(clip) for clip in side} for side in _sides(splitting)]
    return sum(map(len, facts)) == len(set().union(*facts))


def _bare(clip: RawClip) -> str:
    return clip.text.lower().strip(".!").replace(",", "")


def test_no_text_is_in_two_splits_whatever_its_punctuation() -> None:
    texts = [f"Sentence number {number}." for number in range(100)] + ["sentence number 7", "SENTENCE, number 8!"]
    splitting = split_clips(_clips(texts), EN, seed=1)
    assert [len(side) for side in _sides(splitting)] == [66, 16, 20] and not splitting.note
    assert _apart(splitting, _bare) and splitting.split_by == "text"
    assert split_clips(_clips(texts), EN, seed=1) == splitting
    again = split_clips(_clips(texts), EN, seed=2)
    assert again.test != splitting.test and again.validation != splitting.validation


@pytest.mark.parametrize(
    ("clips", "held", "most"), [(1, 1, 1), (4, 1, 1), (14, 2, 2), (80, 16, 16), (201, 20, 40), (450, 45, 90)]
)
def test_validation_is_enough_to_choose_by_and_never_more_than_a_fifth(clips: int, held: int, most: int) -> None:
    assert validation_size(clips) == (held, most)


def test_speakers_are_held_out_where_there_are_enough() -> None:
    texts = [f"text {number}" for number in range(120)]
    splitting = split_clips(_clips(texts, speakers=12), EN, seed=0)
    assert _apart(splitting, lambda clip: clip.speaker) and "speakers" in splitting.note
    assert [len(side) for side in _sides(splitting)] == [80, 10, 30] and splitting.split_by == "text and speaker"
    shared = split_clips(_clips([*texts, *texts], speakers=11), EN, seed=0)  # every speaker shares texts with others
    assert _apart(shared, _bare) and not _apart(shared, lambda clip: clip.speaker)
    assert "of the same speakers" in shared.note and shared.split_by == "text"
    two = split_clips(_clips(texts, speakers=2), EN, seed=0)
    assert _apart(two, _bare) and "of the same speakers" in two.note


def test_few_texts_are_judged_by_other_speakers() -> None:
    clips = _clips(["one", "two", "three"] * 40, speakers=12)
    splitting = split_clips(clips, EN, seed=0)
    assert _apart(splitting, lambda clip: clip.speaker) and all(_sides(splitting))
    assert splitting.split_by == "speaker"
    assert "repeat a few texts" in splitting.note and "speakers that it does not learn from" in splitting.note
    without = split_clips(_clips(["yes", "no"] * 50), EN, seed=0)
    assert [len(side) for side in _sides(without)] == [64, 16, 20]
    assert without.note == "These clips repeat a few texts, so it is judged by the same texts in other recordings."
    assert without.split_by == "clip"
    three = split_clips(_clips(["yes", "no"] * 60, speakers=3), EN, seed=0)  # a third one cannot be spared
    assert not {clip.speaker for clip in three.test} & {clip.speaker for clip in three.train + three.validation}
    drawn = split_clips([replace(clip, split="train") for clip in _clips(["yes", "no"] * 50)], EN, seed=0)
    assert "are marked" not in drawn.note, "nobody marked what was drawn"
    assert "at the end, and until then by the same texts" in three.note and three.split_by == "clip"


def test_a_sources_own_splits_are_kept() -> None:
    rows: list[tuple[str, Split]] = [("a", "train"), ("b", "test"), ("c", ""), ("d", "validation")]
    clips = [RawClip(name, b"", name, split) for name, split in rows]
    splitting = split_clips(clips, EN, seed=0)
    assert [[clip.name for clip in side] for side in _sides(splitting)] == [["a", "c"], ["d"], ["b"]]
    some = [RawClip(str(number), b"", f"text {number}", "train") for number in range(100)] + [clips[1]]
    without = split_clips(some, EN, seed=0)
    assert without.test == [clips[1]] and (len(without.train), len(without.validation)) == (80, 20)
    untested = split_clips([*some[:100], clips[3]], EN, seed=0)
    assert untested.validation == [clips[3]] and (len(untested.train), len(untested.test)) == (80, 20)


def test_what_was_drawn_is_said_of_no_more_than_what_was_drawn() -> None:
    """The source's own test clips are of speakers that are learnt from; those drawn for validation are not."""
    clips = _clips([f"text {number}" for number in range(120)], speakers=12)
    own = [replace(clip, split="test") for clip in _clips([f"new text {number}" for number in range(12)], speakers=12)]
    splitting = split_clips([*clips, *own], EN, seed=0)
    assert splitting.split_by == "text"
    assert splitting.note == "While it learns it is judged by speakers that it does not learn from."
    ends = split_clips([*clips, *(replace(clip, split="validation") for clip in own)], EN, seed=0)
    assert ends.note == "At the end it is judged by speakers that it does not learn from."


def test_the_practice_set_keeps_its_test_and_spares_some_texts_for_validation(settings: Settings) -> None:
    source = open_source("practice", EN, settings)
    splitting = split_clips(source.clips, EN, seed=42)
    assert [len(side) for side in _sides(splitting)] == [180, 21, 34] and _apart(splitting, _bare)
    assert splitting.split_by == "text" and splitting.own_test and not source.revision
    few = split_clips(choose(source.clips, 84, "source", 42), EN, seed=42)
    assert few.test and not few.own_test, "they are all of its train split"
    assert {clip.name for clip in splitting.test} == {clip.name for clip in source.clips if clip.split == "test"}
    assert split_clips(source.clips, EN, seed=7).validation == splitting.validation, "named in validation.txt"


def test_every_locale_of_the_practice_set_has_clips_to_validate_on(settings: Settings) -> None:
    for code in practice_locales():
        splitting = split_clips(open_source("practice", LOCALES[code], settings).clips, LOCALES[code], seed=42)
        assert [len(side) for side in _sides(splitting)] == [180, 21, 34] and splitting.note == "", code


def test_texts_that_a_sources_own_splits_share_are_said() -> None:
    rows: list[tuple[str, Split]] = [("one", "train"), ("two", "train"), ("One!", "test"), ("new", "test")]
    clips = [RawClip(str(number), b"", text, split) for number, (text, split) in enumerate(rows)]
    shared = split_clips([*clips, RawClip("5", b"", "two", "validation")], EN, seed=0)
    note = shared.note
    assert shared.split_by == "source"
    assert "1 of the 1 to watch it by and 1 of the 2 to test on have texts that are trained on too" in note
    assert "trained on too" not in split_clips(clips[1:], EN, seed=0).note
    assert split_clips(
        [*clips[1:2], *clips[3:], RawClip("5", b"", "", "test"), RawClip("6", b"", "")], EN, 0
    ).split_by == ("text"), "those without a transcript are left out"
    voices = [replace(clip, speaker=f"s{number}") for number, clip in enumerate(clips)]
    assert split_clips(voices, EN, seed=0).split_by == "speaker"


def test_texts_that_validation_shares_with_test_alone_count_too() -> None:
    rows: list[tuple[str, Split]] = [("one", "train"), ("two", "validation"), ("Two!", "test")]
    clips = [RawClip(str(number), b"", text, split) for number, (text, split) in enumerate(rows)]
    assert split_clips(clips, EN, seed=0).split_by == "source"


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
    dataset = prepare(Source("folder", clips), Splitting(clips, [clips[0]], [clips[0]]))
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
    with pytest.raises(UserError, match="3 without sound"):
        prepare(Source("folder", clips), Splitting(clips, clips, clips))


def test_only_the_splits_that_are_asked_for_are_read(settings: Settings) -> None:
    good, bad = RawClip("good", wav(say("hello there")), "hello there"), RawClip("bad", b"RIFFnonsense", "hello")
    prepare = Preparation(EN, "lower", settings, frames_of=lambda samples: samples // 320)
    dataset = prepare(Source("folder", []), Splitting([], [bad], [good]), ["test"])
    assert len(dataset.test) == 1 and not dataset.train and not dataset.left_out
    with pytest.raises(UserError, match="to watch it by: 1 unreadable"):
        prepare(Source("folder", []), Splitting([good], [bad], [good]))


def test_korean_is_learnt_by_jamo(settings: Settings) -> None:
    clips = [RawClip("ko", wav(say("abcdefghijk")), "카드 정지")]
    dataset = Preparation(KO, "lower", settings, lambda samples: samples // 320)(
        Source("folder", clips), Splitting(clips, clips, clips)
    )
    assert dataset.train[0].text == "카드 정지" and len(dataset.train[0].units) == 10


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
