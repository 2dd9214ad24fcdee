"""The labels of a CTC model: which character has which id, and which id is the blank."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from trainer.errors import UserError
from trainer.hub.reading import read_json
from trainer.speech.locales import Locale
from trainer.speech.text import SPECIAL, build_vocabulary, case_of, covers, from_units, normalise, to_units

PAD, UNKNOWN, DELIMITER = SPECIAL
VOCAB_BYTES = 2**21  # of vocab.json; the largest real ones (Chinese) have some hundred kilobytes
MOST_TOKENS = 100_000  # as `limits.MOST["vocab_size"]`
TOKEN_LENGTH = 64  # characters; the longest real ones are names of special tokens
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # a terminal would obey them
# A base's own labels are kept where they cover nearly all of the training text: the rest is stray characters.
ENOUGH_COVERED = 0.995

_PAD_NAMES, _UNKNOWN_NAMES = ("[PAD]", "<pad>", "<PAD>"), ("[UNK]", "<unk>", "<UNK>")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids. `pad` is the token whose id is the CTC blank, `unknown` that of what is not in it."""

    tokens: Mapping[str, int]
    pad: str = PAD
    unknown: str = UNKNOWN
    delimiter: str = DELIMITER

    @property
    def blank(self) -> int:
        """The id of the CTC blank, which is also the padding's."""
        return self.tokens[self.pad]

    @cached_property
    def letters(self) -> dict[int, str]:
        """What an id writes: one with angle or square brackets (<s>, [UNK]) writes nothing."""
        silent = {self.pad, self.unknown}
        return {
            number: token
            for token, number in self.tokens.items()
            if token not in silent and not (len(token) > 2 and token[0] + token[-1] in ("<>", "[]"))
        }

    @property
    def case(self) -> Literal["lower", "upper"]:
        """The case its Latin letters have."""
        return case_of(self.tokens)

    def encode(self, units: str) -> list[int]:
        """One id a character; one that is not in the vocabulary gets the id for unknown."""
        unknown = self.tokens.get(self.unknown, self.blank)
        return [self.tokens.get(unit, unknown) for unit in units]

    def covers(self, texts: Iterable[str], locale: Locale) -> bool:
        """Whether these transcripts can be written with it."""
        return covers(self.tokens, self._units(texts, locale)) >= ENOUGH_COVERED

    def missing(self, texts: Iterable[str], locale: Locale) -> list[str]:
        """The characters of these transcripts that it has no label for, the most frequent first."""
        counts = Counter(unit for text in self._units(texts, locale) for unit in text if unit not in self.tokens)
        return [from_units(unit) or unit for unit, _ in counts.most_common()]

    def _units(self, texts: Iterable[str], locale: Locale) -> Iterator[str]:
        return (to_units(normalise(text, locale, self.case), locale) for text in texts)


def vocabulary_for(texts: Iterable[str], locale: Locale, case: Literal["lower", "upper"] = "lower") -> Vocabulary:
    """A new vocabulary from the training split's transcripts alone: the test's characters are not to be known."""
    return Vocabulary(build_vocabulary(to_units(normalise(text, locale, case), locale) for text in texts))


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """The vocabulary of a checkpoint; None where it has none (a base that was only pretrained).

    Raises UserError for one that cannot be used.
    """
    tokens = read_json(folder, "vocab.json", VOCAB_BYTES)
    if tokens is None:
        return None
    if not _is_vocabulary(tokens):
        raise UserError("I cannot read this model's list of letters (vocab.json).", "Choose another model.")
    names = _special_names(folder)
    pad = _first(tokens, [names.get("pad_token"), *_PAD_NAMES])
    if pad is None:
        raise UserError("This model's list of letters has no blank, which CTC needs.", "Choose another model.")
    unknown = _first(tokens, [names.get("unk_token"), *_UNKNOWN_NAMES]) or UNKNOWN
    return Vocabulary(tokens, pad, unknown, names.get("word_delimiter_token") or DELIMITER)


def _is_vocabulary(tokens: dict[str, Any]) -> bool:
    """Whether each token is a short text with an id of its own. One that is nested holds a language each (MMS)."""
    numbers = list(tokens.values())
    if not 0 < len(tokens) <= MOST_TOKENS or not all(type(number) is int for number in numbers):
        return False
    return (
        len(set(numbers)) == len(numbers)
        and min(numbers) >= 0
        and max(numbers) < MOST_TOKENS
        and all(0 < len(token) <= TOKEN_LENGTH and not _CONTROL.search(token) for token in tokens)
    )


def _special_names(folder: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        values = read_json(folder, file, VOCAB_BYTES) or {}  # both files are optional
        for name in ("pad_token", "unk_token", "word_delimiter_token"):
            value = values.get(name)
            content = value.get("content") if isinstance(value, dict) else value
            if isinstance(content, str):
                names[name] = content
    return names


def _first(tokens: Mapping[str, int], names: Iterable[str | None]) -> str | None:
    return next((name for name in names if name in tokens), None)
