"""Lists of letters as people save them: what Transformers' tokenizer writes is written here, or it is refused."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import Wav2Vec2CTCTokenizer

from tests.fakes.models import files_in, save_tiny_base
from trainer.errors import UserError
from trainer.hub.safe_json import SMALL_BYTES
from trainer.models.ctc_model import open_checkpoint
from trainer.models.decoding import collapse, text_of, words_of
from trainer.models.vocabulary import UnusableVocabularyError, Vocabulary, read_vocabulary
from trainer.speech.locales import LOCALES

LETTERS = {"[PAD]": 0, "[UNK]": 1, "|": 2, **{letter: number for number, letter in enumerate("abcdefgh", start=3)}}
PLAIN = {"unk_token": "[UNK]", "pad_token": "[PAD]", "bos_token": None, "eos_token": None}
LEAKS = re.compile(
    r"\[UNK\]|</?s>|<unk>|\[PAD\]|<pad>|\?", re.IGNORECASE
)  # Transformers writes these into the text, which is a fault


def save(folder: Path, vocab: dict[str, Any], config: dict[str, Any] | None = None, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    content = {"vocab": vocab, "tokenizer_config": PLAIN if config is None else config, **files}
    for name, value in content.items():
        (folder / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return folder


def written(vocabulary: Vocabulary, ids: np.ndarray) -> str:
    return text_of(collapse(ids, np.ones(len(ids)), vocabulary), vocabulary)


def stock(folder: Path, ids: np.ndarray) -> str:
    """As Transformers writes it, without its leaks."""
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    # Transformers 5.23 forgets this one when it loads a tokenizer, and writes "a▁b"; version 4 did not.
    tokenizer._word_delimiter_token = config.get("word_delimiter_token") or "|"
    return " ".join(LEAKS.sub("", tokenizer.decode(ids)).split())


def added(*tokens: tuple[int, str], special: bool = False) -> dict[str, Any]:
    rows = {str(number): {"content": token, "special": special} for number, token in tokens}
    return {**PLAIN, "added_tokens_decoder": rows}


def fast(*tokens: tuple[int, str]) -> dict[str, Any]:
    """A tokenizer.json."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"version": "1.0", "added_tokens": [{"id": number, "content": token, **flags} for number, token in tokens]}


def without(*tokens: str) -> dict[str, int]:
    rest = [token for token in LETTERS if token not in tokens]
    return {token: number for number, token in enumerate(rest)}


