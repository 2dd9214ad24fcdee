"""What the voices say: endless sentences in twelve languages, and how they are spelled.

Most are written for this: sentences/<language>.txt has everyday sentences, many with slots to be filled from lists of
words. The others are sentences of the practice set's training side, for the words of a bank's customers, and random
frequent words, so that the spelling of a language is learnt whatever is said in it.

Such a file has three kinds of lines: `name = one | two` is a list, "{name}" in a sentence is a slot for one of it, and
what starts with "#" is a comment.

Invariant: no sentence by which the practice set, of any locale, tests or validates is ever among them.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import wordfreq

from assets.practice.make import ESPEAK_LANGUAGE, RESPELL, Sentence, hold_out, read_sentences, validation
from trainer.speech.locales import Locale, locale_of
from trainer.speech.text import normalise, to_units

HERE = Path(__file__).resolve().parent
WORDS = 10_000  # most frequent of each language
HAN_WORDS = 4_000  # of Chinese: they need some 1,600 characters, and each is a label
WRITTEN_SHARE, PRACTICE_SHARE = 0.55, 0.15  # of sentences; the others are frequent words
FEWEST_WORDS, MOST_WORDS = 4, 9  # in a row, of frequent ones

Random = np.random.Generator  # for short signatures
_SLOT = re.compile(r"\{(\w+)\}")
_LIST = re.compile(r"(\w+)\s*=\s*(.+)")


@dataclass(frozen=True)
class Written:
    """What a language's file has: its sentences, and the words for their slots by the slots' names."""

    sentences: list[str]
    lists: dict[str, list[str]]

    def draw(self, rng: Random) -> str:
        """A sentence whose slots are filled; a word of a list may have slots itself."""
        text = self.sentences[rng.integers(len(self.sentences))]
        while "{" in text:
            text = _SLOT.sub(lambda slot: self._word(slot[1], rng), text)
        return text[0].upper() + text[1:]

    def _word(self, name: str, rng: Random) -> str:
        words = self.lists[name]
        return words[rng.integers(len(words))]


def read_written(path: Path) -> Written:
    """Raises ValueError for a slot without a list."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    matches = [(line, _LIST.fullmatch(line)) for line in lines if line and not line.startswith("#")]
    lists = {found[1]: [word.strip() for word in found[2].split("|")] for _, found in matches if found}
    sentences = [line for line, found in matches if not found]
    missing = {name for line in lines for name in _SLOT.findall(line)} - {*lists}
    if missing:
        raise ValueError(f"{path.name}: no list for {sorted(missing)}")
    return Written(sentences, lists)


def _kept_apart(sentences: list[Sentence]) -> list[Sentence]:
    """Of a locale's: those that test, and those of the others that validate."""
    held = hold_out(sentences)
    learnt = [s for s in sentences if s not in held]
    names = validation(learnt)
    return held + [s for s in learnt if f"{s.locale}~{s.intent.upper()}/{s.number}" in names]


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
    def written(self) -> Written:
        return read_written(HERE / "sentences" / f"{self.code}.txt")

    @cached_property
    def practised(self) -> list[str]:
        """The training sentences of the practice set."""
        sentences = [s.text for code in self.locales for s in read_sentences(code)]
        return [text for text in dict.fromkeys(sentences) if self.normal(text) not in self.tested]

    @cached_property
    def tested(self) -> set[str]:
        """The practice set's sentences that test and that validate, normalised."""
        return {self.normal(s.text) for code in self.locales for s in _kept_apart(read_sentences(code))}

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
    """With the marks and capitals that help a voice to say it."""
    while True:
        kind = rng.random()
        if kind < WRITTEN_SHARE:
            text = language.written.draw(rng)
        elif kind < WRITTEN_SHARE + PRACTICE_SHARE:
            text = language.practised[rng.integers(len(language.practised))]
        else:
            text = _frequent_words(language, rng)
        if language.normal(text) not in language.tested:
            return text


def _frequent_words(language: Language, rng: Random) -> str:
    words = language.words
    count = rng.integers(FEWEST_WORDS, MOST_WORDS + 1)
    # The square draws frequent words more often, as people do.
    drawn = [words[int(len(words) * u * u)] for u in rng.random(count)]
    between = "" if language.code == "zh" else " "
    return "".join(word + (", " if rng.random() < 0.07 else between) for word in drawn).strip(" ,")


def list_letters() -> list[str]:
    """All labels of all languages: the blank, then each character that a sentence can have."""
    letters = {"|"}
    for language in _ROWS:
        written = language.written
        slots = [word for words in written.lists.values() for word in words]
        for text in (*language.words, *language.practised, *written.sentences, *slots):
            letters |= {*language.units(_SLOT.sub(" ", text))}
    return ["<blank>", *sorted(letters)]
