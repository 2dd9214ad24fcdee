"""How often a training is saved: seldom enough to cost little, often enough to lose little."""

import time
from collections.abc import Callable

MOST_LOST = 300.0  # seconds of training that a crash may cost
SHARE = 0.04  # of the time that goes into saving, where MOST_LOST allows it
LEAST_BETWEEN = 15.0  # seconds: saves that are cheaper than this asks for gain nobody anything


class SavePace:
    """Says when the next save is due. To be asked once between any two steps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = self._asked = clock()
        self._cost = 0.0  # seconds that the last save took
        self._longest = 0.0  # seconds between two questions: a step, perhaps with a check of the model

    def due(self) -> bool:
        """Whether to save now."""
        now = self._clock()
        self._longest, self._asked = max(self._longest, now - self._asked), now
        waited = now - self._since
        wanted = max(LEAST_BETWEEN, self._cost / SHARE)
        # Twice the cost: a crash near the end of the next save loses what went by since the beginning of the last one.
        return waited >= min(wanted, MOST_LOST - self._longest - 2 * self._cost)

    def saved(self, seconds: float) -> None:
        """A save has just ended, and took so long; also one that failed."""
        self._cost = seconds
        self._since = self._asked = self._clock()
