"""A real fine-tune of the starter on four practice clips: it must learn them by heart, and every way of opening
the result must read the same."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainer.settings import Settings
from trainer.speech.audio import load_audio
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a fine-tune on four clips that are also what it is tested on."""
    home = tmp_path_factory.mktemp("home")
    source = open_source("practice", LOCALES["en-US"], Settings(data_dir=home))
    with (home / "clips.tsv").open("w", newline="") as file:
        table = csv.writer(file, delimiter="\t")
        table.writerow(["path", "text", "split"])
        for number, clip in enumerate(source.clips[::50][:4]):
            assert isinstance(clip.audio, bytes)
            (home / f"{number}.ogg").write_bytes(clip.audio)
            for split in ("train", "validation", "test"):
                table.writerow([f"{number}.ogg", clip.text, split])
    # All four in one batch: what is learnt among others, padded, must be what is heard alone.
    command = [
        sys.executable, "-m", "trainer", "finetune", "--data", str(home), "--run", str(home / "run"), "--quiet",
        "--no-augment", "--mask-time-prob", "0", "--max-steps", "100", "--eval-steps", "50", "--batch-clips", "4",
    ]  # fmt: skip
    env = os.environ | {"VOICETUNE_DATA": str(home / "data")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return home / "run" / "model"


def test_four_clips_are_learnt_by_heart(model: Path) -> None:
    from trainer.runs.follower import Follower
    from trainer.runs.run import Run

    view = Follower(Run(model.parent)).view()
    assert view.baseline is not None and view.best is not None
    assert view.baseline.wer > 0.1, "there was something to learn"
    assert view.best.cer == 0 and view.best.wer == 0
    assert view.best.loss is not None and view.best.loss < 0.05


def test_the_stock_pipeline_reads_the_same(model: Path) -> None:
    from transformers import pipeline

    from trainer.models import whisper_ctc
    from trainer.transcription.transcribe import Listening, transcribe_with

    whisper_ctc.register()  # as a model's card says
    stock = pipeline("automatic-speech-recognition", model=str(model))
    settings = Settings(data_dir=model.parent)
    for number in range(4):
        file = model.parent.parent / f"{number}.ogg"
        ours = transcribe_with(str(file), model, settings, listening=Listening(phrases=False))
        theirs: Any = stock({"raw": load_audio(file).samples, "sampling_rate": 16_000})
        assert ours.text.split() == theirs["text"].split() != []
        assert " ".join(word.text for word in ours.words) == ours.text
        assert all(0 <= word.start < word.end <= ours.audio_seconds + 0.05 for word in ours.words)
        assert all(0 < word.confidence <= 1 for word in ours.words)
