"""What a Whisper writes with: pieces of words, each some bytes of UTF-8, and tokens that mean something to it alone.

Only read as data: no tokenizer is built from a stranger's files, since nothing but ids to text is needed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.hub.safe_json import ELSEWHERE, read_json
from trainer.models.vocabulary import VOCAB_BYTES, added_tokens

LONGEST = 1000  # characters of a token; the longest real ones are some dozens of spaces
_SPECIAL = re.compile(r"<\|[^|<>]{0,40}\|>")
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


def _letters_of_bytes() -> dict[str, int]:
    """GPT-2's alphabet: a visible character for each byte, since files with tokens are to be readable."""
    visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(256) if byte not in visible)
    return {chr(byte): byte for byte in visible} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _letters_of_bytes()


@dataclass(frozen=True)
class Unit:
    """The shortest run of tokens that are whole characters: tokens [first, last] of what was written."""

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class Subwords:
    """`ids` of all tokens by their names; several names may not share one."""

    ids: Mapping[str, int]

    @cached_property
    def bytes_of(self) -> dict[int, bytes]:
        """What each token writes; special ones are not there."""
        return {number: _bytes_of(name) for name, number in self.ids.items() if not _SPECIAL.fullmatch(name)}

    @cached_property
    def languages(self) -> dict[str, int]:
        """The token that says which language is spoken, by its code: mostly ISO 639-1."""
        found = ((_LANGUAGE.fullmatch(name), number) for name, number in self.ids.items())
        return {match[1]: number for match, number in found if match}

    def text(self, tokens: Sequence[int]) -> str:
        """What they write, as the stock tokenizer decodes it."""
        return b"".join(self.bytes_of.get(token, b"") for token in tokens).decode("utf-8", "replace")

    def units(self, tokens: Sequence[int]) -> list[Unit]:
        """The same in whole characters, so that each knows by which tokens it was written."""
        found: list[Unit] = []
        held, first = b"", 0
        for place, token in enumerate(tokens):
            first = first if held else place
            held += self.bytes_of.get(token, b"")
            try:
                text = held.decode("utf-8")
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data":
                    continue  # of a character; the next token has the rest
                text = held.decode("utf-8", "replace")
            if text:
                found.append(Unit(text, first, place))
            held = b""
        if held:
            found.append(Unit(held.decode("utf-8", "replace"), first, len(tokens) - 1))
        return found


def read_subwords(folder: Path, vocabulary: int) -> Subwords:
    """The tokens of a checkpoint whose decoder knows so many. Raises UserError where its files say none that fit."""
    config = read_json(folder, "tokenizer_config.json", VOCAB_BYTES) or {}
    ids: dict[str, Any] = {**_pieces(folder), **added_tokens(folder, config)}
    if not ids:
        raise UserError("This model has no list of what it writes with: its tokenizer is missing.", ELSEWHERE)
    if not all(type(number) is int and 0 <= number < vocabulary for number in ids.values()):
        raise UserError("This model's list of what it writes with belongs to another model.", ELSEWHERE)
    if len(set(ids.values())) < len(ids) or any(len(name) > LONGEST for name in ids):
        raise _unreadable()
    return Subwords(ids)


def _pieces(folder: Path) -> dict[str, Any]:
    """Of vocab.json, or, as Transformers 5 saves them, of tokenizer.json."""
    older = read_json(folder, "vocab.json", VOCAB_BYTES)
    if older is not None:
        return older
    model = (read_json(folder, "tokenizer.json") or {}).get("model")
    listed = model.get("vocab") if isinstance(model, dict) else None
    if listed is not None and not isinstance(listed, dict):
        raise _unreadable()
    return listed or {}


def _bytes_of(name: str) -> bytes:
    """A token that was added later may be any text, as it is."""
    if all(letter in _BYTES for letter in name):
        return bytes(_BYTES[letter] for letter in name)
    return name.encode("utf-8")


def _unreadable() -> UserError:
    return UserError("I cannot read this model's list of what it writes with.", ELSEWHERE)
