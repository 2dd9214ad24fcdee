"""Where a decoder looked while it wrote, as times of words."""

from itertools import pairwise

import numpy as np
import pytest

from trainer.models.subwords import Subwords
from trainer.models.word_times import WrittenToken, follow, words_of_units

NAMES = "abcdefghijklmnopqrstuvwxyz.,"


def attention(starts: list[int], frames: int, heads: int = 3) -> np.ndarray:
    """Heads that look, with some noise, at the frames from each start to the next."""
    rng = np.random.default_rng(0)
    edges = [*starts, frames]
    found = rng.uniform(0, 0.2, (heads, len(starts), frames))
    for token, (begin, end) in enumerate(pairwise(edges)):
        found[:, token, begin:end] += 1.0
    return found / found.sum(-1, keepdims=True)


@pytest.mark.parametrize("starts", [[0, 10, 50, 60], [0, 40], [0, 7, 14, 21, 80]])
def test_tokens_begin_where_the_heads_turn_to(starts: list[int]) -> None:
    assert np.abs(follow(attention(starts, 100)) - starts).max() <= 2


def test_no_token_comes_before_the_one_before_it_whatever_the_heads_do() -> None:
    noise = np.random.default_rng(1).dirichlet(np.ones(50), (4, 20))
    found = follow(noise)
    assert found[0] == 0 and (np.diff(found) >= 1).all() and found[-1] < 50


@pytest.mark.parametrize(("tokens", "frames"), [(0, 10), (5, 3), (3, 3), (1, 1), (2, 4)])
def test_more_tokens_than_frames_are_spread_evenly(tokens: int, frames: int) -> None:
    found = follow(np.full((2, tokens, frames), 1 / frames))
    assert len(found) == tokens and (found >= 0).all() and (found < frames).all() and (np.diff(found) >= 0).all()


def subwords(*names: str) -> Subwords:
    return Subwords({name: number for number, name in enumerate(names)})


def told(count: int) -> list[WrittenToken]:
    return [WrittenToken(float(place), float(place + 1), 0.5) for place in range(count)]


def test_words_are_what_stands_between_spaces_and_end_with_their_last_letter() -> None:
    pieces = subwords("Ġth", "e", "Ġcat", ",", "Ġsat", ".")
    words = words_of_units(pieces.units(range(6)), told(6))
    assert [(word.text, word.start, word.end) for word in words] == [("the", 0, 2), ("cat,", 2, 3), ("sat.", 4, 5)]
    assert [word.confidence for word in words] == [0.25, 0.5, 0.5]


def test_a_han_character_is_a_word_and_may_be_cut_in_bytes() -> None:
    name = "".join(letter_of(byte) for byte in "我".encode())
    pieces = subwords(name[:1], name[1:], "Ġok", "".join(letter_of(byte) for byte in "是。".encode()))
    assert pieces.text(range(4)) == "我 ok是。"
    words = words_of_units(pieces.units(range(4)), told(4))
    assert [(word.text, word.start, word.end) for word in words] == [("我", 0, 2), ("ok", 2, 3), ("是。", 3, 4)]


def test_half_a_character_is_shown_as_one_that_is_unknown() -> None:
    name = "".join(letter_of(byte) for byte in "我".encode())
    pieces = subwords(name[:2], "a", "<|x|>")
    assert pieces.text([0, 1, 2]) == "\ufffda"
    assert "".join(unit.text for unit in pieces.units([0, 1, 2])) == "\ufffda"
    assert [unit.text for unit in pieces.units([1, 0])] == ["a", "\ufffd"]


def letter_of(byte: int) -> str:
    from tests.fakes.hearing_whisper import pieces

    return next(name for name, number in pieces().items() if number == byte)
