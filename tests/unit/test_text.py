"""What is trained on is what is heard, and what is shown is what people write."""

import unicodedata

import pytest

from trainer.speech.locales import LOCALES
from trainer.speech.text import Case, build_vocabulary, case_of, covers, from_units, normalise, to_units

CASES: list[tuple[str, Case, str, str]] = [
    ("en-US", "lower", "Hello,  World! Don’t e-mail ‘me’ (ever).", "hello world don't e mail me ever"),
    ("en-US", "upper", "it's 5 p.m.", "IT'S 5 P M"),
    ("de-DE", "lower", "Die Straße in Köln", "die straße in köln"),
    ("de-DE", "upper", "Die Straße in Köln", "DIE STRASSE IN KÖLN"),
    ("fr-FR", "lower", "L’eau, c´est « ça »…", "l'eau c'est ça"),
    ("it-IT", "lower", "un po' d'acqua", "un po d'acqua"),
    ("nl-NL", "lower", "foto's 's avonds", "foto's s avonds"),
    ("cs-CZ", "lower", unicodedata.normalize("NFD", "Čeština"), "čeština"),
    ("pl-PL", "lower", "za\u00adblo\u200bkować ❤️ 50 %", "zablokować 50"),
    ("ru-RU", "lower", "Ёлка — это ДА", "ёлка это да"),
    ("ko-KR", "lower", unicodedata.normalize("NFD", "카드를, 정지해 주세요!"), "카드를 정지해 주세요"),
    ("zh-CN", "lower", "我 的 ＡＴＭ 卡， 丢 了。", "我的atm卡丢了"),
    ("zh-CN", "lower", "I want to pay, 请。", "i want to pay请"),
    ("pt-PT", "lower", "x̌ó", "x̌ó"),  # there is no composed x with a caron
    ("es-ES", "lower", " ¿…? ", ""),
]


@pytest.mark.parametrize(("code", "case", "text", "expected"), CASES)
def test_normalised_once_and_for_all(code: str, case: Case, text: str, expected: str) -> None:
    locale = LOCALES[code]
    assert normalise(text, locale, case) == expected
    assert normalise(expected, locale, case) == expected
    assert from_units(to_units(expected, locale), locale) == expected
    assert from_units(to_units(expected, locale)) == expected


@pytest.mark.parametrize("code", LOCALES)
def test_each_locales_example_is_written_as_it_is_normalised(code: str) -> None:
    locale = LOCALES[code]
    assert normalise(locale.example, locale) == locale.example
    assert from_units(to_units(locale.example, locale), locale) == locale.example


def test_korean_is_spelled_by_jamo_that_make_every_syllable() -> None:
    korean = LOCALES["ko-KR"]
    syllables = "".join(map(chr, range(0xAC00, 0xD7A4)))
    assert len(build_vocabulary([to_units(syllables, korean)])) == 3 + 67
    assert from_units(to_units(syllables, korean), korean) == syllables


@pytest.mark.parametrize(
    "units",
    ["<s>he[UNK]llo|||w</s>[PAD]", "<pad><unk>|", "[[UNK]UNK]", "<<s>s>a", "[PAD", "||", "a|<s>|b", "ᄒ|ᅡᆫ"],
)
def test_people_never_see_a_special_token(units: str) -> None:
    text = from_units(units)
    assert not set(text) & set("|<>[]")
    assert text == text.strip() and "  " not in text


def test_a_vocabulary_is_the_same_whatever_the_order_of_the_texts() -> None:
    vocabulary = build_vocabulary(["ab|c", "a'ä"])
    assert vocabulary == {"[PAD]": 0, "[UNK]": 1, "|": 2, "'": 3, "a": 4, "b": 5, "c": 6, "ä": 7}
    assert list(build_vocabulary(["a'ä", "ab|c"])) == list(vocabulary)


def test_coverage_counts_characters_as_often_as_they_occur() -> None:
    vocabulary = build_vocabulary(["ab"])
    assert covers(vocabulary, ["aab|", "az"]) == pytest.approx(5 / 6)
    assert covers(vocabulary, []) == 1.0


def test_the_case_is_the_vocabularys() -> None:
    base_960h = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
    xlsr = ["[PAD]", "<s>", "</s>", "[UNK]", "|", *"'abcdefghijklmnopqrstuvwxyzäöüß"]
    assert case_of({token: number for number, token in enumerate(base_960h)}) == "upper"
    assert case_of({token: number for number, token in enumerate(xlsr)}) == "lower"
    assert case_of({"[PAD]": 0, "我": 1}) == "lower"
