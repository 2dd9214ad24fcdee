"""Transcripts as files: subtitles that can be read, no word cut, and formats as other programs read them."""

import itertools
import json
import re
import unicodedata

import numpy as np
import pytest

from trainer.models.decoding import Word, joined
from trainer.transcription.subtitles import WRITERS, Cue, cues, paragraphs, write
from trainer.transcription.transcribe import Transcript


def timed(text: str, pauses: dict[int, float] | None = None, seconds: float = 0.3, gap: float = 0.05) -> list[Word]:
    """Words said one after the other; before some of them there is a pause."""
    words, now = [], 0.0
    for number, word in enumerate(text.split() if " " in text else list(text)):
        now += (pauses or {}).get(number, gap)
        words.append(Word(word, round(now, 3), round(now + seconds, 3), 0.9))
        now += seconds
    return words


def transcript(words: list[Word]) -> Transcript:
    return Transcript(joined([word.text for word in words]), tuple(words), 99.0, 1.0, "your model")


def width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


SPOKEN = {
    "English": "please freeze my card because i have lost it somewhere between the station and the office " * 6,
    "German": "die donaudampfschifffahrtsgesellschaftskapitänsmütze liegt noch immer auf dem küchentisch " * 6,
    "Korean": "카드를 잃어버렸어요 지금 바로 정지해 주시고 새 카드를 보내 주세요 " * 8,
    "Chinese": "请冻结我的银行卡因为我昨天在车站把它弄丢了现在需要一张新的卡" * 6,
}


@pytest.mark.parametrize("language", SPOKEN)
@pytest.mark.parametrize("seed", range(3))
def test_subtitles_fit_and_hold_every_word_once(language: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pauses = {int(place): float(rng.uniform(0.2, 3)) for place in rng.integers(0, 60, 12)}
    words = timed(SPOKEN[language], pauses, float(rng.uniform(0.05, 0.6)))
    found = cues(words)
    assert joined([line for cue in found for line in cue.lines]) == transcript(words).text
    known = {word.text for word in words}
    for cue in found:
        assert 1 <= len(cue.lines) <= 2 and cue.start < cue.end <= cue.start + 7.0 + 1e-9
        for line in cue.lines:
            assert width(line) <= 42 or line in known
            assert language == "Chinese" or set(line.split()) <= known
    for cue, following in itertools.pairwise(found):
        assert cue.end <= following.start


def test_they_break_where_the_speaker_pauses() -> None:
    text = "i have lost my card yesterday please freeze it now and send me another one as soon as you can"
    assert [cue.lines for cue in cues(timed(text, {6: 1.2}))] == [
        ("i have lost my card yesterday",),
        ("please freeze it now and send me", "another one as soon as you can"),
    ]
    longer = timed(text + " because i am travelling abroad next week", {13: 0.6})
    assert cues(longer)[0].lines == ("i have lost my card yesterday", "please freeze it now and send me")


def test_a_short_word_stays_long_enough_to_be_read_and_a_long_one_no_longer_than_it_may() -> None:
    assert cues([Word("yes", 2.0, 2.1, 1.0)]) == [Cue(2.0, 3.0, ("yes",))]
    assert cues([Word("yes", 2.0, 2.1, 1.0), Word("no", 3.2, 13.0, 1.0)])[1] == Cue(3.2, 10.2, ("no",))
    assert cues([]) == []


def test_paragraphs_end_at_pauses_and_are_of_readable_size() -> None:
    words = timed(SPOKEN["English"], {40: 2.0, 41: 2.0, 80: 0.4})
    found = paragraphs(transcript(words))
    assert joined(found) == transcript(words).text
    assert found[0] == joined([word.text for word in words[:40]])
    assert len(paragraphs(transcript(timed(SPOKEN["English"] * 5)))) > 3
    assert all(len(part) <= 600 for part in paragraphs(transcript(timed(SPOKEN["English"] * 5))))
    assert paragraphs(Transcript("no times", (), 1.0, 1.0, "m")) == ["no times"]
    assert paragraphs(Transcript("", (), 1.0, 1.0, "m")) == []


def test_formats_are_as_other_programs_read_them() -> None:
    words = [Word("fish", 3599.5, 3600.0004, 0.75), Word("&", 3601.2, 3601.5, 0.5), Word("chips", 3601.5, 3602.5, 1.0)]
    said = transcript(words)
    assert write(said, "srt").startswith("1\n00:59:59,500 --> 01:00:00,500\nfish\n\n2\n01:00:01,200 --> ")
    assert write(said, "vtt").startswith("WEBVTT\n\n00:59:59.500 --> 01:00:00.500\nfish\n\n01:00:01.200 --> ")
    assert "&amp; chips" in write(said, "vtt") and "& chips" in write(said, "srt")
    assert write(said, "tsv").splitlines()[:2] == ["start\tend\tconfidence\tword", "3599.500\t3600.000\t0.7500\tfish"]
    assert write(said, "txt") == "fish & chips\n"
    told = json.loads(write(said, "json"))
    assert told["text"] == said.text and told["words"][1] == {
        "text": "&",
        "start": 3601.2,
        "end": 3601.5,
        "confidence": 0.5,
    }
    blocks = re.split(r"\n\n", write(transcript(timed(SPOKEN["English"])), "srt").strip())
    assert [block.splitlines()[0] for block in blocks] == [str(number + 1) for number in range(len(blocks))]


@pytest.mark.parametrize("kind", WRITERS)
def test_where_nothing_was_heard_there_is_a_file_all_the_same(kind: str) -> None:
    assert write(Transcript("", (), 1.0, 1.0, "m"), kind) == {  # type: ignore[arg-type]
        "txt": "\n", "srt": "", "vtt": "WEBVTT\n", "tsv": "start\tend\tconfidence\tword\n",
    }.get(kind, write(Transcript("", (), 1.0, 1.0, "m"), "json"))  # fmt: skip
