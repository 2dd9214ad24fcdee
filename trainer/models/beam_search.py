"""CTC prefix beam search: the likeliest text, not the likeliest path, with what a language model knows of words.

After Hannun et al. 2014 (arXiv 1408.2873). A text's score is the probability of all paths that spell it, times
P(words)^lm_weight from the language model, times e^word_bonus a word, times e^hot_bonus a letter of a hot word. Of a
word that is not finished the language model gives the probability of all words that begin so. Numbers are plain
probabilities, not logarithms, scaled anew at each frame: three times as fast in Python.
"""

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trainer.models.alignment import align
from trainer.models.decoding import AlignedToken, is_space, log_probabilities
from trainer.models.hot_words import HotState, HotWords, hot_words
from trainer.models.language_model import EDGE, Words
from trainer.models.vocabulary import Vocabulary
from trainer.speech.text import SEPARATOR, is_han


@dataclass(frozen=True)
class BeamOptions:
    """What is looked at, and how much the language model counts."""

    width: int = 16  # texts kept at a frame
    margin: float = 10.0  # nats below the best text's score
    label_margin: float = 8.0  # nats below a frame's best label
    most_labels: int = 12  # looked at in a frame
    certain_blank: float = 0.995  # a frame whose blank is likelier has no other label
    # On the German practice clips' validation split (a quick run; greedy: WER 24.6 %) weights of 0.3, 0.5, 0.8, 1.0 and
    # 1.3 give 10.4, 7.1, 4.4, 3.8 and 2.2 %, and word bonuses of 0 to 2 nearly the same: tests/benchmarks/phrases.py.
    # No more than 1: people's sentences resemble one another less than the practice ones, which differ by few words.
    # With common words alone no other weight does better with people (assets/words/README.md).
    lm_weight: float = 1.0
    word_bonus: float = 1.0
    hot_bonus: float = 1.0  # a letter


class WordModel(Protocol):
    """What foretells words by those before, of which its own states tell: see `models.language_model`."""

    words: Words

    @property
    def start(self) -> Any:
        """The state before any word."""

    def after(self, state: Any, word: str) -> Any:
        """The state once one more word was said."""

    def word(self, state: Any, word: str) -> float:
        """The logarithm of P(word | state)."""

    def beginning(self, state: Any, letters: str) -> float:
        """The logarithm of P(the next word begins so | state)."""

    def expecting(self, units: Iterable[str]) -> "WordModel":
        """The same, with the words of these texts as likely as common ones."""


class _Text:
    """A beginning of the text, in a tree of those; `blank` and `label`: its probability by what its paths end with."""

    __slots__ = (
        "blank",
        "children",
        "hot",
        "id",
        "label",
        "next_blank",
        "next_label",
        "parent",
        "ratio",
        "state",
        "word",
    )

    def __init__(self, parent: "_Text | None", number: int, state: Any, word: str, hot: HotState, ratio: float) -> None:
        self.parent, self.id = parent, number
        self.children: dict[int, _Text] = {}
        self.state, self.word, self.hot = state, word, hot  # words before, letters since, hot words
        self.ratio = ratio  # by which its last label changes the score, apart from the sound
        self.blank = self.label = self.next_blank = self.next_label = 0.0


