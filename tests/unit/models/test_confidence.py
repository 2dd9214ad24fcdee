"""How sure a model is of a word, made into how likely the word is right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.models import files_in, save_answering
from trainer.models.beam_search import BeamDecoder
from trainer.models.confidence import CONFIDENCE, Calibration, fitted, noted, read_calibration
from trainer.models.hot_words import hot_words
from trainer.models.inference import Transcriber, open_transcriber
from trainer.models.language_model import learn
from trainer.models.model_files import add_notes
from trainer.speech.locales import LOCALES

TONE = (0.3 * np.sin(np.arange(32_000) / 9)).astype(np.float32)


def drawn(words: int, slope: float, offset: float, seed: int = 0) -> tuple[list[float], list[bool]]:
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.02, 0.98, words)
    chance = np.array([Calibration(slope, offset)(value) for value in sure])
    return sure.tolist(), (rng.uniform(size=words) < chance).tolist()


@pytest.mark.parametrize(("slope", "offset"), [(0.3, 1.5), (2.0, -1.0)])
def test_what_the_words_were_drawn_with_is_found(slope: float, offset: float) -> None:
    found = fitted(*drawn(4000, slope, offset))
    assert found and found.slope == pytest.approx(slope, rel=0.15) and found.offset == pytest.approx(offset, abs=0.2)
    values = [found(value) for value in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert values == sorted(values) and values[0] > 0 and values[-1] < 1


def test_what_is_right_as_it_is_or_too_little_is_left_alone() -> None:
    assert fitted(*drawn(2000, 1.0, 0.0)) is None
    assert fitted(*drawn(19, 0.3, 3.0)) is None


@pytest.mark.parametrize("right", [True, False])
def test_words_that_are_all_alike_are_no_trouble(right: bool) -> None:
    for value in (0.0, 0.5, 1.0):
        found = fitted([value] * 200, [right] * 200)
        assert found is None or (found.slope > 0 and (found(value) > 0.9) is right)


@pytest.mark.parametrize(
    "values",
    [None, 3, {}, {"slope": 1.0}, {"slope": -1.0, "offset": 0.0}, {"slope": "1", "offset": 0},
     {"slope": True, "offset": 0},
     {"slope": float("nan"), "offset": 0.0}, {"slope": 1.0, "offset": 1e9}],
)  # fmt: skip
def test_notes_that_make_no_sense_change_nothing(values: Any) -> None:
    assert read_calibration({CONFIDENCE: {"spelt": values}}, "spelt") is None
    assert read_calibration({CONFIDENCE: values}, "spelt") is None


def test_it_is_applied_to_what_it_was_noted_for(tmp_path: Path) -> None:
    model = save_answering(tmp_path / "model", "h")
    plain = open_transcriber(files_in(model))
    vocabulary = plain.checkpoint.vocabulary
    phrases = BeamDecoder(vocabulary, learn(["h"], LOCALES["en-US"]))
    hot = BeamDecoder(vocabulary, None, hot_words("h", vocabulary))
    add_notes(model, **{CONFIDENCE: noted({"spelt": Calibration(0.5, -1.0), "phrases": Calibration(0.5, -3.0)})})
    taught = open_transcriber(files_in(model))

    def sure(listen: Transcriber, decoder: BeamDecoder | None) -> float:
        (word,) = listen(TONE, decoder=decoder).words
        assert word.text == "h"
        return word.confidence

    for decoder, expected in ((None, Calibration(0.5, -1.0)), (phrases, Calibration(0.5, -3.0)), (hot, None)):
        before, after = sure(plain, decoder), sure(taught, decoder)
        assert after == (pytest.approx(expected(before), abs=1e-3) if expected else before)
