"""A long recording is heard in turns: its words come as they are heard, and whoever comes meanwhile waits for a turn of
it and not for all of it.

Invariant: a recording is heard by one thread at a time, though by another one each turn.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE
from trainer.transcription.transcribe import Listening, Transcript, hear_pieces, transcript_of

if TYPE_CHECKING:
    import numpy as np

    from trainer.models.inference import HeardPiece
SECONDS_A_TURN = 10.0  # of work, and the piece that is being heard then, while others wait


@dataclass(frozen=True)
class Progress:
    """How far a recording is heard: `transcript` so far, up to `seconds` of it. `left`: seconds of work, an estimate;
    None while nothing is known of how fast it goes."""

    transcript: Transcript
    seconds: float
    left: float | None


class InTurns:
    """Mono float32 at 16 kHz, (n,), that is heard with the model in a folder, which is called `name`."""

    def __init__(
        self, samples: "np.ndarray", folder: Path, settings: Settings, name: str, listening: Listening
    ) -> None:
        self._seconds, self._name = len(samples) / SAMPLE_RATE, name
        self._left = threading.Event()
        self._pieces: Iterator[HeardPiece] = hear_pieces(
            samples, folder, settings, lambda: self._left.is_set(), listening
        )
        self._heard: list[HeardPiece] = []
        self._worked = 0.0  # seconds, over all turns
        self._first = (0.0, 0.0)  # the seconds of work and of sound after the first piece: the model was opened in it

    @property
    def begun(self) -> bool:
        """Whether some of it is heard."""
        return bool(self._heard)

    def turn(self, left: threading.Event, others_wait: Callable[[], bool], tell: Callable[[Progress], None]) -> bool:
        """Hear on: to the end, or for a while where others wait. Whether all is heard; `tell` is called before that,
        after each piece. Raises as `hear_pieces` does, once `left` is set too."""
        self._left = left
        began = last = time.perf_counter()
        for piece in self._pieces:
            now = time.perf_counter()
            self._worked, last = self._worked + now - last, now
            self._heard.append(piece)
            if len(self._heard) == 1:
                self._first = (self._worked, piece.seconds)
            if piece.done != piece.total:
                tell(self.progress(piece.seconds))
                if now - began > SECONDS_A_TURN and others_wait():
                    return False
        return True

    def progress(self, seconds: float) -> Progress:
        """Up to so many seconds of the sound."""
        worked, heard = self._worked - self._first[0], seconds - self._first[1]
        left = worked / heard * max(0.0, self._seconds - seconds) if heard > 0 else None
        return Progress(self.transcript(), seconds, left)

    def transcript(self) -> Transcript:
        """All that is heard so far."""
        return transcript_of(self._heard, self._seconds, self._worked, self._name)
