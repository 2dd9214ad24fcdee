"""What was said in the training transcripts: a language model of three words at a time, kept in a small file.

P(word | two words before) after Witten and Bell (1991): what was counted, interpolated with P(word | one word before),
that with P(word), and that with how words are spelt, letter by letter. So any word is possible, known or not, and all
probabilities together are one. Texts and words are units of the model (see `speech.text.to_units`): nothing has to be
spelt anew to be compared with what is heard. Nothing is drawn: the same texts give the same file.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from trainer.errors import UserError
from trainer.hub.safe_json import read_json
from trainer.speech.locales import Locale
from trainer.speech.text import SEPARATOR, Case, is_han, normalise, to_units

PHRASES = "phrases.json"  # beside a model
KIND, VERSION = "voicetune phrases", 1
FILE_BYTES = 16 * 2**20
MOST_TRIGRAMS = 200_000  # of transcripts of some 30 hours; rare ones are left out first
WORD_LENGTH = 64  # letters; Korean ones are jamo
MOST_COUNT = 10**9
MOST_REMEMBERED = 200_000  # probabilities that were asked for: some 40 MB
SPELLING_ORDER = 5  # letters, the one that is foretold among them
EDGE = ""  # before a text's first word and after its last
Words = Literal["spaces", "characters"]
State = tuple[str, str]  # the two words before
START: State = (EDGE, EDGE)
_BROKEN = "Copy the model anew, or go on without its phrases."


class _Counts:
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
        self._counts = _Counts()
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


class LanguageModel:
    """Made of counts of three words in a row; see `learn` and `read`."""

    def __init__(self, words: Words, trigrams: dict[tuple[str, str, str], int]) -> None:
        """`trigrams` count what follows which two words, edges of texts being `EDGE`."""
        self.words = words
        self._trigrams = dict(sorted(trigrams.items()))
        self._counts = _Counts()
        for (first, second, third), count in self._trigrams.items():
            for context in ((first, second), (second,), ()):
                self._counts.add(context, third, count)
        self.spelling = Spelling(word for word in self._counts.of.get((), {}) if word)
        self._beginnings: dict[tuple[str, ...], dict[str, int]] = {}
        self._probabilities: dict[tuple[State, str, bool], float] = {}

    def __bool__(self) -> bool:
        return bool(self._trigrams)

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
            if letters:
                probability = self.spelling.beginning(letters) if begins else self.spelling.word(letters)
            else:
                probability = 1.0 if begins else 0.0
            for context in ((), (state[1],), state):
                found = self._beginnings_after(context) if begins else self._counts.of.get(context, {})
                probability = self._counts.mixed(context, found.get(letters, 0), probability)
            if len(self._probabilities) >= MOST_REMEMBERED:
                self._probabilities.clear()
            known = self._probabilities[key] = math.log(max(probability, 1e-300))
        return known

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


def after(state: State, word: str) -> State:
    """The state once one more word was said."""
    return state[1], word


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
