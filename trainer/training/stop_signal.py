"""One way to stop, however it is asked for: a file in the run's folder, SIGTERM, or Ctrl-C."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

POLL_SECONDS = 0.25


class StopRequested(BaseException):  # a wish, not an error
    """Somebody wants this to end.

    Not an Exception, so that a library that catches those in order to try again does not swallow it.
    """


class StopSignal:
    """Whether to stop. Work that can be cut anywhere runs inside `anywhere()`; the rest calls `check()`."""

    def __init__(self, stop_file: Path | None = None) -> None:
        self.requested = False
        self.urgent = False  # not by a person's file alone: the system, a terminal, or asked for once more
        self.together = False  # several processes train: they agree on the step after which all stop, see `distributed`
        self._anywhere = False
        self._file = stop_file and stop_file.absolute()  # it is looked for from a thread, whatever the folder worked in
        self._before: dict[int, Any] = {}  # who listened to the signals
        self._removed = threading.Event()

    def install(self) -> None:
        """Listen to signals and to the file. To be called from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._on_signal)
        if self._file is not None:
            # Looked for here and not in the thread: the folder may be gone before that one runs for the first time.
            watching = (self._file, self._file.parent.exists())
            threading.Thread(target=self._watch, args=watching, name="stop-file", daemon=True).start()

    def remove(self) -> None:
        """Listen no more: signals go where they went before. To be called from the main thread."""
        self._removed.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises StopRequested once it was asked for."""
        if self.requested and not self.together:
            raise StopRequested

    @contextmanager
    def anywhere(self) -> Iterator[None]:
        """Inside, a request interrupts at once, even a download that waits for the network."""
        self.check()
        self._anywhere = not self.together
        try:
            yield
        finally:
            self._anywhere = False

    @contextmanager
    def later(self) -> Iterator[None]:
        """Inside, also within `anywhere()`, a request waits until this is over: nothing is left half written."""
        before, self._anywhere = self._anywhere, False
        try:
            yield
        finally:
            self._anywhere = before
        if before and self.requested:
            self._anywhere = False
            raise StopRequested

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.urgent = self.requested or self._file is None or not self._file.exists()
        self.requested = True
        if self._anywhere:
            self._anywhere = False  # once: cleaning up after it must not be cut as well
            raise StopRequested

    def _watch(self, file: Path, seen: bool) -> None:
        while not file.exists():
            there = file.parent.exists()  # not at first, maybe: of several processes the first makes the folder
            if self._removed.is_set():
                return
            if seen and not there:
                os._exit(1)  # the run was removed under its trainer: nothing can be told or saved any more
            seen = there
            if self._removed.wait(POLL_SECONDS):
                return
        # To the main thread, so that a system call it waits in returns; Windows has no such thing.
        if hasattr(signal, "pthread_kill"):
            ident = threading.main_thread().ident
            assert ident is not None  # it runs
            signal.pthread_kill(ident, signal.SIGTERM)
        else:
            signal.raise_signal(signal.SIGTERM)
