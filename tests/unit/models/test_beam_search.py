"""Beam search against all there is to find: every alignment of small cases, spelt out and added up."""

import itertools
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from trainer.errors import UserError
from trainer.models.alignment import align
from trainer.models.beam_search import BeamDecoder, BeamOptions, WordModel, decoder_for
from trainer.models.common_words import CommonWords
from trainer.models.decoding import certainty, greedy, log_probabilities, text_of, words_of
from trainer.models.hot_words import HotWords, hot_words
from trainer.models.language_model import EDGE, learn, split_words
from trainer.models.vocabulary import Vocabulary, vocabulary_for
from trainer.models.word_knowledge import WordKnowledge
from trainer.speech.locales import LOCALES
from trainer.speech.text import to_units

EN, ZH, KO = LOCALES["en-US"], LOCALES["zh-CN"], LOCALES["ko-KR"]
SMALL = Vocabulary({"[PAD]": 0, "|": 1, "a": 2, "b": 3})
HAN = Vocabulary({"[PAD]": 0, "我": 1, "的": 2, "a": 3})
ALL: dict[str, Any] = {"width": 10**6, "margin": 500.0, "label_margin": 500.0, "certain_blank": 2.0, "most_labels": 99}


def drawn(frames: int, labels: int, seed: int, peaks: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (peaks * rng.standard_normal((frames, labels))).astype(np.float32)


def exhaustive(log_probs: np.ndarray, vocabulary: Vocabulary) -> dict[tuple[int, ...], float]:
    """The probability of each row of labels: the sum over all paths."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    frames, labels = log_probs.shape
    for path in itertools.product(range(labels), repeat=frames):
        spelt = tuple(label for label, _ in itertools.groupby(path) if label != vocabulary.blank)
        found[spelt] += math.exp(sum(float(log_probs[frame, label]) for frame, label in enumerate(path)))
    return found


def bonus(units: str, phrases: WordModel | None, hot: set[str], options: BeamOptions) -> float:
    """What a whole text gains, written down anew: the words' probabilities, their number, the hot letters."""
    if phrases is None:
        words = [word for word in units.split("|") if word]
        return options.hot_bonus * sum(len(word) for word in words if word in hot)
    words = list(split_words(units, phrases.words))
    state, total = phrases.start, 0.0
    for word in [*words, EDGE] if words else []:
        total += phrases.word(state, word)
        state = phrases.after(state, word)
    gained = options.lm_weight * total + options.word_bonus * len(words)
    return gained + options.hot_bonus * sum(len(word) for word in words if word in hot)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["alone", "phrases", "hot", "both", "characters", "common"])
def test_the_same_texts_and_scores_as_all_paths_give(kind: str, seed: int) -> None:
    vocabulary = HAN if kind == "characters" else SMALL
    texts = ["我的", "我a的"] if kind == "characters" else ["ab a", "a b ab"]
    phrases: WordModel | None = (
        learn(texts, ZH if kind == "characters" else EN) if kind in ("phrases", "both", "characters") else None
    )
    if kind == "common":
        phrases = WordKnowledge(learn(texts, EN), CommonWords(["b", "ab", "ba"]))
    hot = {"ba", "b"} if kind in ("hot", "both") else set()
    options = BeamOptions(**ALL, lm_weight=0.7, word_bonus=0.4, hot_bonus=0.9)
    log_probs = log_probabilities(drawn(5, 4, seed))
    expected = {}
    for labels, probability in exhaustive(log_probs, vocabulary).items():
        units = "".join("|" if vocabulary.letters[label] == "|" else vocabulary.letters[label] for label in labels)
        expected[labels] = math.log(probability) + bonus(units, phrases, hot, options)
    found = BeamDecoder(vocabulary, phrases, HotWords(hot), options).search(log_probs)
    assert {tuple(labels): score for labels, score in found} == pytest.approx(expected, abs=1e-6)
    assert tuple(found[0][0]) == max(expected, key=lambda labels: expected[labels])


@pytest.mark.parametrize("seed", range(5))
def test_what_is_pruned_as_usual_finds_the_best_of_larger_cases(seed: int) -> None:
    log_probs = log_probabilities(drawn(7, 4, seed, peaks=3.0))
    best = max((found := exhaustive(log_probs, SMALL)), key=lambda labels: found[labels])
    assert tuple(BeamDecoder(SMALL).search(log_probs)[0][0]) == best


