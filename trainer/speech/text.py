"""Between what people write and what a CTC model spells: normalising, one character a label, and back.

All functions are pure. A *normalised* text is in NFC, of one case, of letters, digits, apostrophes within words and
single spaces; error rates and vocabularies are of such texts alone. *Units* are what the model spells: a string
whose characters are the labels, with "|" for the space.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from trainer.speech.locales import Locale

Case = Literal["lower", "upper"]
SEPARATOR = "|"  # between words, as in every published CTC vocabulary
SPECIAL = ("[PAD]", "[UNK]", SEPARATOR)  # ids 0, 1, 2 of a new vocabulary
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘‛ʼʹ′´`＇", "'"))
_FULL_WIDTH = str.maketrans({code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)})  # ＡＴＭ, in Chinese text
_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # with 々 and 〇
_SPACE_AT_HAN = re.compile(f"(?<=[{_HAN}]) | (?=[{_HAN}])")
_ONE_HAN = re.compile(f"[{_HAN}]")
_LOOSE_APOSTROPHE = re.compile(r"(?<![^\W_])'|'(?![^\W_])")  # not between letters or digits
_TOKEN = re.compile(r"<[^<>\[\]|\s]{0,15}>|\[[^<>\[\]|\s]{0,15}\]")  # <s>, [UNK] and their kind
_STRAY = re.compile(r"[<>\[\]]")


def normalise(text: str, locale: Locale, case: Case = "lower") -> str:
    """What is left of a transcript when only what is heard counts; normalising twice changes nothing.

    Every mark and symbol becomes a space ("e-mail" is two words), apart from apostrophes within words, which are
    all written alike (don't, l'eau). Letters of any script stay: MInDS-14 has English rows in other languages.
    "ß" becomes "SS" in upper case, which is how German writes it and what upper-case vocabularies can spell.
    Where the script is Han, spaces around Han characters go: people set them as they like, nobody says them.
    """
    text = unicodedata.normalize("NFC", text.translate(_FULL_WIDTH))
    text = text.upper() if case == "upper" else text.lower()
    text = _LOOSE_APOSTROPHE.sub(" ", _keep_spoken(text.translate(_APOSTROPHES)))
    # Casing can take a character apart, and a removed one may have stood between a letter and its mark.
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return _SPACE_AT_HAN.sub("", text) if locale.script == "han" else text


def _keep_spoken(text: str) -> str:
    """Letters, digits, apostrophes, and combining marks on letters; a space for anything else."""
    kept: list[str] = []
    on_letter = False
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "M" and on_letter and category != "Me" and not "\ufe00" <= character <= "\ufe0f":
            kept.append(character)  # NFC has no composed form of it; variation selectors are about looks only
        elif category == "Cf":
            continue  # soft hyphens and zero-width characters stand within words
        else:
            on_letter = category[0] == "L"
            kept.append(character if on_letter or category in ("Nd", "Nl") or character == "'" else " ")
    return "".join(kept)


def to_units(text: str, locale: Locale) -> str:
    """The labels of a normalised text, one a character, e.g. "hi|you".

    Korean is taken apart into jamo (NFD): 68 labels spell all of its 11,172 syllables, seen in training or not.
    """
    if locale.script == "hangul":
        text = unicodedata.normalize("NFD", text)
    return text.replace(" ", SEPARATOR)


def from_units(units: str, locale: Locale | None = None) -> str:
    """Text for people, whatever a model spells: composed, without special tokens, brackets or separators.

    The inverse of `to_units` for normalised texts. Jamo compose without doubt, since leading and final consonants
    are different characters. Without a locale, spaces around Han characters are taken out as for Chinese.
    """
    text = _STRAY.sub("", _TOKEN.sub("", units)).replace(SEPARATOR, " ")
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return _SPACE_AT_HAN.sub("", text) if locale is None or locale.script == "han" else text


def is_han(text: str) -> bool:
    """Whether it begins with a Chinese character, which is a word by itself."""
    return _ONE_HAN.match(text) is not None


def has_han(text: str) -> bool:
    """Whether there is a Han character in it: such text has no spaces between words."""
    return re.search(f"[{_HAN}]", text) is not None


def build_vocabulary(units: Iterable[str]) -> dict[str, int]:
    """Ids for all characters that occur: SPECIAL, then the characters sorted, so the same texts give the same ids.

    "[PAD]" is 0: it is also the CTC blank, and labels are padded with it. Chinese gets the separator too, though
    it hardly occurs there: Transformers' CTC tokenizer needs one, and Latin words are set apart by it.
    """
    characters = set().union(*units) - {SEPARATOR}
    return {token: number for number, token in enumerate((*SPECIAL, *sorted(characters)))}


def covers(vocabulary: Mapping[str, int], units: Iterable[str]) -> float:
    """The share of all characters in `units`, counted as often as they occur, that have an id; 1.0 of none."""
    counts = Counter(character for text in units for character in text)
    known = sum(count for character, count in counts.items() if character in vocabulary)
    return known / counts.total() if counts else 1.0


def case_of(vocabulary: Mapping[str, int]) -> Case:
    """The case of most single letters in a vocabulary: "upper" as in wav2vec2-base-960h, else "lower"."""
    letters = [token for token in vocabulary if len(token) == 1]
    upper, lower = sum(map(str.isupper, letters)), sum(map(str.islower, letters))
    return "upper" if upper > lower else "lower"
