"""A clip sounds to the model as it did in training, whatever it was recorded at."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.fakes.models import files_in, save_tiny_base
from tests.fakes.sounds import say, wav
from trainer.models.ctc_model import Checkpoint, open_base
from trainer.models.inference import Transcriber
from trainer.models.vocabulary import vocabulary_for
from trainer.settings import Settings
from trainer.speech.audio import from_16_bit, load_audio, to_16_bit
from trainer.speech.dataset import Preparation, Splitting
from trainer.speech.locales import LOCALES
from trainer.speech.sources import RawClip, Source
from trainer.training.data import ClipDataset
from trainer.transcription.transcribe import transcribe_with

EN = LOCALES["en-US"]
TEXT = "hello there"


def test_what_a_file_holds_comes_out_unchanged() -> None:
    held = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_16_bit(from_16_bit(held)), held)
    loud = np.array([0.0, 40.0, -20.0], np.float32)  # some programs write such files
    assert to_16_bit(loud).tolist() == [0, 32767, -16384]
    assert to_16_bit(np.zeros(0, np.float32)).tolist() == []


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return open_base(files_in(save_tiny_base(tmp_path / "base")), vocabulary_for([TEXT], EN), {}, keep_head=False)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100])
def test_a_training_clip_is_what_is_transcribed(checkpoint: Checkpoint, rate: int, tmp_path: Path) -> None:
    """8 kHz is what telephones and MInDS-14 have: nothing above 4 kHz, where the rest is rounding."""
    sound = say(TEXT)
    spoken = np.interp(np.arange(0, len(sound), 16_000 / rate), np.arange(len(sound)), sound)
    clip = wav(spoken.astype(np.float32), rate)
    source = Source("folder", [RawClip("a", clip, TEXT, "train"), RawClip("b", clip, TEXT, "test")])
    prepare = Preparation(EN, "lower", Settings(data_dir=tmp_path), checkpoint.frames)
    dataset = prepare(source, Splitting(source.clips[:1], source.clips[1:], source.clips[1:]))
    assert not dataset.left_out and dataset.train[0].seconds == pytest.approx(len(sound) / 16_000, abs=0.01)
    trained = ClipDataset(dataset.train, checkpoint)[0]["waveform"]
    assert np.array_equal(checkpoint.fit(trained), checkpoint.fit(load_audio(clip).samples))

    checkpoint.model.eval()
    checkpoint.save(tmp_path / "model", {})
    (tmp_path / "a.wav").write_bytes(clip)
    heard = transcribe_with(str(tmp_path / "a.wav"), tmp_path / "model", Settings(data_dir=tmp_path))
    assert heard.text == Transcriber(checkpoint)(trained).text
    assert heard.audio_seconds == pytest.approx(dataset.train[0].seconds)


def test_a_loud_float_file_is_not_clipped(checkpoint: Checkpoint) -> None:
    file = io.BytesIO()
    soundfile.write(file, say(TEXT) * 1000, 16_000, format="WAV", subtype="FLOAT")
    fitted = checkpoint.fit(load_audio(file.getvalue()).samples)
    assert np.corrcoef(fitted, say(TEXT))[0, 1] > 0.999
