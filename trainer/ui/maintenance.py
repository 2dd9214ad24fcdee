"""Where Gradio keeps what visitors upload: a private folder of this process alone.

Gradio's own default is shared by all Gradio apps of a machine and survives them, kill -9 and restarts included. Also
how much a minute may be written to the log, which may lie on the same disk.
"""

import io
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from trainer.runs.lifecycle import adopt
from trainer.runs.process import alive, own_identity
from trainer.runs.storage import sweep, sweep_clips
from trainer.settings import Settings
from trainer.ui.recordings import SECONDS_BETWEEN_SWEEPS, Recordings

_PREFIX = "voicetune-uploads-"


def own_upload_folder() -> Path:
    """Make this process's folder, sweep away those of processes that are gone, and tell Gradio.

    Its name holds the process's pid and start time, and cannot be guessed: nobody can be there before.
    """
    above = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    above.mkdir(parents=True, exist_ok=True)
    for folder in above.glob(f"{_PREFIX}*"):
        if not _in_use(folder.name.removeprefix(_PREFIX)):
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays
    me = own_identity()
    own = tempfile.mkdtemp(prefix=f"{_PREFIX}{me['pid']}-{me['pid_started']:.2f}-", dir=above)  # mode 0700
    os.environ["GRADIO_TEMP_DIR"] = own
    return Path(own)


def _in_use(name: str) -> bool:
    pid, _, rest = name.partition("-")
    try:
        return alive(int(pid), float(rest.partition("-")[0]))
    except ValueError:
        return False


log = logging.getLogger("voicetune.caretaker")
SECONDS_BETWEEN_ROUNDS = 15.0


def start_caretaker(settings: Settings, recordings: Recordings) -> None:
    """The first round now, the others in threads of their own until the process ends: one waits for no other's work."""
    works: tuple[tuple[Callable[[], None], float], ...] = (
        (partial(_round, settings), SECONDS_BETWEEN_ROUNDS),
        (recordings.sweep, SECONDS_BETWEEN_SWEEPS),
    )
    for work, seconds in works:
        _do(work)
        threading.Thread(target=_again, args=(work, seconds), name="caretaker", daemon=True).start()


def _again(work: Callable[[], None], seconds: float) -> None:
    pause = threading.Event()
    while True:
        pause.wait(seconds)
        _do(work)


def _round(settings: Settings) -> None:
    sweep(settings.runs_dir)
    sweep_clips(settings)
    adopt(settings)


def _do(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:  # e.g. a full disk; the page still works, and the next round may
        log.exception("A round of the caretaker failed")


LOG_BYTES_A_MINUTE = 500_000  # a hundred tracebacks; each refused connection can write one


class LimitedLog(io.TextIOBase):
    """A stream in front of the log that leaves out what is too much of one minute, and says how much that was."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock, self._lock = stream, clock, threading.Lock()
        self._since, self._written, self._left_out = clock(), 0, 0

    def write(self, text: str) -> int:
        """As a text stream does it; what is left out counts as written."""
        with self._lock:
            if self._clock() - self._since >= 60:
                if self._left_out:
                    self._stream.write(f"\n[{self._left_out} characters more in that minute are left out]\n")
                self._since, self._written, self._left_out = self._clock(), 0, 0
            self._written += len(text)
            if self._written > LOG_BYTES_A_MINUTE:
                self._left_out += len(text)
            else:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what was let through."""
        self._stream.flush()

    def fileno(self) -> int:
        """For child processes, which write past this limit."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether a person reads along."""
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's own."""
        return self._stream.encoding


def limit_log() -> None:
    """From here on: everything that this process says, Gradio's and its server's errors included, and what libraries
    in C say by themselves: of some damaged MP3 files libmpg123 writes 30 MB a second."""
    sys.stdout, sys.stderr = LimitedLog(sys.stdout), LimitedLog(_past_libraries(sys.stderr))


def _past_libraries(stream: TextIO) -> TextIO:
    """A stream to where `stream` leads. What is written to its descriptor in another way than by it is limited."""
    try:
        descriptor = stream.fileno()
        real = os.fdopen(os.dup(descriptor), "w", buffering=1, encoding=stream.encoding, errors="backslashreplace")
    except (OSError, ValueError):  # nobody reads along
        return stream
    reading, writing = os.pipe()
    os.dup2(writing, descriptor)
    os.close(writing)
    limited = LimitedLog(real)

    def pour() -> None:
        while said := os.read(reading, 2**16):
            with suppress(OSError):  # the disk is full, or nobody reads along any more
                limited.write(said.decode("utf-8", "replace"))

    threading.Thread(target=pour, name="log-of-libraries", daemon=True).start()
    return real
