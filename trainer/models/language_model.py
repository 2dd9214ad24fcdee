"""What was said in the training transcripts: a language model of three words at a time, kept in a small file.

P(word | two words before) after Witten and Bell (1991): what was counted, interpolated with P(word | one word before),
that with P(word), that with how common the word is in its language where that is known, and that with how words are
spelt, letter by letter. So any word is possible, known or not, and all probabilities together are one. Texts and words
are units of the model (see `speech.text.to_units`): nothing has to be spelt anew to be compared with what is heard.
Nothing is drawn: the same texts give the same file.
"""

import copy
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from trainer.errors import UserError
from trainer.hub.safe_json import read_json
from trainer.models.common_words import CommonWords
from trainer.models.spelling import EDGE, MOST_REMEMBERED, Counts, Spelling
from trainer.speech.locales import Locale
from trainer.speech.text import SEPARATOR, Case, is_han, normalise, to_units

PHRASES = "phrases.json"  # beside a model
KIND, VERSION = "voicetune phrases", 1
FILE_BYTES = 16 * 2**20
MOST_TRIGRAMS = 200_000  # of transcripts of some 30 hours; rare ones are left out first
# Of all words that are said: each that a person listens for, as often as the commonest there are, and all together.
EXPECTED_EACH, EXPECTED_MOST = 0.02, 0.3
WORD_LENGTH = 64  # letters; Korean ones are jamo
MOST_COUNT = 10**9
Words = Literal["spaces", "characters"]
State = tuple[str, str]  # the two words before
START: State = (EDGE, EDGE)
_BROKEN = "Copy the model anew, or go on without its phrases."


class LanguageModel:
    """Made of counts of three words in a row, over the common words of a language; see `learn`, `read` and `over`."""

    def __init__(
        self, words: Words, trigrams: dict[tuple[str, str, str], int], common: CommonWords | None = None
    ) -> None:
        """`trigrams` count what follows which two words, edges of texts being `EDGE`."""
        self.words, self._common = words, common
        self._expected: list[str] = []
        self._trigrams = dict(sorted(trigrams.items()))
        self._counts = Counts()
        for (first, second, third), count in self._trigrams.items():
            for context in ((first, second), (second,), ()):
                self._counts.add(context, third, count)
        self.spelling = Spelling(word for word in self._counts.of.get((), {}) if word)
        self._beginnings: dict[tuple[str, ...], dict[str, int]] = {}
        self._probabilities: dict[tuple[State, str, bool], float] = {}

    def __bool__(self) -> bool:
        return bool(self._trigrams) or self._common is not None

    @property
    def start(self) -> State:
        """Before any word."""
        return START

    def after(self, state: State, word: str) -> State:
        """The state once one more word was said."""
        return state[1], word

    @property
    def size(self) -> tuple[int, int]:
        """How many different words, and how many of three in a row."""
        return len([word for word in self._counts.of.get((), {}) if word]), len(self._trigrams)

    def word(self, state: State, word: str) -> float:
        """The logarithm of P(word | the two before); of `EDGE`, that the text ends there."""
        return self._log(state, word, False)

    def beginning(self, state: State, letters: str) -> float:
        """The logarithm of P(the next word begins so): over all words that do, known or not."""
        return self._log(state, letters, True)

    def _log(self, state: State, letters: str, begins: bool) -> float:
        key = (state, letters, begins)
        known = self._probabilities.get(key)
        if known is None:
            probability = self._of_itself(letters, begins)
            for context in ((), (state[1],), state):
                found = self._beginnings_after(context) if begins else self._counts.of.get(context, {})
                probability = self._counts.mixed(context, found.get(letters, 0), probability)
            if len(self._probabilities) >= MOST_REMEMBERED:
                self._probabilities.clear()
            known = self._probabilities[key] = math.log(max(probability, 1e-300))
        return known

    def _of_itself(self, letters: str, begins: bool) -> float:
        """P(word), or of all that begin so, whatever was taught."""
        if not self._expected:
            return self._usual(letters, begins)
        fitting = sum(word.startswith(letters) if begins else word == letters for word in self._expected)
        share = min(EXPECTED_MOST, EXPECTED_EACH * len(self._expected))
        return (1 - share) * self._usual(letters, begins) + share * fitting / len(self._expected)

    def _usual(self, letters: str, begins: bool) -> float:
        if self._common:  # whose letters are small
            return self._common.beginning(letters.lower()) if begins else self._common.word(letters.lower())
        if not letters:
            return 1.0 if begins else 0.0
        return self.spelling.beginning(letters) if begins else self.spelling.word(letters)

    def _beginnings_after(self, context: tuple[str, ...]) -> dict[str, int]:
        """How often what followed a context began with which letters."""
        found = self._beginnings.get(context)
        if found is None:
            found = {}
            for word, count in self._counts.of.get(context, {}).items():
                for length in range(len(word) + 1):
                    found[word[:length]] = found.get(word[:length], 0) + count
            self._beginnings[context] = found
        return found

    def over(self, common: CommonWords | None) -> "LanguageModel":
        """The same, with the common words of a language for what was not taught."""
        return self._with(_common=common)

    def expecting(self, units: Iterable[str]) -> "LanguageModel":
        """The same, with the words of these texts as likely as common ones, which they seldom are."""
        return self._with(_expected=[word for text in units for word in split_words(text, self.words)])

    def _with(self, **changed: object) -> "LanguageModel":
        twin = copy.copy(self)
        twin.__dict__ |= {"_probabilities": {}, **changed}
        return twin

    def save(self, folder: Path) -> None:
        """Write `PHRASES` into a model's folder: whole or not at all."""
        trigrams = {SEPARATOR.join(words): count for words, count in self._trigrams.items()}
        values = {"kind": KIND, "version": VERSION, "words": self.words, "trigrams": trigrams}
        draft = folder / f"{PHRASES}.{os.getpid()}.part"
        try:
            draft.write_text(json.dumps(values, ensure_ascii=False, indent=0), encoding="utf-8")
            draft.replace(folder / PHRASES)
        finally:
            draft.unlink(missing_ok=True)