# Each: vocab.json, tokenizer_config.json, other files, the labels of the head.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], int]] = {
    "plain": (LETTERS, PLAIN, {}, 11),
    "added_tokens.json": (LETTERS, PLAIN, {"added_tokens": {"ä": 11, "ö": 12}}, 13),
    "added_tokens_decoder": (LETTERS, added((11, "ä"), (12, "ß")), {}, 13),
    "added letters that are called special": (LETTERS, added((11, "ä"), special=True), {}, 12),
    "added_tokens_decoder comes before the older file": (
        LETTERS, added((11, "ä")), {"added_tokens": {"x": 11}}, 12,
    ),
    "added tokens of a fast tokenizer": (LETTERS, PLAIN, {"tokenizer": fast((11, "ä"), (12, "ß"))}, 13),
    "a fast tokenizer comes before the older file": (
        LETTERS, PLAIN, {"added_tokens": {"x": 11, "ö": 12}, "tokenizer": fast((11, "ä"))}, 13,
    ),
    "added_tokens_decoder comes before a fast tokenizer": (
        LETTERS, added((11, "ä")), {"tokenizer": fast((11, "x"))}, 12,
    ),
    "an added token on the id of a letter": (LETTERS, added((3, "ä"), (11, "ö")), {}, 12),
    "its own special tokens at the end": (LETTERS, {**PLAIN, "bos_token": "<s>", "eos_token": "</s>"}, {}, 13),
    "special tokens by default": (without("[PAD]", "[UNK]") | {"<pad>": 9, "<unk>": 10}, {}, {}, 13),
    "special tokens beyond the head": (LETTERS | {"<s>": 11, "</s>": 12}, PLAIN, {}, 11),
    "letters beyond the head": (LETTERS | {"y": 11, "z": 12}, PLAIN, {}, 11),
    "special_tokens_map.json": (
        {**without("[PAD]", "[UNK]"), "_": 9, "?": 10}, {},
        {"special_tokens_map": {"pad_token": "_", "unk_token": "?"}}, 13,
    ),
    "special tokens as objects": (
        LETTERS, PLAIN | {"pad_token": {"__type": "AddedToken", "content": "[PAD]", "lstrip": False}}, {}, 11,
    ),
    "pad added late": (without("[PAD]"), PLAIN, {"added_tokens": {"[PAD]": 10}}, 11),
    "pad added late, newer files": (without("[PAD]"), added((10, "[PAD]"), special=True), {}, 11),
    "pad last": (without("[PAD]") | {"[PAD]": 10}, PLAIN, {}, 11),
    "a space between words": (
        {" " if token == "|" else token: number for token, number in LETTERS.items()},
        PLAIN | {"word_delimiter_token": " "}, {}, 11,
    ),
    "a space between words, unnamed": (
        {" " if token == "|" else token: number for token, number in LETTERS.items()},
        PLAIN | {"word_delimiter_token": None}, {}, 11,
    ),
    "a name between words": (
        {"<space>" if token == "|" else token: number for token, number in LETTERS.items()},
        PLAIN | {"word_delimiter_token": "<space>"}, {}, 11,
    ),
    "a letter between words": (
        {"▁" if token == "|" else token: number for token, number in LETTERS.items()},
        PLAIN | {"word_delimiter_token": "▁"}, {}, 11,
    ),
    "one language of two": (
        {"deu": LETTERS, "fra": {**without("h"), "é": 10}}, PLAIN | {"target_lang": "fra"}, {}, 11,
    ),
    "the only language": ({"deu": LETTERS}, PLAIN | {"target_lang": "deu"}, {}, 11),
    "two tokens with one id": (LETTERS | {"ä": 3}, PLAIN, {}, 11),
    "an empty token": (LETTERS | {"": 11}, PLAIN, {}, 12),
    "letters of two characters": (LETTERS | {"ch": 11, "sch": 12}, PLAIN, {}, 13),
    "a pad that is called <pad>": ({"<pad>": 0, "<unk>": 1, **{k: v for k, v in LETTERS.items() if v > 1}}, {}, {}, 11),
    "upper case for lower": (
        {token.upper(): number for token, number in LETTERS.items()}, PLAIN | {"do_lower_case": True}, {}, 11,
    ),
    "upper case": ({token.upper(): number for token, number in LETTERS.items()}, PLAIN, {}, 11),
    "Korean": (without("a", "b") | {"ᄀ": 9, "ᅡ": 10}, PLAIN, {}, 11),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_writes_what_transformers_writes(kind: str, tmp_path: Path) -> None:
    vocab, config, files, labels = KINDS[kind]
    folder = save(tmp_path / "model", vocab, config, **files)
    vocabulary = read_vocabulary(folder)
    assert vocabulary is not None
    vocabulary = vocabulary.for_head(labels)
    heard = np.random.default_rng(0).integers(0, labels, 300)
    ids = np.concatenate([heard, np.arange(labels)])
    ours = written(vocabulary, ids)
    assert ours == stock(folder, ids).replace("ᄀ" + "ᅡ", "가") and len(ours) > 100
    words = words_of(collapse(ids, np.ones(len(ids)), vocabulary), vocabulary, 0.02)
    assert " ".join(word.text for word in words) == ours


@pytest.mark.parametrize("name", [" ", "<space>", "[SPACE]", "|", "▁", "_"])
def test_what_stands_between_words_is_spelt_too(name: str, tmp_path: Path) -> None:
    vocab = {name if token == "|" else token: number for token, number in LETTERS.items()}
    vocabulary = read_vocabulary(save(tmp_path / "model", vocab, PLAIN | {"word_delimiter_token": name}))
    assert vocabulary is not None
    assert vocabulary.encode("ab|c") == [3, 4, 2, 5]
    assert vocabulary.covers(["abba cab"], LOCALES["en-US"]) and not vocabulary.missing(["a bad egg"], LOCALES["en-US"])
    assert written(vocabulary, np.array([3, 2, 4])) == "a b"