class BeamDecoder:
    """Writes down logits with a language model, hot words, both or neither."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        phrases: WordModel | None = None,
        hot: HotWords | None = None,
        options: BeamOptions | None = None,
    ) -> None:
        self._vocabulary, self._phrases = vocabulary, phrases
        self._start = phrases.start if phrases else None
        self._hot = hot or HotWords([])
        self._options = options or BeamOptions()
        self._units = {number: _units(token, vocabulary) for number, token in vocabulary.letters.items() if token}
        self._characters = phrases is not None and phrases.words == "characters"

    def __call__(self, logits: np.ndarray) -> list[AlignedToken]:
        """The labels of the best text, their frames, and how well each fits. `logits` has shape (frames, labels)."""
        if not len(logits):
            return []
        log_probs = self._without_silent(log_probabilities(logits))
        (labels, _), *_ = self.search(log_probs)
        frames = align(log_probs, labels, self._vocabulary.blank)
        # How sure it is of what was heard does not tell how well what is written fits it, once other words than those
        # heard are written: the probability of each label where it fits best does (AUC 0.74, where entropy has 0.69:
        # tests/benchmarks/confidence.py).
        return [
            AlignedToken(
                self._vocabulary.letters[label], first, last, math.exp(float(log_probs[first : last + 1, label].max()))
            )
            for label, (first, last) in zip(labels, frames, strict=True)
        ]

    @property
    def taught(self) -> bool:
        """Whether it knows phrases."""
        return self._phrases is not None

    def search(self, log_probs: np.ndarray) -> list[tuple[list[int], float]]:
        """The texts left at the end, as ids of labels, each with the logarithm of its score; the best first.

        `log_probs` has shape (frames, labels); labels that write nothing have no probability (see `__call__`).
        """
        root = _Text(None, -1, self._start, "", self._hot.start, 1.0)
        root.blank = 1.0
        beam, scale = [root], 0.0
        blanks = np.exp(log_probs[:, self._vocabulary.blank].astype(np.float64)).tolist()
        certain = False
        for blank, labels in zip(blanks, self._candidates(log_probs), strict=True):
            if blank > self._options.certain_blank:
                if not certain:
                    for text in beam:
                        text.blank, text.label = text.blank + text.label, 0.0
                certain = True
                scale += math.log(blank)
                continue
            certain = False
            beam, best = self._step(beam, blank, labels)
            scale += math.log(best)
        ended = [(self._labels(text), (text.blank + text.label) * self._ending(text)) for text in beam]
        scored = [(labels, scale + math.log(max(score, 1e-300))) for labels, score in ended]
        return sorted(scored, key=lambda item: -item[1])

    def _step(self, beam: list[_Text], blank: float, labels: list[tuple[int, float]]) -> tuple[list[_Text], float]:
        """The texts after one more frame, scaled so that the best one's score is 1, and what it was."""
        floor = math.exp(-self._options.margin)
        probability = dict(labels)
        grown: list[_Text] = []
        for text in beam:
            ends_blank, ends_label = text.blank, text.label
            total = ends_blank + ends_label
            text.next_blank += total * blank
            own = probability.get(text.id)
            if own is not None:
                text.next_label += ends_label * own
            for number, chance in labels:
                mass = (ends_blank if number == text.id else total) * chance
                child = text.children.get(number)
                if child is None:
                    if mass < floor * floor:
                        continue
                    child = text.children[number] = self._child(text, number)
                if child.next_label == 0.0 and child.blank == 0.0 and child.label == 0.0:
                    grown.append(child)
                child.next_label += mass * child.ratio
        return self._pruned([*beam, *grown], floor)

    def _pruned(self, texts: list[_Text], floor: float) -> tuple[list[_Text], float]:
        scores = [text.next_blank + text.next_label for text in texts]
        best = max(scores)
        ranked = [(score, number) for number, score in enumerate(scores) if score >= best * floor and score > 0]
        if len(ranked) > self._options.width:
            ranked = sorted(ranked, key=lambda item: (-item[0], item[1]))[: self._options.width]
        kept = [texts[number] for _, number in ranked]
        for text in texts:
            text.blank = text.label = 0.0
        for text in kept:
            text.blank, text.label = text.next_blank / best, text.next_label / best
        for text in texts:
            text.next_blank = text.next_label = 0.0
        return kept, best

    def _child(self, text: _Text, number: int) -> _Text:
        """The text with one label more."""
        state, word, hot = text.state, text.word, text.hot
        gained = 0.0
        for letter in self._units[number]:
            if letter == SEPARATOR:
                gained += self._word_ends(state, word)
                state, word = (self._after(state, word), "") if word else (state, "")
                hot, matched = self._hot.space(hot)
            elif self._characters and is_han(letter):
                gained += self._word_ends(state, word)
                state = self._after(state, word) if word else state
                gained += self._word_ends(state, letter, begun=False)
                state, word = self._after(state, letter), ""
                hot, matched = self._hot.letter(hot, "", letter)
            else:
                gained += self._letter_comes(state, word, letter)
                hot, matched = self._hot.letter(hot, word, letter)
                word += letter
            gained += self._options.hot_bonus * matched
        return _Text(text, number, state, word, hot, math.exp(gained))

    def _after(self, state: Any, word: str) -> Any:
        return self._phrases.after(state, word) if self._phrases else state

    def _letter_comes(self, state: Any, word: str, letter: str) -> float:
        if self._phrases is None:
            return 0.0
        more = self._phrases.beginning(state, word + letter) - self._phrases.beginning(state, word)
        return self._options.lm_weight * more

    def _word_ends(self, state: Any, word: str, begun: bool = True) -> float:
        if self._phrases is None or not word:
            return 0.0
        more = self._phrases.word(state, word) - (self._phrases.beginning(state, word) if begun else 0.0)
        return self._options.lm_weight * more + self._options.word_bonus

    def _ending(self, text: _Text) -> float:
        """By which the end of the text changes its score: that it ends there, too, where anything was said."""
        gained = self._word_ends(text.state, text.word) + self._options.hot_bonus * self._hot.end(text.hot)
        state = self._after(text.state, text.word) if text.word else text.state
        if self._phrases is not None and state != self._start:
            gained += self._options.lm_weight * self._phrases.word(state, EDGE)
        return math.exp(gained)

    def _labels(self, text: _Text) -> list[int]:
        labels = []
        while text.parent is not None:
            labels.append(text.id)
            text = text.parent
        return labels[::-1]

    def _candidates(self, log_probs: np.ndarray) -> list[list[tuple[int, float]]]:
        """Of each frame the labels that are worth looking at, with their probabilities; not the blank."""
        options = self._options
        likely = log_probs >= log_probs.max(-1, keepdims=True) - options.label_margin
        likely[:, self._vocabulary.blank] = False
        frames: list[list[tuple[int, float]]] = [[] for _ in log_probs]
        rows, columns = np.nonzero(likely)
        chances = np.exp(log_probs[rows, columns].astype(np.float64))
        for row, column, chance in zip(rows.tolist(), columns.tolist(), chances.tolist(), strict=True):
            frames[row].append((column, chance))
        return [
            sorted(found, key=lambda item: -item[1])[: options.most_labels]
            if len(found) > options.most_labels
            else found
            for found in frames
        ]

    def _without_silent(self, log_probs: np.ndarray) -> np.ndarray:
        """What is given to labels that write nothing goes to the blank: they part equal labels as it does."""
        blank = self._vocabulary.blank
        silent = [number for number in range(log_probs.shape[1]) if number not in self._units and number != blank]
        if silent:
            log_probs = log_probs.copy()
            log_probs[:, blank] = np.logaddexp.reduce(log_probs[:, [blank, *silent]], axis=1)
            log_probs[:, silent] = -np.inf
        return log_probs


def _units(token: str, vocabulary: Vocabulary) -> str:
    """What a label spells: Korean syllables are taken apart, as in `speech.text.to_units`."""
    if is_space(token, vocabulary):
        return SEPARATOR
    return "".join(unicodedata.normalize("NFD", letter) if "가" <= letter <= "힣" else letter for letter in token)


def decoder_for(vocabulary: Vocabulary, phrases: WordModel | None, typed: str = "") -> BeamDecoder | None:
    """What listens for phrases and for what a person `typed`; None where there is neither. Raises UserError."""
    hot = hot_words(typed, vocabulary)
    if phrases and hot:
        phrases = phrases.expecting(hot.units)
    return BeamDecoder(vocabulary, phrases, hot) if phrases or hot else None
