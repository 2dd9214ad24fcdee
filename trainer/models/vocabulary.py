"""The labels of a CTC model: which character has which id, and which id is the blank."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from trainer.errors import UserError
from trainer.hub.safe_json import ELSEWHERE, read_json
from trainer.speech.locales import Locale
from trainer.speech.text import SEPARATOR, SPECIAL, build_vocabulary, case_of, covers, from_units, normalise, to_units

PAD, UNKNOWN, DELIMITER = SPECIAL
VOCAB_BYTES = 2**21  # of vocab.json; the largest real ones (Chinese) have some hundred kilobytes
MOST_TOKENS = 100_000  # as `config_limits.MOST["vocab_size"]`
TOKEN_LENGTH = 64  # characters; the longest real ones are names of special tokens
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a terminal would obey them; in published vocabularies they are litter
# A base's own labels are kept where they cover nearly all of the training text: the rest is stray characters.
ENOUGH_COVERED = 0.995
# ...and where they cover half, what lacks is added to them: it is the same script.
ENOUGH_KNOWN = 0.5

_PAD_NAMES, _UNKNOWN_NAMES = ("[PAD]", "<pad>", "<PAD>"), ("[UNK]", "<unk>", "<UNK>")
# The tokenizer's special tokens with their defaults. It adds those that it lacks to its end, in this order.
_SPECIAL_NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class UnusableVocabularyError(UserError):
    """A list of letters that nobody can write with. As a base its model gets a new one."""


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids. `pad` is the token whose id is the CTC blank, `unknown` that of what is not in it.

    Two tokens may have one id: the later one is written. `lowers`: it spells in upper case what is written in lower
    case, as the tokenizer's `do_lower_case` means.
    """

    tokens: Mapping[str, int]
    pad: str = PAD
    unknown: str = UNKNOWN
    delimiter: str = DELIMITER
    lowers: bool = False

    @property
    def blank(self) -> int:
        """The id of the CTC blank, which is also the padding's."""
        return self.tokens[self.pad]

    @property
    def labels(self) -> int:
        """Of a head that has one for each of its ids."""
        return max(self.tokens.values()) + 1

    @cached_property
    def letters(self) -> dict[int, str]:
        """What an id writes. A special token (<s>, [UNK]) writes nothing, unless it is what stands between words."""
        silent = {self.blank, self.tokens.get(self.unknown, self.blank)}
        return {
            number: token if token == self.delimiter else _CONTROL.sub("", token)
            for token, number in self.tokens.items()
            if token == self.delimiter or (number not in silent and not _is_special(token))
        }

    @cached_property
    def spelling(self) -> Mapping[str, int]:
        """The id of each unit of a text (see `speech.text.to_units`), in which the space is always "|"."""
        if self.delimiter in self.tokens:
            return {**self.tokens, SEPARATOR: self.tokens[self.delimiter]}
        return self.tokens

    @property
    def case(self) -> Literal["lower", "upper"]:
        """The case its Latin letters have."""
        return case_of(self.tokens)

    def encode(self, units: str) -> list[int]:
        """One id a character; one that is not in the vocabulary gets the id for unknown."""
        unknown = self.tokens.get(self.unknown, self.blank)
        return [self.spelling.get(unit, unknown) for unit in units]

    def covers(self, texts: Iterable[str], locale: Locale) -> bool:
        """Whether these transcripts can be written with it."""
        return covers(self.spelling, self._units(texts, locale)) >= ENOUGH_COVERED

    def missing(self, texts: Iterable[str], locale: Locale) -> list[str]:
        """The characters of these transcripts that it has no label for, the most frequent first."""
        return [from_units(unit) or unit for unit, _ in self._lacking(texts, locale).most_common()]

    def taught(self, texts: Collection[str], locale: Locale) -> "Vocabulary | None":
        """Itself where it covers these transcripts; with labels for what it lacks, after all others, where it covers
        a good part of them; else None."""
        share = covers(self.spelling, self._units(texts, locale))
        if share >= ENOUGH_COVERED:
            return self
        if share < ENOUGH_KNOWN:
            return None
        added = {unit: number for number, unit in enumerate(sorted(self._lacking(texts, locale)), self.labels)}
        return replace(self, tokens={**self.tokens, **added})

    def _lacking(self, texts: Iterable[str], locale: Locale) -> Counter[str]:
        return Counter(unit for text in self._units(texts, locale) for unit in text if unit not in self.spelling)

    def for_head(self, labels: int) -> "Vocabulary":
        """For a head with so many labels: tokens beyond it are never heard, so they are left out.

        Raises UnusableVocabularyError where the head has a label that no token names: letters would be lost in
        silence.
        """
        tokens = {token: number for token, number in self.tokens.items() if number < labels}
        if self.pad not in tokens:
            raise UnusableVocabularyError("This model's list of letters does not belong to it.", ELSEWHERE)
        if unnamed := labels - len(set(tokens.values())):
            raise UnusableVocabularyError(
                f"This model has {labels} letters and signs, and its files do not say what {unnamed} of them are.",
                ELSEWHERE,
            )
        return replace(self, tokens=tokens)

    def _units(self, texts: Iterable[str], locale: Locale) -> Iterator[str]:
        return (to_units(normalise(text, locale, self.case), locale) for text in texts)


