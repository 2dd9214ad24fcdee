"""One way to stop, however it is asked for: a file in the run's folder, SIGTERM, or Ctrl-C."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

POLL_SECONDS = 0.25


class StopRequested(BaseException):  # a wish, not an error
    """Somebody wants this to end.

    Not an Exception, so that a library that catches those in order to try again does not swallow it.
    """


class StopSignal:
    """Whether to stop. Work that can be cut anywhere runs inside `anywhere()`; the rest calls `check()`."""

    def __init__(self, stop_file: Path | None = None) -> None:
        self.requested = False
        self.together = False  # several processes train: they agree on the step after which all stop, see `ranks`
        self._anywhere = False
        self._file = stop_file

    def install(self) -> None:
        """Listen to signals and to the file. To be called from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if self._file is not None:
            threading.Thread(target=self._watch, args=(self._file,), name="stop-file", daemon=True).start()

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
        self.requested = True
        if self._anywhere:
            self._anywhere = False  # once: cleaning up after it must not be cut as well
            raise StopRequested

    def _watch(self, file: Path) -> None:
        waiting = threading.Event()
        seen = False  # of several processes the first makes the folder
        while not file.exists():
            if seen and not file.parent.exists():
                os._exit(1)  # the run was removed under its trainer: nothing can be told or saved any more
            seen = file.parent.exists()
            waiting.wait(POLL_SECONDS)
        # To the main thread, so that a system call it waits in returns; Windows has no such thing.
        if hasattr(signal, "pthread_kill"):
            ident = threading.main_thread().ident
            assert ident is not None  # it runs
            signal.pthread_kill(ident, signal.SIGTERM)
        else:
            signal.raise_signal(signal.SIGTERM)