def test_a_letter_that_no_file_names_is_no_silence(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(save(tmp_path / "model", LETTERS))
    assert vocabulary is not None
    with pytest.raises(UnusableVocabularyError, match=r"15 letters and signs.* what 4 of them are"):
        vocabulary.for_head(15)


@pytest.mark.parametrize(
    ("vocab", "config"),
    [
        ({"deu": LETTERS, "fra": LETTERS}, PLAIN),  # which of the two?
        ({"deu": LETTERS, "fra": LETTERS}, PLAIN | {"target_lang": "ita"}),
        (without("[PAD]"), PLAIN),  # no blank
        (LETTERS | {"x": "11"}, PLAIN),
        (LETTERS | {"x": 11.0}, PLAIN),
        (LETTERS | {"x": -1}, PLAIN),
        (LETTERS | {"x": 10**9}, PLAIN),
        (LETTERS | {"x": True}, PLAIN),
        (LETTERS | {"x" * 100: 11}, PLAIN),
        ({}, PLAIN),
    ],
)
def test_one_that_makes_no_sense_is_refused(vocab: dict[str, Any], config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnusableVocabularyError):
        read_vocabulary(save(tmp_path / "model", vocab, config))


def test_control_characters_are_not_written(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(save(tmp_path / "model", LETTERS | {"\x1b": 11, "\x07b": 12, "\x85": 13}))
    assert vocabulary is not None
    assert written(vocabulary.for_head(14), np.array([3, 11, 12, 13, 4])) == "abb"


def test_what_was_read_is_saved_and_read_again(tmp_path: Path) -> None:
    """Added letters, a delimiter of its own and the case lie in the saved model as they were, for Transformers too."""
    base = save_tiny_base(tmp_path / "base", vocab_size=13)
    vocab = {"<space>" if token == "|" else token: number for token, number in LETTERS.items()}
    config = {**added((11, "ä"), (12, "ß")), "word_delimiter_token": "<space>", "do_lower_case": True}
    checkpoint = open_checkpoint(files_in(save(base, vocab, config)))
    checkpoint.save(tmp_path / "again", {})
    ids = np.random.default_rng(0).integers(0, 13, 200)
    assert written(open_checkpoint(files_in(tmp_path / "again")).vocabulary, ids) == written(checkpoint.vocabulary, ids)
    assert written(checkpoint.vocabulary, ids) == stock(tmp_path / "again", ids)


@pytest.mark.parametrize("case", ["added_letters", "mms_one_language", "space_delimiter", "vocab_larger", "with_lm"])
def test_public_reports_write_english(case: str, cases: Path) -> None:
    vocabulary = open_checkpoint(files_in(cases / f"ckpt_{case}" / "input")).vocabulary
    assert vocabulary.covers(["we know what you said"], LOCALES["en-US"])


def test_files_that_lead_elsewhere_are_refused_for_a_base_too(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", LETTERS)
    (folder / "added_tokens.json").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError) as refused:
        read_vocabulary(folder)
    assert not isinstance(refused.value, UnusableVocabularyError)


@pytest.mark.parametrize("rows", [None, "ä", {"11": "ä"}, ["ä"], [{"content": "ä"}], [{"id": "11", "content": "ä"}]])
def test_added_tokens_that_cannot_be_read_are_no_silence(rows: Any, tmp_path: Path) -> None:
    vocabulary = read_vocabulary(save(tmp_path / "model", LETTERS, PLAIN, tokenizer={"added_tokens": rows}))
    assert vocabulary is not None
    with pytest.raises(UnusableVocabularyError, match="12 letters and signs"):
        vocabulary.for_head(12)


def test_a_tokenizer_larger_than_any_real_one_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", LETTERS)
    (folder / "tokenizer.json").write_bytes(b'{"added_tokens": []}' + b" " * SMALL_BYTES)
    with pytest.raises(UserError, match=r"tokenizer.json is far larger"):
        read_vocabulary(folder)
