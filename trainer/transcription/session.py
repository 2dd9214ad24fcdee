"""From a file and a chosen model to a transcript: what the page and the command line both call."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, AudioLimits, is_silent, load_audio
from trainer.transcription import zerogpu
from trainer.transcription.choices import HUB, READY, RUN, folder_of_choice

if TYPE_CHECKING:
    import numpy as np

    from trainer.models.decoding import Word
    from trainer.transcription.transcriber import Transcriber

SHORTEST_SECONDS = 0.1  # nobody says a word in less; the models need 0.025 s for one frame
LOADED_MODELS = 2  # kept in memory: the one in use and the one compared with


@dataclass(frozen=True)
class Transcript:
    """What was heard. Times in seconds; `model` is the choice's id for people."""

    text: str
    words: "tuple[Word, ...]"
    audio_seconds: float
    took_seconds: float
    model: str


_models: "dict[tuple[Path, int], Transcriber]" = {}
_lock = threading.Lock()


def transcribe_file(path: str, choice: str, settings: Settings, owner: str) -> Transcript:
    """Write down what is said in a file, with a model of `choices`. Raises UserError for what a person can mend."""
    samples = _listen(path, settings)
    started = time.perf_counter()
    return _transcript(samples, folder_of_choice(choice, settings, owner), started, name_of(choice))


def transcribe_with(path: str, folder: Path, settings: Settings, name: str | None = None) -> Transcript:
    """The same with the model in a folder, and what it is called."""
    samples = _listen(path, settings)
    return _transcript(samples, folder, time.perf_counter(), name or folder.name)


def _listen(path: str, settings: Settings) -> "np.ndarray":
    """The sound, mono float32 at 16 kHz; refused before a model is loaded where there is nothing to hear."""
    limits = AudioLimits(seconds=settings.max_audio_seconds, size_bytes=settings.max_audio_bytes)
    sound = load_audio(Path(path), limits)
    if sound.seconds < SHORTEST_SECONDS:
        raise UserError("That was too short to hear a word.", "Hold the recording a little longer.")
    if is_silent(sound.samples):
        raise UserError("I could not hear anything.", "Is the right microphone chosen, and is it switched on?")
    return sound.samples


def _transcript(samples: "np.ndarray", folder: Path, started: float, name: str) -> Transcript:
    if zerogpu.helps(folder):
        hearing = zerogpu.hear(folder, samples)
    else:
        with _lock:  # one at a time uses all cores already
            hearing = _transcriber(folder)(samples)
    took = time.perf_counter() - started
    return Transcript(hearing.text, hearing.words, len(samples) / SAMPLE_RATE, took, name)


def warm_up(choice: str, settings: Settings, owner: str) -> None:
    """Load torch and, if there is a choice that needs no download, its model, so that the first words come fast."""
    import torch  # noqa: F401  # the import is what takes time

    if choice.startswith((RUN, READY)):
        try:
            folder = folder_of_choice(choice, settings, owner)
            if zerogpu.helps(folder):
                return  # it is opened where the GPU is
            with _lock:
                _transcriber(folder)
        except UserError:
            return  # it will be said when the model is used


def _transcriber(folder: Path) -> "Transcriber":
    from trainer.models.loading import open_checkpoint
    from trainer.transcription.transcriber import Transcriber

    key = (folder, (folder / "config.json").stat().st_mtime_ns if folder.is_dir() else 0)
    if key not in _models:
        loaded = Transcriber(open_checkpoint(folder))
        while len(_models) >= LOADED_MODELS:
            del _models[next(iter(_models))]
        _models[key] = loaded
    _models[key] = _models.pop(key)  # the most recently used stands last
    return _models[key]


def name_of(choice: str) -> str:
    """What a choice is called below a transcript."""
    if choice.startswith(READY):
        return "practice model"
    return "your model" if choice.startswith(RUN) else choice.removeprefix(HUB)
