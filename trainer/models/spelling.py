"""How often one thing follows another, and how words are spelt: what language models are made of."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

MOST_REMEMBERED = 200_000  # probabilities that were asked for: some 40 MB
SPELLING_ORDER = 5  # letters, the one that is foretold among them
EDGE = ""  # before a text's first word and after its last


class Counts:
    """How often what followed a context, and the share of it that goes to shorter contexts."""

    def __init__(self) -> None:
        self.of: dict[Any, dict[str, int]] = {}
        self.total: Counter[Any] = Counter()

    def add(self, context: Any, what: str, count: int = 1) -> None:
        following = self.of.setdefault(context, {})
        following[what] = following.get(what, 0) + count
        self.total[context] += count

    def mixed(self, context: Any, counted: float, shorter: float) -> float:
        """Witten and Bell's estimate of what was `counted` times after a context, and has the probability `shorter`
        after a shorter one."""
        if context not in self.of:
            return shorter
        kinds = len(self.of[context])
        return (counted + kinds * shorter) / (self.total[context] + kinds)


class Spelling:
    """How words are spelt: P(letter | the letters before it), and of the end. Learnt from each word once."""

    def __init__(self, words: Iterable[str]) -> None:
        self._counts = Counts()
        letters: set[str] = set()
        for word in sorted(set(words)):
            letters.update(word)
            for position, letter in enumerate([*word, EDGE]):
                before = self._before(word[:position])
                for length in range(len(before) + 1):
                    self._counts.add(before[length:], letter)
        # Of letters as many again may come as were seen, and the end; all alike.
        self._any = 1 / (2 * max(1, len(letters)) + 1)
        self._known: dict[tuple[str, str], float] = {}

    def letter(self, before: str, letter: str) -> float:
        """P(letter | the word's letters so far); `EDGE` is its end."""
        key = (self._before(before), letter)
        if key not in self._known:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[key] = self._estimate(*key)
            if not before:  # there is no word without letters
                none = self._estimate(key[0], EDGE)
                self._known[key] = self._known[key] / (1 - none) if letter else 0.0
        return self._known[key]

    def beginning(self, letters: str) -> float:
        """P(a word begins so)."""
        return math.prod(self.letter(letters[:position], letter) for position, letter in enumerate(letters))

    def word(self, word: str) -> float:
        """P(word), of all there could be."""
        return self.beginning(word) * self.letter(word, EDGE)

    def _estimate(self, before: str, letter: str) -> float:
        probability = self._any
        for length in range(len(before), -1, -1):
            context = before[length:]
            probability = self._counts.mixed(context, self._counts.of.get(context, {}).get(letter, 0), probability)
        return probability

    @staticmethod
    def _before(letters: str) -> str:
        return (" " + letters)[-(SPELLING_ORDER - 1) :]  # a space: the word's beginning
