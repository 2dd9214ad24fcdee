"""When a word was said, of a model that only writes it: by where its decoder looks while it writes.

The attention of some heads of a Whisper's decoder follows the sound (Radford et al. 2022, arXiv 2212.04356; OpenAI's
program finds words so). The likeliest way through it, on which no token comes before the one before it, says when.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.models.decoding import Word
from trainer.models.subwords import Unit
from trainer.speech.text import from_units, is_han

SMOOTHED = 7  # frames, of the median that takes out what flickers


@dataclass(frozen=True)
class WrittenToken:
    """When a token was said, seconds from the start of the sound, and how sure the model is of it, 0 to 1."""

    start: float
    end: float
    confidence: float


def follow(attention: np.ndarray) -> np.ndarray:
    """The first frame of each token, (tokens,), rising. `attention` is (heads, tokens, frames), each row a
    distribution over frames."""
    _, tokens, frames = attention.shape
    if not tokens or frames < tokens:  # more than a token in 20 ms: nobody speaks so
        return np.linspace(0, frames, tokens, endpoint=False).astype(int)
    spread = attention.std(axis=1, keepdims=True)
    scores = (attention - attention.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-9)
    return _way(_smooth(scores).mean(axis=0))


def _smooth(scores: np.ndarray) -> np.ndarray:
    """(heads, tokens, frames): the median of the frames around each."""
    around = SMOOTHED // 2
    if scores.shape[-1] <= around:
        return scores
    padded = np.pad(scores, ((0, 0), (0, 0), (around, around)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, SMOOTHED, axis=-1)
    smooth: np.ndarray = np.median(windows, axis=-1)
    return smooth


def _way(scores: np.ndarray) -> np.ndarray:
    """The frame at which each token begins on the way of the highest sum; `scores` (tokens, frames). A frame belongs to
    one token, and each token to one frame at least (Viterbi)."""
    tokens, frames = scores.shape
    best = np.full(tokens, -np.inf)
    best[0] = scores[0, 0]
    advanced = np.zeros((frames, tokens), bool)
    for frame in range(1, frames):
        before = np.concatenate([[-np.inf], best[:-1]])
        advanced[frame] = before > best
        best = np.where(advanced[frame], before, best) + scores[:, frame]
    starts, token = np.zeros(tokens, int), tokens - 1
    for frame in range(frames - 1, 0, -1):
        if advanced[frame, token]:
            starts[token] = frame
            token -= 1
    return starts


def words_of_units(units: Sequence[Unit], tokens: Sequence[WrittenToken]) -> list[Word]:
    """The words that units of text make, each Han character one of its own, punctuation with the word it stands at.

    A word ends where its last letter does: the pause after it is punctuation's. The confidence is the product of the
    tokens': a word is right only where all of them are.
    """
    words: list[Word] = []
    for text, first, last in _grouped(units):
        sure = float(np.prod([token.confidence for token in tokens[first : last + 1]]))
        words.append(Word(text, round(tokens[first].start, 3), round(tokens[last].end, 3), round(sure, 4)))
    return words


def _grouped(units: Sequence[Unit]) -> list[tuple[str, int, int]]:
    """(text, first token, last token) of each word."""
    groups: list[tuple[str, int, int]] = []
    fresh = True
    for unit in units:
        for letter in unit.text:
            if letter.isspace():
                fresh = True
            elif groups and not fresh and _together(groups[-1][0], letter):
                text, first, last = groups[-1]
                groups[-1] = (text + letter, first, unit.last if letter.isalnum() else last)
            else:
                groups.append((letter, unit.first, unit.last))
                fresh = False
    return [(text, first, last) for written, first, last in groups if (text := from_units(written))]


def _together(before: str, letter: str) -> bool:
    """Whether a letter goes on with what stands before it without a space."""
    return not is_han(letter) and (not is_han(before) or not letter.isalnum())
