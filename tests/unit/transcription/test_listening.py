"""A recording heard piece by piece, with the phrases that are kept beside the model, and names typed in."""

import shutil
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest

from trainer.errors import UserError
from trainer.models.language_model import PHRASES, learn
from trainer.models.model_files import add_notes
from trainer.settings import STARTER, STARTER_HEADS, Settings
from trainer.speech.audio import SAMPLE_RATE, load_audio
from trainer.speech.locales import LOCALES
from trainer.speech.metrics import character_error_rate, word_error_rate
from trainer.speech.sources import open_source
from trainer.speech.text import normalise
from trainer.transcription.transcribe import Listening, hear_pieces, knowledge_of, transcribe_samples, transcript_of

EN = LOCALES["en-US"]
FOLDER = STARTER_HEADS / "en"
CLIPS = [clip for clip in open_source("practice", EN, Settings(Path("nowhere"))).clips if clip.split == "test"][:5]
TEXTS = [normalise(clip.text, EN) for clip in CLIPS]


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    """Five clips with pauses of 0.6 s."""
    rng = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    for clip in CLIPS:
        assert clip.audio is not None
        pause = (1e-3 * rng.standard_normal(6 * SAMPLE_RATE // 10)).astype(np.float32)
        parts += [load_audio(clip.audio).samples, pause]
    return np.concatenate(parts)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The practice model's letters, with the body that they belong to."""
    body = shutil.copytree(STARTER, tmp_path / "model", ignore=lambda folder, names: {"heads"}.intersection(names))
    return shutil.copytree(FOLDER, body / FOLDER.parent.name / FOLDER.name)


def test_a_long_recording_is_heard_piece_by_piece(talk: np.ndarray, model: Path, tmp_path: Path) -> None:
    settings, folder = Settings(data_dir=tmp_path), model
    add_notes(model, clip_seconds=4.0)
    pieces = list(hear_pieces(talk, folder, settings))
    assert [piece.done for piece in pieces] == list(range(1, len(pieces) + 1)) and len(pieces) >= 3
    assert {piece.total for piece in pieces} == {len(pieces)}
    words = [word for piece in pieces for word in piece.words]
    assert all(piece.seconds <= len(talk) / SAMPLE_RATE for piece in pieces)
    assert [word.start for word in words] == sorted(word.start for word in words)
    whole = transcript_of(pieces, 1.0, 1.0, "m")
    assert whole.text == " ".join(word.text for word in words) != whole.spelt
    alone = [transcribe_samples(load_audio(clip.audio or b"").samples, folder, settings, "m").text for clip in CLIPS]
    said = [" ".join(TEXTS)]
    errors = character_error_rate(said, [" ".join(alone)])
    assert character_error_rate(said, [whole.text]) < errors + 0.04, "heard much as the clips alone"
    assert abs(len(words) - len(" ".join(alone).split())) <= 2, "no words are lost or doubled"


def test_who_goes_away_is_not_listened_to_further(talk: np.ndarray, tmp_path: Path) -> None:
    answers = iter([False, False, True])
    heard = hear_pieces(talk, FOLDER, Settings(data_dir=tmp_path), lambda: next(answers))
    assert next(heard).done == 1
    with pytest.raises(CancelledError):
        next(heard)


def test_phrases_beside_a_model_are_used_unless_they_are_switched_off(
    talk: np.ndarray, model: Path, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    untaught = transcribe_samples(talk, model, settings, "m")
    off = transcribe_samples(talk, model, settings, "m", listening=Listening(phrases=False))
    learn(TEXTS, EN).save(model)
    taught = transcribe_samples(talk, model, settings, "m")
    assert taught.spelt == untaught.spelt == off.spelt == off.text
    said = [" ".join(TEXTS)]
    assert word_error_rate(said, [taught.text]) < word_error_rate(said, [untaught.text]) - 0.05
    switched = transcribe_samples(talk, model, settings, "m", listening=Listening(phrases=False))
    assert switched.text == off.text and switched.words == off.words
    learn(["nothing of the kind"], EN).save(model)
    found = knowledge_of(model)
    assert found is not None and found.phrases.size[0] == 4, "read anew where they have changed"


def test_phrases_that_are_none_are_refused_and_can_be_left_out(talk: np.ndarray, model: Path, tmp_path: Path) -> None:
    settings, clip = Settings(data_dir=tmp_path), talk[: 3 * SAMPLE_RATE]
    (model / PHRASES).write_text("[]")
    with pytest.raises(UserError, match="phrases"):
        transcribe_samples(clip, model, settings, "m")
    assert transcribe_samples(clip, model, settings, "m", listening=Listening(phrases=False)).text
