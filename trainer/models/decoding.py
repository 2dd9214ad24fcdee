"""From logits to words: greedy CTC decoding, with when each word was said and how sure the model is of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.models.vocabulary import Vocabulary
from trainer.speech.text import from_units


@dataclass(frozen=True)
class Word:
    """A word with its start and end in seconds and a confidence from 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Spike:
    """A label that is written: its frames, [first, last], and the mean probability over them."""

    token: str
    first: int
    last: int
    confidence: float


def collapse(ids: Sequence[int] | np.ndarray, probabilities: np.ndarray, vocabulary: Vocabulary) -> list[Spike]:
    """Merge repeats, drop blanks and special tokens (CTC, Graves et al. 2006).

    `ids` and `probabilities` have shape (frames,): the best label of each frame and its probability.
    """
    labels = np.asarray(ids)
    if not len(labels):
        return []
    edges = np.flatnonzero(np.diff(labels)) + 1
    spikes = []
    for first, end in zip([0, *edges], [*edges, len(labels)], strict=True):
        token = vocabulary.letters.get(int(labels[first]))
        if token is not None and labels[first] != vocabulary.blank:
            spikes.append(Spike(token, int(first), int(end) - 1, float(probabilities[first:end].mean())))
    return spikes


def text_of(spikes: Sequence[Spike], vocabulary: Vocabulary) -> str:
    """The composed text for people."""
    units = "".join(" " if spike.token == vocabulary.delimiter else spike.token for spike in spikes)
    return from_units(units)


def words_of(spikes: Sequence[Spike], vocabulary: Vocabulary, seconds_per_frame: float) -> list[Word]:
    """The same text word by word, with times; the confidence is the mean over the word's characters."""
    words: list[Word] = []
    group: list[Spike] = []
    for spike in [*spikes, None]:
        if spike is not None and spike.token != vocabulary.delimiter:
            group.append(spike)
        elif group:
            text = from_units("".join(item.token for item in group))
            if text:
                start, end = group[0].first * seconds_per_frame, (group[-1].last + 1) * seconds_per_frame
                sure = sum(item.confidence for item in group) / len(group)
                words.append(Word(text, round(start, 3), round(end, 3), round(sure, 4)))
            group = []
    return words