def split_words(units: str, words: Words) -> Iterator[str]:
    """The words of a text in units: between separators, and, where words are characters, each Han character alone."""
    for part in filter(None, units.split(SEPARATOR)):
        if words == "spaces":
            yield part
            continue
        start = 0
        for position, letter in enumerate(part):
            if is_han(letter):
                yield from filter(None, (part[start:position], letter))
                start = position + 1
        yield from filter(None, (part[start:],))


def learn(texts: Iterable[str], locale: Locale, case: Case = "lower") -> LanguageModel:
    """From training transcripts; none of those that a model is judged by should be among them.

    Chinese is taken by characters; all else by what stands between spaces. `case` is the model's vocabulary's.
    """
    words: Words = "characters" if locale.script == "han" else "spaces"
    counts: Counter[tuple[str, str, str]] = Counter()
    for text in texts:
        found = list(split_words(to_units(normalise(text, locale, case), locale), words))
        found = [word for word in found if len(word) <= WORD_LENGTH]
        if found:
            row = [*START, *found, EDGE]
            counts.update(zip(row, row[1:], row[2:], strict=False))
    kept = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_TRIGRAMS]
    return LanguageModel(words, dict(kept))


def read(folder: Path) -> LanguageModel | None:
    """The phrases beside a model; None where there are none. Raises UserError for a file that is not what it seems."""
    values = read_json(folder, PHRASES, FILE_BYTES)
    if values is None:
        return None
    words, trigrams = values.get("words"), values.get("trigrams")
    if values.get("kind") != KIND or values.get("version") != VERSION:
        raise UserError(f"This model's {PHRASES} is of a kind that I do not know.", _BROKEN)
    if words not in ("spaces", "characters") or not isinstance(trigrams, dict):
        raise UserError(f"This model's {PHRASES} does not say what was counted in it.", _BROKEN)
    if len(trigrams) > MOST_TRIGRAMS:
        raise UserError(f"This model's {PHRASES} lists more phrases than I take in.", _BROKEN)
    counts = {tuple(row.split(SEPARATOR)): count for row, count in trigrams.items()}
    if not all(_is_trigram(row) and _is_count(count) for row, count in counts.items()):
        raise UserError(f"This model's {PHRASES} has entries that are no phrases.", _BROKEN)
    return LanguageModel(words, counts)


def _is_trigram(row: Sequence[str]) -> bool:
    """Three short words; an edge begins a row, or ends it."""
    if len(row) != 3 or not all(len(word) <= WORD_LENGTH and word.isprintable() and " " not in word for word in row):
        return False
    first, second, third = row
    return bool(third or second) and bool(second or not first)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_COUNT