def vocabulary_for(texts: Iterable[str], locale: Locale, case: Literal["lower", "upper"] = "lower") -> Vocabulary:
    """A new vocabulary from the training split's transcripts alone: the test's characters are not to be known."""
    return Vocabulary(build_vocabulary(to_units(normalise(text, locale, case), locale) for text in texts))


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """The vocabulary of a checkpoint, as Wav2Vec2CTCTokenizer reads it; None where it has none (a base that was only
    pretrained).

    Raises UnusableVocabularyError for one that makes no sense, UserError for files that are not what they seem.
    """
    vocab = read_json(folder, "vocab.json", VOCAB_BYTES)
    if vocab is None:
        return None
    config = read_json(folder, "tokenizer_config.json", VOCAB_BYTES) or {}  # it and all others are optional
    listed = _of_language(vocab, config.get("target_lang"))
    added = added_tokens(folder, config)
    names = _special_names(folder, config)
    # What vocab.json says of an id comes before what was added to it.
    tokens = {**{token: number for token, number in added.items() if token not in listed}, **listed}
    for name in names.values():
        tokens.setdefault(name, len(tokens))
    if not _is_vocabulary(tokens):
        raise UnusableVocabularyError("I cannot read this model's list of letters (vocab.json).", ELSEWHERE)
    known = {*listed, *added}
    pad = _first(known, [names["pad_token"], *_PAD_NAMES])
    if pad is None:
        raise UnusableVocabularyError("This model's list of letters has no blank, which CTC needs.", ELSEWHERE)
    unknown = _first(known, [names["unk_token"], *_UNKNOWN_NAMES]) or UNKNOWN
    return Vocabulary(tokens, pad, unknown, _delimiter(config, tokens), config.get("do_lower_case") is True)


def _of_language(vocab: dict[str, Any], language: object) -> dict[str, Any]:
    """MMS and its kin hold a list a language: the one that the tokenizer is set to, or the only one."""
    if not vocab or not all(isinstance(inner, dict) for inner in vocab.values()):
        return vocab
    if isinstance(language, str) and language in vocab:
        return dict(vocab[language])
    if len(vocab) == 1:
        return dict(next(iter(vocab.values())))
    raise UnusableVocabularyError(
        f"This model writes {len(vocab)} languages and its files do not say which one it is set to.", ELSEWHERE
    )


def added_tokens(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Ids of tokens that were added to vocab.json, as Transformers 4.34 and later or as earlier ones noted.

    `config`: what tokenizer_config.json says. The ids may be anything. Raises UserError for files that are broken."""
    listed = config.get("added_tokens_decoder")
    if not isinstance(listed, dict):
        older, fast = read_json(folder, "added_tokens.json", VOCAB_BYTES) or {}, _of_fast_tokenizer(folder)
        return {token: number for token, number in older.items() if number not in fast.values()} | fast
    contents = {number: _content(value) for number, value in listed.items()}
    return {token: int(number) for number, token in contents.items() if token is not None and _is_number(number)}


def _of_fast_tokenizer(folder: Path) -> dict[str, int]:
    """The added tokens of tokenizer.json. The tokenizer reads them, though it is a slow one, and nothing else of it."""
    rows = (read_json(folder, "tokenizer.json") or {}).get("added_tokens")
    named = [(_content(row), row.get("id")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {token: number for token, number in named if token is not None and type(number) is int}


def _special_names(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """The text of each special token that the tokenizer has."""
    values = dict(config)
    if "added_tokens_decoder" not in config:
        values |= read_json(folder, "special_tokens_map.json", VOCAB_BYTES) or {}
    texts = {name: _content(values[name]) if name in values else usual for name, usual in _SPECIAL_NAMES.items()}
    return {name: text for name, text in texts.items() if text is not None} | {
        # Without these two no CTC tokenizer works, whatever its files say.
        name: texts[name] or _SPECIAL_NAMES[name]
        for name in ("unk_token", "pad_token")
    }


def _delimiter(config: dict[str, Any], tokens: Mapping[str, int]) -> str:
    """The token between words; where none is named, one that writes a space."""
    named = _content(config.get("word_delimiter_token"))
    if named is not None and named in tokens:
        return named
    return " " if named is None and " " in tokens and DELIMITER not in tokens else named or DELIMITER


def _is_vocabulary(tokens: Mapping[str, Any]) -> bool:
    """Whether each token is a short text with an id. An empty one writes nothing."""
    numbers = list(tokens.values())
    return (
        0 < len(tokens) <= MOST_TOKENS
        and all(type(number) is int and 0 <= number < MOST_TOKENS for number in numbers)
        and all(len(token) <= TOKEN_LENGTH for token in tokens)
    )


def _is_special(token: str) -> bool:
    return len(token) > 2 and token[0] + token[-1] in ("<>", "[]")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _content(value: object) -> str | None:
    """The text of a token that is saved as itself or as an object."""
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else None


def _first(tokens: Collection[str], names: Iterable[str]) -> str | None:
    return next((name for name in names if name in tokens), None)
