"""From logits to words: greedy CTC decoding, with when each word was said and how sure the model is of it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.models.vocabulary import Vocabulary
from trainer.speech.text import SEPARATOR, from_units, is_han

TSALLIS_ALPHA = 1 / 3  # the paper's best; below 1, so that what little the other labels get counts


@dataclass(frozen=True)
class Word:
    """A word with its start and end in seconds and a confidence from 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class AlignedToken:
    """A label that is written: its frames, [first, last], and the mean confidence over them, 0 to 1."""

    token: str
    first: int
    last: int
    confidence: float


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """The logarithm of the softmax over the labels: float32 of the same shape, (frames, labels)."""
    shifted = logits - logits.max(-1, keepdims=True, initial=-np.inf)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def certainty(log_probs: np.ndarray) -> np.ndarray:
    """How sure the model is of each frame, shape (frames,): 1 where it knows one label only, 0 where all are alike.

    `log_probs` has shape (frames, labels). It is one less Tsallis' entropy as a share of the most there can be
    (Laptev and Ginsburg, arXiv 2212.08703), which tells right words from wrong ones better than the best label's
    probability does: a model that overfits gives that 1 nearly always.
    """
    labels = log_probs.shape[-1]
    if labels < 2:
        return np.ones(len(log_probs))
    most = labels ** (1 - TSALLIS_ALPHA)
    powers = np.exp(TSALLIS_ALPHA * log_probs.astype(np.float64)).sum(-1)
    return np.clip((most - powers) / (most - 1), 0.0, 1.0)


def greedy(logits: np.ndarray, vocabulary: Vocabulary) -> list[AlignedToken]:
    """The best label of each frame, collapsed. `logits` has shape (frames, labels)."""
    if not len(logits):
        return []
    return collapse(logits.argmax(-1), certainty(log_probabilities(logits)), vocabulary)


def collapse(ids: Sequence[int] | np.ndarray, confidences: np.ndarray, vocabulary: Vocabulary) -> list[AlignedToken]:
    """Merge repeats, drop blanks and special tokens (CTC, Graves et al. 2006).

    `ids` and `confidences` have shape (frames,): the best label of each frame, and how sure the model is there.
    """
    labels = np.asarray(ids)
    if not len(labels):
        return []
    edges = np.flatnonzero(np.diff(labels)) + 1
    tokens = []
    for first, end in zip([0, *edges], [*edges, len(labels)], strict=True):
        token = vocabulary.letters.get(int(labels[first]))
        if token:
            tokens.append(AlignedToken(token, int(first), int(end) - 1, float(confidences[first:end].mean())))
    return tokens


def text_of(tokens: Sequence[AlignedToken], vocabulary: Vocabulary) -> str:
    """The text for people, its letters composed (NFC), in lower case where the vocabulary only spells upper case."""
    units = "".join(" " if _is_space(token, vocabulary) else token.token for token in tokens)
    return _in_case(from_units(units), vocabulary)


def words_of(
    tokens: Sequence[AlignedToken], vocabulary: Vocabulary, seconds_per_frame: float, start: float = 0.0
) -> list[Word]:
    """The same text word by word, with times from `start` seconds on; each Han character is a word of its own.

    The confidence is the product of the characters': a word is right only where all of them are.
    """
    words: list[Word] = []
    for group in _grouped(tokens, vocabulary):
        text = _in_case(from_units("".join(item.token for item in group)), vocabulary)
        if text:
            first, last = start + group[0].first * seconds_per_frame, start + (group[-1].last + 1) * seconds_per_frame
            sure = math.prod(item.confidence for item in group)
            words.append(Word(text, round(first, 3), round(last, 3), round(sure, 4)))
    return words


def joined(texts: Sequence[str]) -> str:
    """Texts or words in order as one text, as `text_of` writes it: spaces between words, none around Han characters."""
    return from_units(" ".join(filter(None, texts)))


def is_space(token: str, vocabulary: Vocabulary) -> bool:
    """Whether a label stands between words."""
    return token in (vocabulary.delimiter, SEPARATOR) or token.isspace()


def _grouped(tokens: Sequence[AlignedToken], vocabulary: Vocabulary) -> Iterator[list[AlignedToken]]:
    """The labels of each word."""
    group: list[AlignedToken] = []
    for token in tokens:
        space, alone = _is_space(token, vocabulary), is_han(token.token)
        if group and (space or alone or is_han(group[-1].token)):
            yield group
            group = []
        if not space:
            group.append(token)
    if group:
        yield group


def _is_space(token: AlignedToken, vocabulary: Vocabulary) -> bool:
    return is_space(token.token, vocabulary)


def _in_case(text: str, vocabulary: Vocabulary) -> str:
    return text.lower() if vocabulary.lowers else text
