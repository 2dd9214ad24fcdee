"""Words while somebody still talks: settled ones stay, and the end is what the finished recording gives."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.heard_clips import Heard, joined_clips
from tests.fakes.models import files_in, save_answering
from trainer.models.inference import Transcriber, open_transcriber
from trainer.speech.audio import SAMPLE_RATE
from trainer.transcription.live import Ear


@pytest.fixture(scope="module")
def practice() -> tuple[Heard, np.ndarray]:
    """The model that comes along, and some twenty seconds of practice clips with pauses."""
    heard = Heard.open("en-US", None)
    return heard, joined_clips(heard.dataset.test[:6])[0]


def chunks(sound: np.ndarray, seconds: float) -> list[np.ndarray]:
    return np.split(sound, np.arange(int(seconds * SAMPLE_RATE), len(sound), int(seconds * SAMPLE_RATE)))


def follow(ear: Ear, sound: np.ndarray, seconds: float) -> list[tuple[str, str]]:
    """What is settled and what is not after each chunk, and at the end."""
    shown = []
    for chunk in chunks(sound, seconds):
        ear.hear(chunk)
        shown.append((ear.settled, ear.unsettled))
    return [*shown, (ear.finish(), ear.unsettled)]


@pytest.mark.parametrize("piece_seconds", [5.0, 15.0])
def test_settled_words_never_change_and_the_end_is_the_finished_recording(
    practice: tuple[Heard, np.ndarray], piece_seconds: float
) -> None:
    heard, sound = practice
    transcriber = Transcriber(heard.checkpoint, piece_seconds)
    shown = follow(Ear(transcriber), sound, 2.0)
    whole = transcriber(sound).text
    assert shown[-1] == (whole, "")
    settled = [text for text, _ in shown]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(settled))
    before = [text for text in settled[:-1] if text]
    assert before, "words settle while the person talks"


def test_words_are_shown_before_they_are_settled(practice: tuple[Heard, np.ndarray]) -> None:
    heard, sound = practice
    ear = Ear(Transcriber(heard.checkpoint))
    ear.hear(sound[: 4 * SAMPLE_RATE])
    assert ear.settled == "" and len(ear.unsettled.split()) >= 2


def test_without_any_pause_words_settle_too(practice: tuple[Heard, np.ndarray]) -> None:
    """Clips without their quiet edges and with nothing between them, so that pieces overlap."""
    heard, _ = practice
    parts = []
    for example in heard.dataset.test[:10]:
        clip = example.waveform()
        loud = np.flatnonzero(np.abs(clip) > 0.05 * np.abs(clip).max())
        parts.append(clip[loud[0] : loud[-1]])
    sound = np.concatenate(parts)
    sound = sound + (0.02 * np.random.default_rng(0).standard_normal(len(sound))).astype(np.float32)
    transcriber = Transcriber(heard.checkpoint, 5.0)
    shown = follow(Ear(transcriber), sound, 2.0)
    assert shown[-1] == (transcriber(sound).text, "")
    settled = [text for text, _ in shown]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(settled))


def test_silence_is_no_words(tmp_path: Path) -> None:
    """Of a model that hears "h" in everything."""
    transcriber = open_transcriber(files_in(save_answering(tmp_path, "h")))
    ear = Ear(transcriber)
    ear.hear(np.zeros(3 * SAMPLE_RATE, np.float32))
    assert ear.unsettled == ""


def test_of_a_long_recording_little_is_held(tmp_path: Path) -> None:
    """Five minutes of a voice that pauses, of silence, and of noise without a pause."""
    transcriber = open_transcriber(files_in(save_answering(tmp_path, "h")))
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(100 * SAMPLE_RATE)).astype(np.float32)
    voice = noise * (np.arange(len(noise)) // SAMPLE_RATE % 3 < 2)
    ear = Ear(transcriber)
    most = 0
    for chunk in chunks(np.concatenate([voice, 1e-4 * noise, noise]), 10.0):
        ear.hear(chunk)
        most = max(most, ear.held)
    assert most < 90 * SAMPLE_RATE