@pytest.mark.parametrize("seed", range(3))
def test_where_each_frame_is_certain_it_writes_what_greedy_does(seed: int) -> None:
    vocabulary = vocabulary_for(["abcdefg hij", "äöü"], EN)
    rng = np.random.default_rng(seed)
    ids = np.repeat(rng.integers(0, vocabulary.labels, 80), rng.integers(1, 4, 80))
    logits = np.full((len(ids), vocabulary.labels), -12.0, np.float32)
    logits[np.arange(len(ids)), ids] = 12.0
    ours, plain = BeamDecoder(vocabulary)(logits), greedy(logits, vocabulary)
    assert text_of(ours, vocabulary) == text_of(plain, vocabulary) != ""
    assert [(token.token, token.first, token.last) for token in ours] == [
        (token.token, token.first, token.last) for token in plain
    ]
    assert [token.confidence for token in ours] == pytest.approx([token.confidence for token in plain], abs=1e-3)
    heard = learn(["jjj iii hhh"], EN)
    assert text_of(BeamDecoder(vocabulary, heard)(logits), vocabulary) == text_of(plain, vocabulary)


def spoken(text: str, vocabulary: Vocabulary, doubts: dict[int, tuple[str, float]] | None = None) -> np.ndarray:
    """A label for two frames and a blank for one; of some letters another one is likelier by so much."""
    ids = vocabulary.encode(text.replace(" ", "|"))
    logits = np.full((3 * len(ids), vocabulary.labels), -8.0, np.float32)
    for number, label in enumerate(ids):
        logits[3 * number : 3 * number + 2, label] = 6.0
        logits[3 * number + 2, vocabulary.blank] = 6.0
        if doubts and number in doubts:
            other, more = doubts[number]
            logits[3 * number : 3 * number + 2, vocabulary.tokens[other]] = 6.0 + more
    return logits


LETTERS = vocabulary_for(["abcdefghijklmnopqrstuvwxyz |"], EN)


def test_known_phrases_mend_a_doubtful_letter_and_leave_new_words_alone() -> None:
    phrases = learn(["please freeze my card", "my card is lost"], EN)
    doubtful = spoken("please freeze my cart", LETTERS, {20: ("d", -1.0)})
    decoder = BeamDecoder(LETTERS, phrases)
    assert text_of(greedy(doubtful, LETTERS), LETTERS) == "please freeze my cart"
    assert text_of(decoder(doubtful), LETTERS) == "please freeze my card"
    clear = spoken("please freeze my zebra", LETTERS)
    assert text_of(decoder(clear), LETTERS) == "please freeze my zebra"


def test_times_of_words_are_kept() -> None:
    phrases = learn(["please freeze my card"], EN)
    doubtful = spoken("please freeze my cart", LETTERS, {20: ("d", -1.0)})
    words = words_of(BeamDecoder(LETTERS, phrases)(doubtful), LETTERS, 0.02)
    plain = words_of(greedy(doubtful, LETTERS), LETTERS, 0.02)
    assert [(word.start, word.end) for word in words] == [(word.start, word.end) for word in plain]
    assert words[-1].text == "card" and words[-1].confidence < min(word.confidence for word in words[:-1])


def test_names_to_listen_for_are_written_where_they_may_have_been_said() -> None:
    heard = spoken("anna covalski called", LETTERS, {5: ("k", -2.0), 7: ("w", -2.0)})
    hot = hot_words("Anna Kowalski; IBAN", LETTERS)
    for decoder in (BeamDecoder(LETTERS, None, hot), BeamDecoder(LETTERS, learn(["call the bank"], EN), hot)):
        assert text_of(decoder(heard), LETTERS) == "anna kowalski called"
    other = spoken("banana split", LETTERS)
    assert text_of(BeamDecoder(LETTERS, None, hot)(other), LETTERS) == "banana split"
    assert decoder_for(LETTERS, None, " , ;") is None and decoder_for(LETTERS, None, "x") is not None


def test_hot_letters_are_counted_from_word_to_word_and_taken_back() -> None:
    hot = HotWords(["anna|karenina", "kowalski", "ann"])

    def matched(text: str) -> int:
        state, word, total = hot.start, "", 0
        for letter in text:
            if letter == "|":
                (state, count), word = hot.space(state), ""
            else:
                (state, count), word = hot.letter(state, word, letter), word + letter
            total += count
        return total + hot.end(state)

    assert matched("ann") == 3 and matched("anna") == 0 and matched("annab") == 0 and matched("joann") == 0
    assert matched("anna|karenina") == 13 and matched("anna|kowalski") == 8 and matched("ann|kowalski|x") == 11
    assert matched("anna|karen") == 0 and matched("x|anna|karenina|ann") == 16


