"""Drawings that all watchers of a run share: each is made once for its key, however many browsers ask for it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

MOST = 48  # a plot has some 10 kB, a run's clips some 300 kB


class Drawings:
    """The most recently used ones. Safe to use from several threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, draw: Callable[[], Any]) -> Any:
        """What was drawn for this key, or drawn now. Two threads may draw the same once; no harm in that."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = draw()
        with self._lock:
            self._made[key] = made
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        return made
