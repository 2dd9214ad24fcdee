"""From a file and a chosen model to a transcript: what the page and the command line both call."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cachetools import LRUCache, cached

from trainer.errors import UserError
from trainer.hardware import machine_memory
from trainer.hub.repo import CONFIG
from trainer.models.language_model import PHRASES
from trainer.models.model_files import NOTES
from trainer.models.word_knowledge import WordKnowledge, known_to
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, AudioLimits, is_silent, load_audio
from trainer.transcription import zerogpu
from trainer.transcription.warm_models import MakeRoom, WarmModels

if TYPE_CHECKING:
    import numpy as np

    from trainer.models.decoding import Word
    from trainer.models.inference import Decoder, HeardPiece, Transcriber
    from trainer.models.recognizer import Recognizer
SHORTEST_SECONDS = 0.1  # nobody says a word in less; the models need 0.025 s for one frame
WARM_SHARE = 0.25  # of the memory, for all models that stay loaded
READ_PHRASES = 8  # kept in memory: some 10 MB each at most, and the common words of their languages


@dataclass(frozen=True)
class Transcript:
    """What was heard. Times in seconds; `model` is what the model is called.

    `spelt` is the text by its sound alone: the same, unless phrases or words to listen for have changed it.
    """

    text: str
    words: "tuple[Word, ...]"
    audio_seconds: float
    took_seconds: float
    model: str
    spelt: str = ""


@dataclass(frozen=True)
class Listening:
    """How to listen. `words`: names and words to listen for, as typed, between commas. `phrases`: use what the model
    knows of words, where it does: phrases that it was taught, and common words of its language. `language`: the ISO
    639-1 code of what is spoken, which models of many languages are told; "" lets them find out."""

    words: str = ""
    phrases: bool = True
    language: str = ""


USUAL = Listening()


def transcribe_with(
    path: str, folder: Path, settings: Settings, name: str | None = None, listening: Listening = USUAL
) -> Transcript:
    """Write down what is said in a file, with the model in a folder, and what it is called.

    Raises UserError for what a person can mend.
    """
    samples = load_recording(path, settings)
    return transcribe_samples(samples, folder, settings, name or folder.name, listening=listening)


def load_recording(path: str, settings: Settings, work_seconds: float = AudioLimits.work_seconds) -> "np.ndarray":
    """The sound, mono float32 at 16 kHz, mapped from disk; `work_seconds` of a processor are spent on it, and more
    as sound comes.

    Raises UserError where it cannot be decoded, or there is nothing to hear in it.
    """
    limits = AudioLimits(settings.max_audio_seconds, settings.max_audio_bytes, work_seconds=work_seconds)
    sound = load_audio(Path(path), limits, on_disk=True)
    if sound.seconds < SHORTEST_SECONDS:
        raise UserError("That was too short to hear a word.", "Hold the recording a little longer.")
    if is_silent(sound.samples):
        raise UserError("I could not hear anything.", "Is the right microphone chosen, and is it switched on?")
    return sound.samples


def transcribe_samples(
    samples: "np.ndarray",
    folder: Path,
    settings: Settings,
    name: str,
    given_up: Callable[[], bool] = bool,
    listening: Listening = USUAL,
) -> Transcript:
    """Write down mono float32 at 16 kHz, all of it at once; see `hear_pieces`."""
    started = time.perf_counter()
    heard = list(hear_pieces(samples, folder, settings, given_up, listening))
    return transcript_of(heard, len(samples) / SAMPLE_RATE, time.perf_counter() - started, name)


def hear_pieces(
    samples: "np.ndarray",
    folder: Path,
    settings: Settings,
    given_up: Callable[[], bool] = bool,
    listening: Listening = USUAL,
) -> "Iterator[HeardPiece]":
    """What is heard of mono float32 at 16 kHz, (n,), as it is heard. Uses all cores: two at once take longer than one
    after the other.

    Raises UserError where the model or its phrases cannot be opened, or too much is to be listened for, and
    CancelledError once `given_up` says so, which is asked before each piece of sound; `bool` never does.
    """
    if given_up():
        raise CancelledError
    if zerogpu.helps(folder):
        from trainer.models.inference import HeardPiece

        told = (listening.words, listening.phrases, listening.language)
        heard = zerogpu.transcribe_on_gpu(folder, samples, settings.max_load_bytes, *told)
        yield HeardPiece(heard.text, heard.words, heard.spelt, 1, 1, len(samples) / SAMPLE_RATE)
        return
    recognizer = recognizer_of(folder, settings)
    from trainer.models.recognizer import Hints

    hints = Hints(listening.words, knowledge_of(folder) if listening.phrases else None, listening.language)
    yield from recognizer.pieces(samples, given_up, hints)


def opened_for(folder: Path, settings: Settings, listening: Listening) -> "tuple[Transcriber, Decoder | None]":
    """The CTC model in a folder, and what listens for phrases and words, where there are any. Raises UserError, also
    for a model that writes down whole recordings alone."""
    recognizer = recognizer_of(folder, settings)
    from trainer.models.beam_search import decoder_for
    from trainer.models.recognizer import CTCRecognizer

    if not isinstance(recognizer, CTCRecognizer):
        raise UserError(
            "This model hears a recording only once it has ended.",
            "Press Record, or choose another model for captions.",
        )
    phrases = knowledge_of(folder) if listening.phrases else None
    transcriber = recognizer.transcriber
    return transcriber, decoder_for(transcriber.checkpoint.vocabulary, phrases, listening.words)


def transcript_of(pieces: "Iterable[HeardPiece]", audio_seconds: float, took_seconds: float, name: str) -> Transcript:
    """All that was heard of a recording."""
    from trainer.models.inference import hearing_of

    heard = hearing_of(pieces)
    return Transcript(heard.text, heard.words, audio_seconds, took_seconds, name, heard.spelt)


def warm_up(folder: Path | None, settings: Settings) -> None:
    """Load torch and, if there is a folder, its model, so that the first words come fast."""
    import torch  # noqa: F401  # the import is what takes time

    if folder and not zerogpu.helps(folder):  # else it is opened where the GPU is
        recognizer_of(folder, settings)
        knowledge_of(folder)


def recognizer_of(folder: Path, settings: Settings) -> "Recognizer":
    """The model in a folder; those used last stay loaded. Safe to use from several threads. Raises UserError."""
    version = tuple(_changed(folder / name) for name in (CONFIG, NOTES))  # trained further, another one lies there
    return _warm.get(folder, version, partial(_opened, folder, settings))


def knowledge_of(folder: Path) -> WordKnowledge | None:
    """What a model knows of words, if anything. Raises UserError where what lies beside it is no such."""
    return _known_to(folder, tuple(_changed(folder / name) for name in (PHRASES, NOTES)))


def _changed(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0


def loaded_models() -> list[Path]:
    """The folders of the models in memory."""
    return _warm.folders()


_warm: "WarmModels[Recognizer]" = WarmModels(lambda: int(WARM_SHARE * machine_memory()))


def _opened(folder: Path, settings: Settings, make_room: MakeRoom) -> "tuple[Recognizer, int]":
    """A model and the bytes that it takes."""
    from trainer.models.listening_precision import listening_precision
    from trainer.models.model_files import read_model
    from trainer.models.recognizer import open_recognizer

    files = read_model(folder, settings.max_load_bytes, whole=True)
    make_room(files.weights_bytes)
    recognizer = open_recognizer(files, quick=listening_precision(settings.data_dir).name == "bf16")
    return recognizer, recognizer.bytes


@cached(LRUCache(READ_PHRASES), condition=threading.Condition())
def _known_to(folder: Path, version: tuple[int, ...]) -> WordKnowledge | None:
    return known_to(folder)