def test_hot_words_in_korean_and_chinese() -> None:
    korean = vocabulary_for(["카드를 정지해 주세요"], KO)
    units = to_units("정지해", KO)
    logits = spoken("x", LETTERS)[:0]
    assert hot_words("정지해", korean) and BeamDecoder(korean, None, hot_words("정지해", korean))(logits) == []
    taken = HotWords([units]).letter(HotWords([units]).start, "", units[0])
    assert taken[1] == 1
    chinese = Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, "我": 3, "的": 4, "卡": 5, "咖": 6})
    doubtful = spoken("我的咖", chinese, {2: ("卡", -1.5)})[np.arange(9) % 3 != 1]  # a frame a label
    assert text_of(greedy(doubtful, chinese), chinese) == "我的咖"
    assert text_of(BeamDecoder(chinese, None, hot_words("卡、我", chinese))(doubtful), chinese) == "我的卡"


def test_far_too_many_words_are_refused() -> None:
    with pytest.raises(UserError, match="200"):
        hot_words(",".join(f"word{number}" for number in range(201)), LETTERS)


def test_labels_that_write_nothing_part_letters_as_the_blank_does() -> None:
    vocabulary = Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, "a": 3, "<s>": 4})
    logits = np.full((5, 5), -9.0, np.float32)
    for frame, label in enumerate([3, 1, 3, 4, 3]):
        logits[frame, label] = 9.0
    assert (
        text_of(BeamDecoder(vocabulary)(logits), vocabulary) == text_of(greedy(logits, vocabulary), vocabulary) == "aaa"
    )


def test_alphabets_of_thousands_and_no_sound() -> None:
    characters = [chr(0x4E00 + number) for number in range(4000)]
    vocabulary = vocabulary_for(["".join(characters)], ZH)
    text = "".join(characters[::97])
    logits = spoken(text, vocabulary)
    phrases = learn([text], ZH)
    assert text_of(BeamDecoder(vocabulary, phrases)(logits), vocabulary) == text
    assert BeamDecoder(vocabulary, phrases)(logits[:0]) == []


@pytest.mark.parametrize("seed", range(5))
def test_the_alignment_is_the_likeliest_of_all(seed: int) -> None:
    log_probs = log_probabilities(drawn(6, 4, seed))
    for labels in ([2], [2, 2], [2, 3, 2], [3, 3, 2]):
        best, found = -math.inf, None
        for path in itertools.product(range(4), repeat=6):
            groups = [(label, len(list(run))) for label, run in itertools.groupby(path)]
            if [label for label, _ in groups if label] == labels:
                score = sum(float(log_probs[frame, label]) for frame, label in enumerate(path))
                if score > best:
                    ends = np.cumsum([size for _, size in groups])
                    spans = [
                        (int(end) - size, int(end) - 1)
                        for (label, size), end in zip(groups, ends, strict=True)
                        if label
                    ]
                    best, found = score, spans
        assert align(log_probs, labels, 0) == found


def test_too_few_frames_cannot_be_aligned() -> None:
    assert align(np.zeros((0, 3)), [], 0) == []
    for frames, labels in ((0, [1]), (2, [1, 1]), (1, [1, 2])):
        with pytest.raises(ValueError, match="cannot spell"):
            align(np.zeros((frames, 3)), labels, 0)


def test_certainty_is_one_less_the_share_of_entropy() -> None:
    even, sure = np.log(np.full((1, 8), 1 / 8)), log_probabilities(np.array([[60.0, *[0.0] * 7]]))
    half = np.log(np.array([[0.5, 0.5 - 6e-9, *[1e-9] * 6]]))
    assert certainty(even) == pytest.approx([0.0]) and certainty(sure) == pytest.approx([1.0], abs=1e-6)
    # (8^(2/3) - 2 * 0.5^(1/3) - 6 * 10^-3) / (8^(2/3) - 1)
    assert certainty(half) == pytest.approx([(4 - 2 * 0.5 ** (1 / 3) - 0.006) / 3], abs=1e-3)
