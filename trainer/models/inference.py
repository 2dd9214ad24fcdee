"""A loaded model that writes down sound of any length, piece by piece."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from trainer.models.beam_search import BeamDecoder
from trainer.models.confidence import SPELT, WITH_PHRASES, Calibration, read_calibration
from trainer.models.ctc_model import Checkpoint, open_checkpoint
from trainer.models.decoding import AlignedToken, Word, greedy, is_space, joined, text_of, words_of
from trainer.models.model_files import ModelFiles, read_notes
from trainer.speech.audio import SAMPLE_RATE
from trainer.speech.pauses import Cutter, Piece, cut

CLIP_SECONDS = "clip_seconds"  # in a model's notes: nine of ten clips that it learnt from are no longer
# A model hears well what is as long as its training clips were, and long pieces badly. The practice model, taught with
# clips of 3 s, gets of joined test clips 56.2 % of the words wrong in windows of 34 s, 52.5 % in pieces of at most 30 s
# cut at pauses, 42.0 % of 8 s, 32.7 % of 5 s, and 29.3 % clip by clip; a German one 49.7, 50.0, 43.2, 33.9 and 29.5 %
# (tests/benchmarks/long_recordings.py). Below 5 s too few pieces end at a pause, and none of these gets better.
SHORTEST_PIECE, LONGEST_PIECE = 5.0, 34.0  # seconds; attention's memory grows with the square
USUAL_PIECE = 15.0  # seconds; of models from elsewhere, which mostly learnt from clips of up to 15 to 30 s
# Where nobody pauses, what was heard in overlapping pieces is written down once it is so long, up to the last space.
HELD_SECONDS = 20.0
Decoder = Callable[[np.ndarray], list[AlignedToken]]  # of logits, (frames, labels) float32


@dataclass(frozen=True)
class Hearing:
    """The text and its words; times in seconds from the start of the sound.

    `spelt` is the text by the best label of each frame alone, from which a decoder's may differ.
    """

    text: str
    words: tuple[Word, ...]
    spelt: str = ""


@dataclass(frozen=True)
class HeardPiece:
    """What hearing one more piece has added: text and words, which are settled, both empty where they are not yet.

    `spelt` as of `Hearing`. `done` pieces of `total` are heard; None where the sound comes in blocks, and nobody
    knows. `seconds`: of the recording, how far it is heard.
    """

    text: str
    words: tuple[Word, ...]
    spelt: str
    done: int
    total: int | None
    seconds: float


class Transcriber:
    """Writes down what a checkpoint hears. `piece_seconds`: how much of a long recording it hears at once, at most.

    `notes` of the model say how far its confidence can be trusted: `models.confidence`.
    """

    def __init__(
        self, checkpoint: Checkpoint, piece_seconds: float = USUAL_PIECE, notes: Mapping[str, Any] | None = None
    ) -> None:
        self._checkpoint = checkpoint
        self._calibrated = {name: read_calibration(notes or {}, name) for name in (SPELT, WITH_PHRASES)}
        self._most = int(min(max(piece_seconds, SHORTEST_PIECE), LONGEST_PIECE) * SAMPLE_RATE)
        if checkpoint.longest:
            self._most = min(self._most, checkpoint.longest)

    @property
    def checkpoint(self) -> Checkpoint:
        """What it hears with."""
        return self._checkpoint

    def __call__(
        self,
        waveform: np.ndarray | Iterable[np.ndarray],
        given_up: Callable[[], bool] = bool,
        decoder: Decoder | None = None,
    ) -> Hearing:
        """All of it at once; arguments and errors as of `pieces`."""
        return hearing_of(self.pieces(waveform, given_up, decoder))

    def pieces(
        self,
        waveform: np.ndarray | Iterable[np.ndarray],
        given_up: Callable[[], bool] = bool,
        decoder: Decoder | None = None,
    ) -> Iterator[HeardPiece]:
        """What is heard, as it is heard.

        `waveform` is mono float32 at 16 kHz: an array (n,), or blocks of it, of which only what is needed is held.
        `decoder` is None for the best label of each frame. Raises CancelledError once `given_up` says so, which is
        asked before each piece; `bool` never does.
        """
        found: Iterable[Piece] = cut(waveform, self._most, self._checkpoint.stride)
        if isinstance(waveform, np.ndarray):
            found = list(found)  # views
        total = len(found) if isinstance(found, list) else None
        listener = self.listener(decoder)
        for piece in found:
            if given_up():
                raise CancelledError
            yield replace(listener.hear(piece), total=total)

    def cutter(self, seconds: float = LONGEST_PIECE) -> Cutter:
        """What cuts a recording that still goes on as `pieces` will cut it, or into pieces of so many seconds at most
        where that is less."""
        return Cutter(min(self._most, int(seconds * SAMPLE_RATE)), self._checkpoint.stride)

    def listener(self, decoder: Decoder | None = None) -> "Listener":
        """What hears the pieces of one recording; `decoder` as of `pieces`."""
        return Listener(self._checkpoint, decoder, self._calibration(decoder))

    def _calibration(self, decoder: Decoder | None) -> Calibration | None:
        if decoder is None:
            return self._calibrated[SPELT]
        return self._calibrated[WITH_PHRASES] if isinstance(decoder, BeamDecoder) and decoder.taught else None


class Listener:
    """Hears the pieces of one recording in order."""

    def __init__(self, checkpoint: Checkpoint, decoder: Decoder | None, calibrated: Calibration | None = None) -> None:
        self._checkpoint, self._decoder, self._calibrated = checkpoint, decoder, calibrated
        self._stretch = _Stretch(checkpoint)
        self._done = 0

    def hear(self, piece: Piece) -> HeardPiece:
        """What the next piece adds. `total` is None."""
        stride, vocabulary = self._checkpoint.stride, self._checkpoint.vocabulary
        self._stretch.add(piece, logits_of(self._checkpoint, piece.samples).numpy())
        logits, start = self._stretch.settled(ended=not piece.after)
        tokens = greedy(logits, vocabulary)
        text = spelt = text_of(tokens, vocabulary)
        if self._decoder:
            tokens = self._decoder(logits)
            text = text_of(tokens, vocabulary)
        words = words_of(tokens, vocabulary, stride / SAMPLE_RATE, start / SAMPLE_RATE)
        if self._calibrated:
            words = [replace(word, confidence=round(self._calibrated(word.confidence), 4)) for word in words]
        self._done += 1
        return HeardPiece(text, tuple(words), spelt, self._done, None, piece.end / SAMPLE_RATE)

    @property
    def holds(self) -> bool:
        """Whether it has heard something that is not settled, since the last piece ended in no pause."""
        return self._stretch.size > 0

    def twin(self) -> "Listener":
        """Another one, which has heard the same and hears on by itself."""
        twin = copy.copy(self)
        twin._stretch = copy.copy(self._stretch)  # whose arrays are replaced and never written to
        return twin


def hearing_of(pieces: Iterable[HeardPiece]) -> Hearing:
    """All pieces of a recording as one."""
    heard = list(pieces)
    text, spelt = joined([piece.text for piece in heard]), joined([piece.spelt for piece in heard])
    return Hearing(text, tuple(word for piece in heard for word in piece.words), spelt)


class _Stretch:
    """Logits of pieces that overlap, stitched: of each overlap the first half is taken from the earlier piece and the
    second from the later one, so that every frame kept has heard some sound around it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._stride, self._blank = checkpoint.stride, checkpoint.vocabulary.blank
        letters = checkpoint.vocabulary.letters
        self._spaces = [number for number, token in letters.items() if is_space(token, checkpoint.vocabulary)]
        self._start = 0  # the sample at which the first frame held begins
        self._held = np.zeros((0, 0), np.float32)

    def add(self, piece: Piece, logits: np.ndarray) -> None:
        """`logits` (frames, labels) of the next piece."""
        before, after = piece.before // 2 // self._stride, piece.after // 2 // self._stride  # frames
        end = (len(piece.samples) - piece.after) // self._stride + after if piece.after else len(logits)
        part = logits[before:end]
        if len(self._held):
            self._held = np.concatenate([self._held, part])
        else:
            self._start, self._held = piece.start + before * self._stride, part

    @property
    def size(self) -> int:
        """How many frames are not settled."""
        return len(self._held)

    def settled(self, ended: bool) -> tuple[np.ndarray, int]:
        """The logits of what no later piece can change, and the sample at which the first of their frames begins.

        `ended`: the stretch ends in a pause, so that all of it is settled.
        """
        held, start = self._held, self._start
        size = len(held)
        if not ended:
            size = self._cut(held) if size * self._stride >= HELD_SECONDS * SAMPLE_RATE else 0
        self._held = held[size:].copy()  # without the copy, what is settled would stay in memory
        self._start += size * self._stride
        return held[:size], start

    def _cut(self, logits: np.ndarray) -> int:
        """Frames up to the last one between two words; where there is none, between two labels."""
        best = logits.argmax(-1)
        for between in (np.isin(best, self._spaces), best == self._blank):
            if len(found := np.flatnonzero(between)):
                return int(found[-1]) + 1
        return len(best)


