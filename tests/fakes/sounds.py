"""Sounds that a model can tell apart: each letter is a tone of its own."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
LETTER_SECONDS = 0.12


def say(text: str, seed: int = 0) -> np.ndarray:
    """Float32 at 16 kHz: a tone a letter, noise for a space."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(LETTER_SECONDS * RATE)) / RATE
    tones = [
        np.sin(2 * np.pi * (250 + 90 * (ord(letter) % 32)) * time) if letter != " " else np.zeros_like(time)
        for letter in text
    ]
    sound = np.concatenate([np.zeros(800), *tones, np.zeros(800)])
    return (0.3 * sound + 0.002 * rng.standard_normal(len(sound))).astype(np.float32)


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    """As a WAV file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


def save_folder(folder: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """A folder of one's own: for each (text, split) a clip, and the table."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "clips.tsv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t")
        table.writerow(["path", "text", "split"])
        for number, (text, split) in enumerate(rows):
            (folder / f"{number}.wav").write_bytes(wav(say(text, number)))
            table.writerow([f"{number}.wav", text, split])
    return folder
