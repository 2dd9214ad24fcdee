"""The phrases of the training transcripts: probabilities that add up, any word possible, files that are checked."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from trainer.errors import UserError
from trainer.models.language_model import (
    EDGE,
    MOST_TRIGRAMS,
    PHRASES,
    START,
    LanguageModel,
    learn,
    read,
    split_words,
)
from trainer.speech.locales import LOCALES
from trainer.speech.text import to_units

EN, KO, ZH = LOCALES["en-US"], LOCALES["ko-KR"], LOCALES["zh-CN"]
TEXTS = ["Please freeze my card.", "please call my bank", "my card is lost", "call me"]


def likelihood(model: LanguageModel, units: str) -> float:
    state, total = START, 0.0
    for word in [*split_words(units, model.words), EDGE]:
        total += model.word(state, word)
        state = model.after(state, word)
    return total


def test_what_was_said_is_likelier_than_what_was_not() -> None:
    model = learn(TEXTS, EN)
    assert likelihood(model, "please|freeze|my|card") > likelihood(model, "please|card|my|freeze") + 3
    assert likelihood(model, "my|card|is|lost") > likelihood(model, "my|cart|is|lost") + 2
    state = ("freeze", "my")
    assert model.word(state, "card") > model.word(state, "bank") > model.word(state, "zebra") > -math.inf
    assert model.size == (9, 17)


@pytest.mark.parametrize("state", [START, (EDGE, "please"), ("freeze", "my"), ("zebra", "quux"), ("is", "lost")])
def test_probabilities_of_all_beginnings_and_words_are_one(state: tuple[str, str]) -> None:
    """A beginning is as likely as the word that it is, and all that go on from it: those unseen are all alike."""
    model = learn(TEXTS, EN)
    letters = sorted(set("".join(model.spelling._counts.of[""])))
    unseen = 2 * len(letters) + 1 - len(letters) - 1
    assert math.exp(model.beginning(state, "")) == pytest.approx(1.0)
    for word in ("", "c", "ca", "card", "cards", "q"):
        on = sum(math.exp(model.beginning(state, word + letter)) for letter in letters)
        on += unseen * math.exp(model.beginning(state, word + "ж"))
        assert math.exp(model.beginning(state, word)) == pytest.approx(math.exp(model.word(state, word)) + on)


def test_a_word_made_like_the_known_ones_is_likelier_than_any_letters() -> None:
    model = learn(["booking the booked books", "looking", "looked at the cook"], EN)
    assert model.word(START, "cooking") > model.word(START, "gnikooc") + 3


def test_chinese_is_taken_by_characters_and_korean_as_it_is_spelt() -> None:
    chinese = learn(["请冻结我的ATM卡。", "我的卡丢了"], ZH)
    assert chinese.words == "characters"
    assert list(split_words("我的atm卡", "characters")) == ["我", "的", "atm", "卡"]
    assert chinese.word(("我", "的"), "卡") > chinese.word(("我", "的"), "了") > chinese.word(("我", "的"), "狗")
    korean = learn(["카드를 정지해 주세요", "카드를 주세요"], KO)
    card, please = (to_units(word, KO) for word in ("카드를", "주세요"))
    assert korean.words == "spaces" and korean.word((EDGE, card), please) > korean.word((EDGE, card), card) + 1


def test_upper_case_is_learnt_for_models_that_spell_so() -> None:
    assert learn(["Straße"], LOCALES["de-DE"], "upper").word(START, "STRASSE") > -1.5


def test_a_saved_model_says_the_same_and_files_are_the_same(tmp_path: Path) -> None:
    for locale, texts in ((EN, TEXTS), (ZH, ["我的卡丢了"]), (KO, ["카드를 정지해 주세요"])):
        model = learn(texts, locale)
        model.save(tmp_path)
        again = read(tmp_path)
        assert again is not None and again.words == model.words
        written = (tmp_path / PHRASES).read_bytes()
        for units in [to_units(text, locale) for text in ("my card", "我的", "카드를")]:
            assert likelihood(again, units) == likelihood(model, units)
        learn(reversed(texts), locale).save(tmp_path)
        assert (tmp_path / PHRASES).read_bytes() == written and sorted(tmp_path.iterdir()) == [tmp_path / PHRASES]


def test_of_many_texts_the_rarest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.models.language_model.MOST_TRIGRAMS", 4)
    model = learn([*["call me"] * 3, "freeze my card"], EN)
    assert model.size[1] == 4 and model.word(START, "call") > model.word(START, "freeze")


def test_nothing_learnt_and_no_file(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    empty = learn(["", "?!"], EN)
    assert empty.size == (0, 0) and math.isfinite(empty.word(START, "card")) and empty.beginning(START, "") == 0.0
    empty.save(tmp_path)
    assert read(tmp_path) is not None


GOOD: dict[str, Any] = {
    "kind": "voicetune phrases",
    "version": 1,
    "words": "spaces",
    "trigrams": {"||call": 1, "call|me|": 2},
}
WORDS = GOOD["trigrams"]
HOSTILE: dict[str, Any] = {
    "no kind": {**GOOD, "kind": None},
    "a later version": {**GOOD, "version": 2},
    "no words": {**GOOD, "words": "lines"},
    "a list": {**GOOD, "words": ["spaces"]},
    "counts in a list": {**GOOD, "trigrams": [["a", "b", "c"]]},
    "two words": {**GOOD, "trigrams": {"call|me": 1}},
    "four words": {**GOOD, "trigrams": {"a|b|c|d": 1}},
    "an edge in the middle": {**GOOD, "trigrams": {"a||b": 1}},
    "edges alone": {**GOOD, "trigrams": {"||": 1}},
    "nothing said": {**GOOD, "trigrams": {"a||": 1}},
    "a space": {**GOOD, "trigrams": {"a|b c|d": 1}},
    "a control character": {**GOOD, "trigrams": {"a|b\x1b|d": 1}},
    "a long word": {**GOOD, "trigrams": {f"a|{'b' * 65}|d": 1}},
    "a count of nothing": {**GOOD, "trigrams": {"a|b|c": 0}},
    "half a count": {**GOOD, "trigrams": {"a|b|c": 1.5}},
    "a huge count": {**GOOD, "trigrams": {"a|b|c": 10**30}},
    "no count": {**GOOD, "trigrams": {"a|b|c": True}},
    "a text": "phrases",
    "too many": {**GOOD, "trigrams": {f"a|b|{number}": 1 for number in range(MOST_TRIGRAMS + 1)}},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_such_file_is_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    (tmp_path / PHRASES).write_text(json.dumps(GOOD))
    assert read(tmp_path) is not None
    (tmp_path / PHRASES).write_text(json.dumps(HOSTILE[kind]))
    with pytest.raises(UserError) as refused:
        read(tmp_path)
    assert PHRASES in str(refused.value) and len(str(refused.value)) < 200


def test_files_that_are_cut_off_huge_or_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for data in (b"{", b"\xff\xfe", b'{"kind": "voicetune phrases", "trigrams": ' + b"[" * 99, b" " * (16 * 2**20 + 1)):
        (folder / PHRASES).write_bytes(data)
        with pytest.raises(UserError):
            read(folder)
    (tmp_path / "other").write_text(json.dumps(GOOD))
    (folder / PHRASES).unlink()
    (folder / PHRASES).symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match="leads out"):
        read(folder)
