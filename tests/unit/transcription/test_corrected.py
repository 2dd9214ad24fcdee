"""Words that a person put right: those that stay keep their times, the others take those of what they replace."""

import pytest

from trainer.models.decoding import Word
from trainer.transcription.corrected import corrected
from trainer.transcription.subtitles import write
from trainer.transcription.transcribe import Transcript

HEARD = [("my", 0.0, 0.3), ("ac", 0.4, 0.6), ("ount", 0.6, 1.0), ("is", 1.2, 1.3), ("lost", 1.5, 2.0)]
WORDS = tuple(Word(text, start, end, 0.4) for text, start, end in HEARD)
SAID = Transcript("my ac ount is lost", WORDS, 3.0, 0.1, "m", "mi ac ount is lost")


def times(text: str) -> list[tuple[str, float, float]]:
    return [(word.text, word.start, word.end) for word in corrected(SAID, text).words]


def test_a_word_that_was_put_right_has_the_time_of_what_was_heard() -> None:
    assert times("My account is lost.") == [("My", 0, 0.3), ("account", 0.4, 1), ("is", 1.2, 1.3), ("lost.", 1.5, 2)]
    found = corrected(SAID, " My  account is lost. ")
    assert found.text == "My account is lost." and found.spelt == "" and found.model == "m, corrected"
    assert [word.confidence for word in found.words] == [0.4, 1.0, 0.4, 0.4]
    assert "My account is lost." in write(found, "srt")


def test_new_words_share_the_pause_and_several_share_the_time_by_their_letters() -> None:
    assert times("my ac ount is really lost")[4] == ("really", 1.3, 1.5)
    assert times("so my ac ount is lost")[0][:2] == ("so", 0.0)
    assert times("my ac ount is lost today")[-1] == ("today", 2.0, 3.0)
    assert times("my old card is lost")[1:3] == [("old", 0.4, 0.657), ("card", 0.657, 1.0)]


@pytest.mark.parametrize("text", ["", "x", "lost is ount ac my", "my my my", "a b c d e f g h i j", "... !"])
def test_whatever_is_typed_times_rise_and_every_word_is_there(text: str) -> None:
    found = times(text)
    assert [word for word, _, _ in found] == text.split()
    starts = [start for _, start, _ in found]
    assert starts == sorted(starts) and all(end > start for _, start, end in found)


def test_han_characters_are_words_and_where_no_times_are_known_there_are_none() -> None:
    words = tuple(Word(han, number * 1.0, number + 0.5, 0.9) for number, han in enumerate("我的卡"))
    found = corrected(Transcript("我的卡", words, 3.0, 0.1, "m"), "我的ATM卡").words
    assert [word.text for word in found] == ["我", "的", "ATM", "卡"] and found[-1].start == 2.0
    assert corrected(Transcript("a b", (), 3.0, 0.1, "m"), "a c").words == ()
