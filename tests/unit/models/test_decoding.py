"""Words with times and confidence, in scripts with and without spaces."""

import numpy as np
import pytest

from trainer.models.decoding import AlignedToken, collapse, greedy, joined, text_of, words_of
from trainer.models.vocabulary import Vocabulary

CHINESE = Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, "我": 3, "的": 4, "a": 5, "t": 6})


def test_each_chinese_character_is_a_word_with_times_of_its_own() -> None:
    ids = np.array([3, 3, 0, 5, 6, 6, 0, 4, 2, 5])
    tokens = collapse(ids, np.full(10, 0.5), CHINESE)
    words = words_of(tokens, CHINESE, 0.02, start=10.0)
    assert [(word.text, word.start, word.end) for word in words] == [
        ("我", 10.0, 10.04), ("at", 10.06, 10.12), ("的", 10.14, 10.16), ("a", 10.18, 10.2),
    ]  # fmt: skip
    assert joined([word.text for word in words]) == text_of(tokens, CHINESE) == "我at的a"


def test_a_word_is_as_sure_as_all_of_its_letters_together() -> None:
    tokens = [AlignedToken("a", 0, 1, 0.5), AlignedToken("t", 2, 2, 0.8), AlignedToken("|", 3, 3, 0.1)]
    assert [word.confidence for word in words_of(tokens, CHINESE, 0.02)] == [pytest.approx(0.4)]


def test_pieces_are_joined_with_one_space_and_chinese_ones_with_none() -> None:
    assert joined(["hello", "", "my friend"]) == "hello my friend" and joined([]) == ""
    assert joined(["我的", "卡"]) == "我的卡"


def test_of_no_sound_nothing_is_written() -> None:
    assert greedy(np.zeros((0, 7), np.float32), CHINESE) == []


def test_who_knows_one_label_only_is_surer_than_who_wavers() -> None:
    logits = np.zeros((2, 7), np.float32)
    logits[0, 3] = logits[1, 3] = 14.0
    logits[1, 4] = 13.5
    sure, wavering = greedy(logits[:1], CHINESE)[0].confidence, greedy(logits[1:], CHINESE)[0].confidence
    assert 0.9 < sure <= 1.0 and wavering < sure - 0.1
