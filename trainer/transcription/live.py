"""Words while somebody still talks: what is settled, and what may still change.

Invariant: settled text only grows, and once the recording has ended it is what `Transcriber.pieces` writes down of the
same samples with the same decoder: both cut with one `Cutter` and hear with one `Listener`. Of a recording no more than
some tens of seconds are held, however long it gets.
"""

from typing import TYPE_CHECKING

import numpy as np

from trainer.models.decoding import joined
from trainer.speech.audio import is_silent

if TYPE_CHECKING:
    from trainer.models.inference import Decoder, Transcriber
    from trainer.speech.pauses import Piece
DRAFT_SECONDS = 5.0  # of the pieces that are heard at once and not settled: a long one takes too long to hear each time


class Ear:
    """Hears one recording while it goes on. Used by one thread at a time."""

    def __init__(self, transcriber: "Transcriber", decoder: "Decoder | None" = None) -> None:
        self._transcriber, self._decoder = transcriber, decoder
        self._cutter, self._listener = transcriber.cutter(), transcriber.listener(decoder)
        self._draft = _Draft(transcriber, decoder)
        self.settled, self.unsettled = "", ""

    @property
    def held(self) -> int:
        """How many samples are in memory."""
        return self._cutter.held + self._draft.held

    def hear(self, samples: np.ndarray) -> None:
        """What comes next: mono float32 at 16 kHz, (n,)."""
        grown = self._settle(list(self._cutter.add(samples)))
        if self._listener.holds:  # nobody has paused for long: what is heard already is not settled either
            twin = self._listener.twin()
            heard = [twin.hear(piece).text for piece in self._cutter.pending()]
            self.unsettled = joined(heard)
            return
        if grown:
            self._draft = _Draft(self._transcriber, self._decoder)
            samples = self._cutter.rest()
        self.unsettled = self._draft.hear(samples)

    def finish(self) -> str:
        """All of the text, now that nothing more comes."""
        self._settle(list(self._cutter.end()))
        self.unsettled = ""
        return self.settled

    def _settle(self, pieces: "list[Piece]") -> bool:
        for piece in pieces:
            self.settled = joined([self.settled, self._listener.hear(piece).text])
        return bool(pieces)


class _Draft:
    """What is heard since something was settled, in short pieces, of which each but the last is heard once."""

    def __init__(self, transcriber: "Transcriber", decoder: "Decoder | None") -> None:
        self._cutter, self._listener = transcriber.cutter(DRAFT_SECONDS), transcriber.listener(decoder)
        self._texts: list[str] = []

    @property
    def held(self) -> int:
        """How many samples are in memory."""
        return self._cutter.held

    def hear(self, samples: np.ndarray) -> str:
        """The text up to the end of these samples, which follow those before."""
        self._texts += [self._listener.hear(piece).text for piece in self._cutter.add(samples)]
        twin = self._listener.twin()
        last = [piece for piece in self._cutter.pending() if piece.before or not is_silent(piece.samples)]
        return joined([*self._texts, *(twin.hear(piece).text for piece in last)])
