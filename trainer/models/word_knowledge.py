"""What a model knows of words: phrases that it was taught, and common words of its language.

Neither alone serves everybody: who says what was taught is heard best with the phrases, and whoever says something else
is misled by them. So both foretell each next word, and whichever has foretold the text better so far counts for more
(Bayes, from even odds). A text costs either at most half its probability.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from trainer.models.common_words import CommonWords, common_words
from trainer.models.language_model import START, LanguageModel, State, read
from trainer.models.model_files import read_notes
from trainer.speech.locales import LOCALES

MOST_ODDS = 5.0  # nats; people change the subject


class KnownState(NamedTuple):
    """The two words before, and the logarithm of how much likelier they are as phrases than as words."""

    words: State = START
    odds: float = 0.0


class WordKnowledge:
    """Foretells words as `LanguageModel` does. All probabilities after a state are one."""

    def __init__(self, phrases: LanguageModel, common: CommonWords | None) -> None:
        """Where there are no common words the phrases count alone, and the other way round."""
        self.words, self.phrases = phrases.words, phrases.over(common)
        self._plain = LanguageModel(phrases.words, {}, common) if common else phrases
        self._even = bool(phrases) and common is not None
        self._known = bool(phrases) or common is not None

    def __bool__(self) -> bool:
        return self._known

    @property
    def start(self) -> KnownState:
        """Before any word."""
        return KnownState()

    def after(self, state: KnownState, word: str) -> KnownState:
        """The state once one more word was said."""
        words = self.phrases.after(state.words, word)
        if not self._even:
            return KnownState(words)
        gained = self.phrases.word(state.words, word) - self._plain.word(START, word)
        return KnownState(words, max(-MOST_ODDS, min(MOST_ODDS, state.odds + gained)))

    def word(self, state: KnownState, word: str) -> float:
        """The logarithm of P(word | what was said before); of `EDGE`, that the text ends there."""
        said = self.phrases.word(state.words, word)
        return _mixed(state.odds, said, self._plain.word(START, word)) if self._even else said

    def beginning(self, state: KnownState, letters: str) -> float:
        """The logarithm of P(the next word begins so)."""
        said = self.phrases.beginning(state.words, letters)
        return _mixed(state.odds, said, self._plain.beginning(START, letters)) if self._even else said

    def expecting(self, units: Iterable[str]) -> "WordKnowledge":
        """The same, with the words of these texts as likely as common ones, which they seldom are."""
        twin, listed = WordKnowledge.__new__(WordKnowledge), list(units)
        twin.__dict__ |= self.__dict__
        twin.phrases, twin._plain = self.phrases.expecting(listed), self._plain.expecting(listed)
        return twin


def _mixed(odds: float, phrase: float, plain: float) -> float:
    """The logarithm of the mean of two probabilities, given by theirs, weighted by odds: e^odds to 1."""
    if phrase > plain:
        return phrase + math.log((math.exp(odds) + math.exp(plain - phrase)) / (math.exp(odds) + 1))
    return plain + math.log((math.exp(odds + phrase - plain) + 1) / (math.exp(odds) + 1))


def known_to(folder: Path) -> WordKnowledge | None:
    """What the model in a folder knows: the phrases beside it, and the common words of its language where its notes say
    which that is, as those do that are written here. None where there is neither.

    Raises UserError for a file that is not what it seems.
    """
    phrases, locale = read(folder), LOCALES.get(str(read_notes(folder).get("locale")))
    common = common_words(locale.language) if locale else None
    return WordKnowledge(phrases or LanguageModel("spaces", {}), common) or None
