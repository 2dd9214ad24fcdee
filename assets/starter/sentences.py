"""What the voices say: endless sentences in twelve languages, and how they are spelled.

A third of them are random frequent words, so that the spelling of a language is learnt whatever is said in it; the
others are pieces of the practice set's training sentences in a new order, for the words of a bank's customers.

Invariant: no sentence of the practice set's test split, of any locale, is ever among them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import wordfreq

from assets.practice.make import ESPEAK_LANGUAGE, RESPELL, hold_out, read_sentences
from trainer.speech.locales import Locale, locale_of
from trainer.speech.text import normalise, to_units

WORDS = 10_000  # most frequent of each language
HAN_WORDS = 4_000  # of Chinese: they need some 1,600 characters, and each is a label
PIECES_SHARE = 0.65  # of sentences are made of pieces of the practice set's
MOST_WORDS = 14

Random = np.random.Generator  # for short signatures


@dataclass(frozen=True)
class Language:
    """One of MInDS-14's: wordfreq's code, espeak-ng's voices for it, and the locales it is spoken in."""

    code: str
    accents: tuple[str, ...]
    locales: tuple[str, ...]

    @property
    def locale(self) -> Locale:
        """The one whose rules of writing are used."""
        return locale_of(self.locales[0])

    @cached_property
    def words(self) -> list[str]:
        """The most frequent first."""
        count = HAN_WORDS if self.code == "zh" else WORDS
        words = [word for word in wordfreq.top_n_list(self.code, count) if word.isalpha()]
        foreign = self.code in {"ko", "ru", "zh"}  # there, Latin words are of another language
        return [word for word in words if not (foreign and word.isascii())]

    @cached_property
    def pieces(self) -> list[list[str]]:
        """The training sentences of the practice set, word by word (of Chinese, character by character)."""
        kept = []
        for code in self.locales:
            sentences = read_sentences(code)
            held = hold_out(sentences)
            kept += [s.text for s in sentences if s not in held and self.normal(s.text) not in self.tested]
        return [list(text) if self.code == "zh" else text.split() for text in dict.fromkeys(kept)]

    @cached_property
    def tested(self) -> set[str]:
        """The test sentences, normalised."""
        return {self.normal(s.text) for code in self.locales for s in hold_out(read_sentences(code))}

    def normal(self, text: str) -> str:
        """As error rates count it."""
        return normalise(text, self.locale)

    def units(self, text: str) -> str:
        """Its labels, one a character."""
        return to_units(self.normal(text), self.locale)

    def spoken(self, text: str) -> str:
        """As espeak-ng has to read it in order to say it right."""
        for written, respelled in RESPELL.get(self.locales[0], {}).items():
            text = text.replace(written, respelled)
        return text


# In espeak-ng 1.51 "cmn" reads most characters as English letters and digits ("qian two"); "cmn-latn-pinyin" reads
# the same characters as Mandarin.
_ROWS = (
    Language("cs", ("cs",), ("cs-CZ",)),
    Language("de", ("de",), ("de-DE",)),
    Language(
        "en",
        ("en-us", "en-us", "en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland", "en-029"),
        ("en-US", "en-GB", "en-AU"),
    ),
    Language("es", ("es", "es-419"), ("es-ES",)),
    Language("fr", ("fr", "fr-be", "fr-ch"), ("fr-FR",)),
    Language("it", ("it",), ("it-IT",)),
    Language("ko", ("ko",), ("ko-KR",)),
    Language("nl", ("nl",), ("nl-NL",)),
    Language("pl", ("pl",), ("pl-PL",)),
    Language("pt", ("pt", "pt-br"), ("pt-PT",)),
    Language("ru", ("ru",), ("ru-RU",)),
    Language("zh", ("cmn-latn-pinyin",), ("zh-CN",)),
)
LANGUAGES = {row.code: row for row in _ROWS}
assert {code for row in _ROWS for code in row.locales} == {*ESPEAK_LANGUAGE}
SHARES = {"en": 2.5}  # how often a language comes up, where it is not 1: English is spoken in three of the locales


def draw_language(rng: Random) -> Language:
    weights = np.array([SHARES.get(code, 1.0) for code in LANGUAGES])
    return _ROWS[rng.choice(len(_ROWS), p=weights / weights.sum())]


def draw_sentence(language: Language, rng: Random) -> str:
    """One to 14 words, with commas here and there for the voice's sake."""
    while True:
        words = _pieces(language, rng) if rng.random() < PIECES_SHARE else _frequent_words(language, rng)
        text = _join(words, language, rng)
        if language.normal(text) not in language.tested:
            return text


def _frequent_words(language: Language, rng: Random) -> list[str]:
    words = language.words
    count = rng.integers(1, MOST_WORDS + 1)
    # The square draws frequent words more often, as people do.
    return [words[int(len(words) * u * u)] for u in rng.random(count)]


def _pieces(language: Language, rng: Random) -> list[str]:
    """Runs of up to six words, each from another sentence."""
    most = int(rng.integers(2, MOST_WORDS + 1)) * (2 if language.code == "zh" else 1)
    words: list[str] = []
    while len(words) < most:
        sentence = language.pieces[rng.integers(len(language.pieces))]
        start = int(rng.integers(len(sentence)))
        words += sentence[start : start + int(rng.integers(1, 7))]
    return words[:most]


def _join(words: list[str], language: Language, rng: Random) -> str:
    between = "" if language.code == "zh" and rng.random() < 0.7 else " "
    return "".join(word + (", " if rng.random() < 0.07 else between) for word in words).strip(" ,")


def list_letters() -> list[str]:
    """All labels of all languages: the blank, then each character that a sentence can have."""
    letters = {"|"}
    for language in _ROWS:
        for text in (*language.words, *(" ".join(piece) for piece in language.pieces)):
            letters |= {*language.units(text)}
    return ["<blank>", *sorted(letters)]
