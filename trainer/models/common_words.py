"""The common words of a language: what a model that was taught no phrases, or few, expects to hear.

`assets/words/` has a file a language, of words in the order in which they are common. How common, is taken from the
order (Zipf's law, as Mandelbrot put it): the figures themselves make no difference (assets/words/README.md).
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from trainer.models.spelling import EDGE, Counts, Spelling
from trainer.settings import WORDS

RANK_SHIFT = 2.7  # Mandelbrot's, as measured on English
COUNTED = 10**6  # times, the most common word's count were it not for the shift
WORDS_A_TEXT = 10  # that a text ends after so many words, on average, is as good a guess as any
LANGUAGES_KEPT = 4  # in memory: some 20 MB each


class CommonWords:
    """P(word), of all that could be said: the listed ones by their rank, others by how those are spelt."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` in small letters, each once, the most common first."""
        self._counts, self._begun = Counts(), dict[str, int]()
        for rank, word in enumerate(words, start=1):
            count = max(1, round(COUNTED / (rank + RANK_SHIFT)))
            self._counts.add((), word, count)
            for length in range(1, len(word) + 1):
                self._begun[word[:length]] = self._begun.get(word[:length], 0) + count
        self._counts.add((), EDGE, max(1, self._counts.total[()] // WORDS_A_TEXT))
        self._spelling = Spelling(words)

    def word(self, word: str) -> float:
        """P(word); of `EDGE`, that the text ends."""
        spelt = self._spelling.word(word) if word else 0.0
        return self._counts.mixed((), self._counts.of[()].get(word, 0), spelt)

    def beginning(self, letters: str) -> float:
        """P(the next word begins so): over all words that do, listed or not."""
        if not letters:
            return 1.0
        return self._counts.mixed((), self._begun.get(letters, 0), self._spelling.beginning(letters))


@lru_cache(LANGUAGES_KEPT)
def common_words(language: str) -> CommonWords | None:
    """Those of a language, by its ISO 639-1 code, which must be a locale's; None where none are listed."""
    file = WORDS / f"{language}.txt"
    return CommonWords(read_words(file)) if file.is_file() else None


def read_words(file: Path) -> list[str]:
    """A word a line, the most common first."""
    return file.read_text(encoding="utf-8").split()