def open_transcriber(files: ModelFiles, quick: bool = False) -> Transcriber:
    """The model in a folder, ready to listen to pieces as long as its notes say; `quick`: with bf16 instructions.

    Raises UserError.
    """
    checkpoint = open_checkpoint(files)
    if quick:
        checkpoint = checkpoint.quickened()
    notes = read_notes(files.notes_folder)
    return Transcriber(checkpoint, piece_seconds_of(notes), notes)


def piece_seconds_of(notes: dict[str, Any]) -> float:
    """How much a model hears at once, as its notes say; `USUAL_PIECE` where they say nothing that makes sense."""
    seconds = notes.get(CLIP_SECONDS)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not math.isfinite(seconds) or seconds <= 0:
        return USUAL_PIECE
    return float(seconds)


def clip_seconds(lengths: Iterable[float]) -> float:
    """What to note of a model that learnt from clips of these lengths, in seconds: their 90th percentile."""
    return round(float(np.percentile(list(lengths), 90)), 2)


def logits_of(checkpoint: Checkpoint, waveform: np.ndarray) -> torch.Tensor:
    """Logits of one clip, (frames, labels), float32, on the CPU. `waveform` is mono float32 at 16 kHz.

    Frames that are only padding are cut off: some extractors round up.
    """
    waveform = checkpoint.fit(waveform)
    inputs = checkpoint.extractor(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
    with torch.inference_mode(), checkpoint.arithmetic():
        logits = checkpoint.model(**inputs.to(checkpoint.model.device)).logits[0]
    return logits[: checkpoint.frames(len(waveform))].float().cpu()


def greedy_tokens(checkpoint: Checkpoint, logits: torch.Tensor) -> list[AlignedToken]:
    """The best label of each frame, collapsed. `logits` has shape (frames, labels)."""
    return greedy(logits.numpy(), checkpoint.vocabulary)
