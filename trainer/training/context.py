"""What one training is about and what is around it, each made once and passed on. Needs no torch."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trainer.speech.locales import Locale
from trainer.training.distributed import Ranks
from trainer.training.recipe import Recipe
from trainer.training.stop_signal import StopSignal

if TYPE_CHECKING:  # who waits for a turn has a context, and should not fill the memory with torch
    from trainer.models.ctc_model import Checkpoint
    from trainer.speech.dataset import SpeechDataset
    from trainer.training.averaging import Averaging
    from trainer.training.device import Device
    from trainer.training.state import Origin

SECONDS_BETWEEN_TELLS = 0.5  # of progress inside a phase


class Tell(Protocol):
    """Where events go: `runs.events.EventLog.append`, and from there to whoever watches."""

    def __call__(self, kind: str, /, **fields: Any) -> object: ...


@dataclass(frozen=True)
class Places:
    """Where a fine-tune writes: the best model, the checkpoints to resume from, the clips shown, and what it heard at
    the end (nowhere for None)."""

    model: Path
    checkpoints: Path
    clips: Path
    tested: Path | None = None


@dataclass(frozen=True)
class Context:
    """Around a training: where it writes, whom it tells, what stops it, and which of how many processes this is."""

    places: Places
    tell: Tell
    stop: StopSignal
    ranks: Ranks = field(default_factory=Ranks)


@dataclass(frozen=True)
class TrainingInputs:
    """All that decides which model comes out: equal inputs on one machine give equal models.

    `checkpoint` is what is trained, in place, and `averaging` what it was before; `origin` are the fingerprints of the
    rest, kept with what is saved.
    """

    recipe: Recipe
    locale: Locale
    dataset: "SpeechDataset"
    checkpoint: "Checkpoint"
    averaging: "Averaging"
    device: "Device"
    origin: "Origin"
    most_bytes: int  # of a model in memory, as the host allows


class PhaseProgress:
    """Tells how far a phase is, but not for every single clip."""

    def __init__(self, tell: Tell, phase: str) -> None:
        self._tell, self._phase, self._last = tell, phase, 0.0

    def __call__(self, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._last > SECONDS_BETWEEN_TELLS:
            self._last = time.monotonic()
            self._tell("phase", phase=self._phase, done=done, total=total)
