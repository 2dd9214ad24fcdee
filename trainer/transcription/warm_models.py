"""Models that stay in memory once they were opened, so that the next words come fast, within a bound on bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

ModelT = TypeVar("ModelT")
MakeRoom = Callable[[int], None]


class WarmModels(Generic[ModelT]):
    """By folder; those used least recently make way. The newest stays, however large it is. Safe to use from several
    threads: who asks for a model that another thread is opening waits for it, and nobody else does.

    `most_bytes` says how much all of them may take together; it is asked whenever one is opened.
    """

    def __init__(self, most_bytes: Callable[[], int]) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[Path, tuple[Hashable, int, ModelT]] = OrderedDict()  # version, bytes, model
        self._opening: set[Path] = set()
        self._changed = threading.Condition()

    def get(self, folder: Path, version: Hashable, open_model: Callable[[MakeRoom], tuple[ModelT, int]]) -> ModelT:
        """The model in a folder, opened where it is not held, or in another version.

        `open_model` gives the model and its bytes; before it takes any memory it calls what it is given with how much
        it will take at most. Raises what it raises.
        """
        with self._changed:
            self._changed.wait_for(lambda: folder not in self._opening)
            if folder in self._held and self._held[folder][0] == version:
                self._held.move_to_end(folder)
                return self._held[folder][2]
            self._held.pop(folder, None)
            self._opening.add(folder)
        try:
            model, size = open_model(self._make_room)
            with self._changed:
                self._held[folder] = (version, size, model)
        finally:
            with self._changed:
                self._opening.discard(folder)
                self._changed.notify_all()
        return model

    def folders(self) -> list[Path]:
        """Of the models in memory, the least recently used first."""
        with self._changed:
            return list(self._held)

    def _make_room(self, wanted: int) -> None:
        with self._changed:
            left = self._most_bytes() - wanted
            while self._held and sum(size for _, size, _ in self._held.values()) > left:
                self._held.popitem(last=False)
