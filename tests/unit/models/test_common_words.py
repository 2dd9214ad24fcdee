"""Common words: probabilities that add up, lists that are words, and what they make of what is heard."""

import math
from pathlib import Path

import numpy as np
import pytest

from trainer.models.common_words import CommonWords, common_words, read_words
from trainer.models.language_model import EDGE, learn
from trainer.models.model_files import add_notes
from trainer.models.word_knowledge import WordKnowledge
from trainer.settings import STARTER_HEADS, WORDS, Settings
from trainer.speech.locales import LOCALES
from trainer.speech.metrics import word_error_rate
from trainer.speech.sources import open_source
from trainer.speech.text import normalise
from trainer.transcription.transcribe import Listening, knowledge_of, load_recording, transcribe_samples

EN = LOCALES["en-US"]
SPOKEN = {locale.language: locale for locale in LOCALES.values()}


@pytest.mark.parametrize("taught", [(), ("my card is lost", "call me")])
@pytest.mark.parametrize("expected", [(), ("zebra", "card|case")])
def test_probabilities_of_all_beginnings_and_words_are_one(taught: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """A beginning is as likely as the word that it is, and all that go on from it: letters unseen are all alike."""
    common = CommonWords(["the", "card", "cars", "a"])
    model = WordKnowledge(learn(taught, EN), common).expecting(expected)
    letters = sorted(set("thecardsazbmycardislostcallme"))
    known = len(common._spelling._counts.of[""]) - 1  # of the letters, without the end
    unseen = 2 * known + 1 - len(letters) - 1
    for said in ("", "my card", "is zebra", "call me call me"):
        state = model.start
        for word in said.split():
            state = model.after(state, word)
        assert math.exp(model.beginning(state, "")) == pytest.approx(1.0)
        for word in ("", "c", "car", "the", "q", "z"):
            on = sum(math.exp(model.beginning(state, word + letter)) for letter in letters)
            on += unseen * math.exp(model.beginning(state, word + "ж"))
            assert math.exp(model.beginning(state, word)) == pytest.approx(math.exp(model.word(state, word)) + on)


def test_what_is_common_is_likelier_and_what_was_taught_more_so() -> None:
    words = common_words("en")
    assert words is not None
    assert words.word("the") > 10 * words.word("hello") > 100 * words.word("helo") > 0.0 < words.word(EDGE)
    plain, taught = WordKnowledge(learn([], EN), words), WordKnowledge(learn(["call me ishmael"], EN), words)
    start = plain.start
    assert plain and taught.word(start, "ishmael") > plain.word(start, "ishmael") + 2
    assert plain.word(start, "HELLO") == plain.word(start, "hello"), "models that spell in capitals know them too"
    named = plain.expecting(["ishmael"])
    assert named.word(start, "ishmael") > plain.word(start, "ishmael") + 2
    assert named.word(start, "hello") == pytest.approx(plain.word(start, "hello"), abs=0.05)


def likelihood(model: WordKnowledge, text: str) -> float:
    state, total = model.start, 0.0
    for word in text.split():
        total += model.word(state, word)
        state = model.after(state, word)
    return total


def test_who_says_other_things_than_were_taught_is_not_misled() -> None:
    words, said = common_words("en"), "the weather in the mountains was not what we wanted for our holiday"
    sentences = [f"i want to {verb} my {what}" for verb in ("freeze", "lose", "find") for what in ("card", "money")]
    taught, plain = WordKnowledge(learn(sentences, EN), words), WordKnowledge(learn([], EN), words)
    assert likelihood(taught, said) > likelihood(plain, said) - 1
    assert likelihood(taught, said) > likelihood(WordKnowledge(learn(sentences, EN), None), said) + 5
    assert likelihood(taught, sentences[0]) > likelihood(plain, sentences[0]) + 10


@pytest.mark.parametrize("language", sorted(path.stem for path in WORDS.glob("*.txt")))
def test_a_list_has_words_as_models_write_them(language: str) -> None:
    words = read_words(WORDS / f"{language}.txt")
    assert len(words) == len(set(words)) == 30_000
    assert [word for word in words if normalise(word, SPOKEN[language]) != word or any(map(str.isdigit, word))] == []


def test_korean_and_chinese_have_no_list() -> None:
    assert {path.stem for path in WORDS.glob("*.txt")} == {*SPOKEN} - {"ko", "zh"}
    assert common_words("ko") is None


@pytest.mark.parametrize("language", ["en", "it"])
def test_words_are_heard_that_sound_alone_misspells(language: str, tmp_path: Path) -> None:
    settings, locale, folder = Settings(data_dir=tmp_path), SPOKEN[language], STARTER_HEADS / language
    clips = [clip for clip in open_source("practice", locale, settings).clips if clip.split == "test"][:8]
    said, heard, spelt = list[str](), list[str](), list[str]()
    for number, clip in enumerate(clips):
        assert isinstance(clip.audio, bytes)
        file = tmp_path / f"{number}.opus"
        file.write_bytes(clip.audio)
        found = transcribe_samples(load_recording(str(file), settings), folder, settings, "m")
        said.append(normalise(clip.text, locale))
        heard.append(normalise(found.text, locale))
        spelt.append(normalise(found.spelt, locale))
    assert word_error_rate(said, heard) < word_error_rate(said, spelt) - 0.1


def test_they_can_be_switched_off_and_models_from_elsewhere_go_without(tmp_path: Path) -> None:
    settings, folder = Settings(data_dir=tmp_path), STARTER_HEADS / "en"
    sound = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    off = transcribe_samples(sound, folder, settings, "m", listening=Listening(phrases=False))
    assert off.text == off.spelt
    assert knowledge_of(tmp_path) is None
    for noted in ({"locale": "xx-XX"}, {"locale": ["en-US"]}, {"locale": "../en"}):
        add_notes(tmp_path, **noted)
        assert knowledge_of(tmp_path) is None
    add_notes(tmp_path, locale="en-US")
    assert knowledge_of(tmp_path)
