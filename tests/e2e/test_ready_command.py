"""The model that comes with Voicetune: complete, small, and it hears the practice sentences without anything else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.run_folder import write_run
from trainer.models.ctc_model import open_checkpoint
from trainer.models.model_files import read_model, read_notes
from trainer.settings import STARTER, STARTER_HEADS, Settings
from trainer.speech.locales import LOCALES, locale_of
from trainer.speech.metrics import error_rates
from trainer.speech.sources import open_source
from trainer.speech.text import normalise

ROOT = Path(__file__).resolve().parents[2]
FOLDER = STARTER_HEADS / "en"
CLIPS = 6
MOST_BYTES, MOST_A_FILE = 45 * 10**6, 10 * 10**6  # it travels with the repository, and Spaces refuse larger files


def _transcribe(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"VOICETUNE_DATA": str(home / "data"), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(home)}
    command = [sys.executable, "-m", "trainer", "transcribe", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


def test_it_is_whole_and_small() -> None:
    sizes = [path.stat().st_size for path in STARTER.rglob("*") if path.is_file()]
    assert sum(sizes) < MOST_BYTES and max(sizes) < MOST_A_FILE


@pytest.mark.parametrize("language", sorted({locale.language for locale in LOCALES.values()}))
def test_it_writes_every_language_and_says_how_well(language: str) -> None:
    checkpoint = open_checkpoint(read_model(STARTER_HEADS / language, Settings.max_load_bytes))
    locale = next(row for row in LOCALES.values() if row.language == language)
    assert checkpoint.vocabulary.covers([locale.example], locale)
    notes = read_notes(STARTER_HEADS / language)
    assert locale_of(notes["locale"]).language == language
    people = notes.get("people")  # not measured where there was nobody to measure with
    assert people is None or (0 < people["cer"] < 1 and people["clips"] > 0 and people["speakers"] > 0)


def test_without_a_model_of_ones_own_it_hears_the_practice_sentences(tmp_path: Path) -> None:
    locale = LOCALES["en-US"]
    source = open_source("practice", locale, Settings(data_dir=tmp_path))
    clips = [clip for clip in source.clips if clip.split == "test" and isinstance(clip.audio, bytes)][:CLIPS]
    files = []
    for number, clip in enumerate(clips):
        assert isinstance(clip.audio, bytes)
        files.append(tmp_path / f"{number}.ogg")
        files[-1].write_bytes(clip.audio)
    done = _transcribe(tmp_path, *map(str, files))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.startswith("Practice model · English") and str(FOLDER) in done.stderr
    heard = [normalise(line, locale) for line in done.stdout.splitlines()]
    assert error_rates([normalise(clip.text, locale) for clip in clips], heard).cer < 0.5


def test_ones_own_newest_model_goes_before_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "data")
    sound = tmp_path / "a.ogg"
    sound.write_bytes(b"this is no sound")
    done = _transcribe(tmp_path, str(sound))
    assert done.stderr.startswith("Your newest model · American English") and str(run.model) in done.stderr
