"""What hears: samples in, words with times and confidence out, whatever model it is that writes them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trainer.models.beam_search import decoder_for
from trainer.models.inference import HeardPiece, Transcriber, open_transcriber
from trainer.models.model_files import ModelFiles
from trainer.models.word_knowledge import WordKnowledge


@dataclass(frozen=True)
class Hints:
    """What is said beforehand of a recording. `words` are names and words to listen for, as typed, between commas;
    `phrases` is what a model knows of words; `language` is the ISO 639-1 code of what is spoken, "" where the model
    is to find out. Each kind of model uses what it can."""

    words: str = ""
    phrases: WordKnowledge | None = None
    language: str = ""


NO_HINTS = Hints()


class Recognizer(Protocol):
    """Uses all cores: two at once take longer than one after the other."""

    def pieces(
        self,
        waveform: np.ndarray | Iterable[np.ndarray],
        given_up: Callable[[], bool] = bool,
        hints: Hints = NO_HINTS,
    ) -> Iterator[HeardPiece]:
        """What is heard, as it is heard, of mono float32 at 16 kHz: an array (n,), or blocks of it.

        Raises CancelledError once `given_up` says so; `bool` never does. Raises UserError for hints that are too much.
        """

    def to(self, device: str) -> None:
        """Move the model there."""

    @property
    def bytes(self) -> int:
        """That its weights take in memory."""


@dataclass(frozen=True)
class CTCRecognizer:
    """A CTC model: it listens for words and phrases, and was made for one language."""

    transcriber: Transcriber

    def pieces(
        self,
        waveform: np.ndarray | Iterable[np.ndarray],
        given_up: Callable[[], bool] = bool,
        hints: Hints = NO_HINTS,
    ) -> Iterator[HeardPiece]:
        """As of `Recognizer`."""
        decoder = decoder_for(self.transcriber.checkpoint.vocabulary, hints.phrases, hints.words)
        return self.transcriber.pieces(waveform, given_up, decoder)

    def to(self, device: str) -> None:
        """As of `Recognizer`."""
        model: Any = self.transcriber.checkpoint.model  # its stub knows no strings
        model.to(device)

    @property
    def bytes(self) -> int:
        """As of `Recognizer`."""
        return self.transcriber.checkpoint.bytes


def open_recognizer(files: ModelFiles, quick: bool = False) -> Recognizer:
    """The model in a folder that was looked at as a whole, ready to hear; `quick`: with bf16 instructions, where it is
    a CTC model. Raises UserError."""
    if files.seq2seq:
        from trainer.models.seq2seq import open_seq2seq

        return open_seq2seq(files)
    return CTCRecognizer(open_transcriber(files, quick))
