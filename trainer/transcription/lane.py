"""The line in which recordings wait to be written down: one at a time uses all cores already.

Fair: everybody's first recording comes before anybody's second.
"""

import threading
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from trainer.errors import UserError


@dataclass(frozen=True, eq=False)
class Spot:
    """One recording in line."""

    visitor: Hashable


class Lane:
    """Who waits, in the order of arrival, and whose turn it is. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: Spot | None = None
        self._spots: list[Spot] = []

    def join(self, visitor: Hashable, most: int) -> Spot:
        """Stand in line. Raises UserError where `most` wait already."""
        with self._lock:
            waiting = len(self._spots) - (self._served is not None)
            if waiting >= most:
                raise UserError(
                    f"Many people are talking right now: {waiting} recordings wait already.", "Try again in a minute."
                )
            spot = Spot(visitor)
            self._spots.append(spot)
            return spot

    def place(self, spot: Spot) -> int:
        """0: it is this one's turn, until it leaves; 1: the next."""
        with self._lock:
            order = self._order()
            if self._served is None and order[0] is spot:
                self._served = spot
            if self._served is spot:
                return 0
            return order.index(spot) + (self._served is None)

    def leave(self, spot: Spot) -> None:
        """Done, or given up."""
        with self._lock:
            self._spots.remove(spot)
            if self._served is spot:
                self._served = None

    def _order(self) -> list[Spot]:
        """The one that is served, then all firsts, all seconds and so on, each by arrival."""
        rounds: Counter[Hashable] = Counter()
        ranked = []
        for arrival, spot in enumerate(self._spots):
            ranked.append((spot is not self._served, rounds[spot.visitor], arrival, spot))
            rounds[spot.visitor] += 1
        return [spot for *_, spot in sorted(ranked, key=lambda row: row[:3])]
