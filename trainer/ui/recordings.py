"""The recordings that visitors have sent: how long each stays, and whose it is.

Invariant: a recording stays while it is being written down, and the last one of an open page for as long as
`how_long_kept` says; everything else is deleted within a minute.
"""

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gradio.utils import get_upload_folder

from trainer.formatting import duration
from trainer.settings import Settings
from trainer.transcription.transcribe import Transcript
from trainer.ui.visitors import OpenPage

SECONDS_UNTIL_GONE = 5.0  # after a recording's result, where it is not the page's last one
SECONDS_UNUSED = 40.0  # of an upload that nobody asks to write down: cancelled, broken off, or never meant for it
SECONDS_UNFETCHED = 600.0  # of a download
DOWNLOAD = "download-"  # how the folders of downloads begin; those of uploads are named by a hash alone
SECONDS_BETWEEN_SWEEPS = 1.0
SECONDS_KEPT_ON_SPACE = 600.0  # a page's last recording, after it was heard last; a laptop's stays with its page
SECONDS_WITHOUT_PAGE = 59.0  # the same once its page is closed: a connection may break for a moment
MOST_KEPT_OF_VISITOR = 4  # pages; the oldest makes way
MOST_KEPT_FILES = 10  # times the largest file, of all visitors together, likewise


def how_long_kept(on_space: bool) -> str:
    """A sentence or two for who talks: what becomes of a recording, and when at the latest."""
    closed, cancelled = (seconds + SECONDS_BETWEEN_SWEEPS for seconds in (SECONDS_WITHOUT_PAGE, SECONDS_UNUSED))
    if on_space:
        kept = f"for {duration(SECONDS_KEPT_ON_SPACE)} after it was heard last, while this page is open"
    else:
        kept = f"while this page is open, and for {duration(closed)} after that"
    return (
        f"Your last recording is kept {kept}, to play it and to try other models. Nobody else can. One that you "
        f"cancel is deleted within {duration(cancelled)}."
    )


@dataclass
class Kept:
    """A page's last recording. Times by the monotonic clock."""

    path: str  # a real one
    size: int
    used: float  # when it was heard last
    seen: float  # when its page was open last
    transcript: Transcript | None = None  # what was made of it last


class Recordings:
    """The files in the folder, which of them are being written down, and which are a page's last one."""

    def __init__(self, folder: Path | None = None, settings: Settings | None = None) -> None:
        self._folder = Path(os.path.realpath(folder or get_upload_folder()))
        self._on_space = settings is not None and settings.on_space
        self._most_bytes = MOST_KEPT_FILES * (settings or Settings).max_audio_bytes
        self._lock = threading.Lock()
        self._uses: Counter[str] = Counter()  # by real path
        self._kept: dict[OpenPage, Kept] = {}  # the last used at the end
        self.page_open: Callable[[str], bool] = lambda session: True  # set by who knows: the guard

    @contextmanager
    def held(self, path: str) -> Iterator[None]:
        """Keep a recording while inside; seconds after its last use it is due.

        Not at once: Gradio names an upload by its content, so that a second visitor's copy of the same file is the same
        file, which may have arrived just now.
        """
        real = os.path.realpath(path)
        with self._lock:
            self._uses[real] += 1
        try:
            yield
        finally:
            gone = time.time() - SECONDS_UNUSED + SECONDS_UNTIL_GONE
            with self._lock:
                self._release(real)
                with suppress(OSError):  # it is gone, or was never there
                    os.utime(real, (gone, gone))

    def has(self, path: str) -> bool:
        """Whether it is a file that somebody sent, and nothing else of this computer."""
        try:
            inside = Path(os.path.realpath(path)).relative_to(self._folder)
            return not inside.parts[0].startswith(DOWNLOAD) and Path(path).is_file()
        except (ValueError, IndexError, OSError):  # elsewhere, the folder itself, no path at all
            return False

    def write(self, data: bytes) -> str:
        """Put a sound that came by itself beside those that were sent, and give its path."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        (folder / "sound").write_bytes(data)
        return str(folder / "sound")

    def keep(self, page: OpenPage, path: str) -> None:
        """This is the page's last recording now; the one before it goes. Nothing outside the folder is kept."""
        real = os.path.realpath(path)
        now = time.monotonic()
        with self._lock:
            if not Path(real).is_relative_to(self._folder):
                return
            before = self._kept.pop(page, None)
            try:
                self._kept[page] = Kept(real, Path(real).stat().st_size, now, now)
            except OSError:  # it is gone already
                pass
            else:
                self._uses[real] += 1
            if before is not None:
                self._let_go(before)
            self._make_room(page.owner)

    def last_of(self, page: OpenPage) -> str | None:
        """Where the page's last recording lies; None where it has none, or none any more. Its time begins anew."""
        with self._lock:
            kept = self._kept.pop(page, None)
            if kept is None:
                return None
            self._kept[page] = kept
            kept.used = kept.seen = time.monotonic()
            return kept.path

    def wrote_down(self, page: OpenPage, transcript: Transcript) -> None:
        """What was made of the page's last recording; it goes with that one."""
        with self._lock:
            if (kept := self._kept.get(page)) is not None:
                kept.transcript = transcript

    def transcript_of(self, page: OpenPage) -> Transcript | None:
        """What was made of the page's last recording, where both are still here."""
        with self._lock:
            kept = self._kept.get(page)
            return kept.transcript if kept else None

    def forget(self, page: OpenPage) -> None:
        """Delete the page's last recording now."""
        with self._lock:
            if (kept := self._kept.pop(page, None)) is not None:
                self._let_go(kept)

    def sweep(self) -> None:
        """Delete what has lain here for too long and is not being written down, and the folders that it leaves empty.

        Those of a download stay for as long as its file: it is made in one, and that may take a minute.
        """
        self._forget_overdue()
        now = time.time()
        for path in sorted(self._folder.rglob("*"), reverse=True):  # what is in a folder comes before it
            download = path.relative_to(self._folder).parts[0].startswith(DOWNLOAD)
            try:
                due = path.stat().st_mtime < now - (SECONDS_UNFETCHED if download else SECONDS_UNUSED)
                if path.is_dir():
                    if due or not download:
                        path.rmdir()
                elif due:
                    self._remove(path)
            except OSError:  # gone meanwhile, or a folder that is in use
                continue

    def _remove(self, path: Path) -> None:
        with self._lock:
            if os.path.realpath(path) not in self._uses:
                path.unlink()

    def _forget_overdue(self) -> None:
        now = time.monotonic()
        with self._lock:
            for page, kept in list(self._kept.items()):
                if self._uses[kept.path] > 1:  # it is being heard
                    kept.used = now
                if self.page_open(page.session):
                    kept.seen = now
                old = self._on_space and now - kept.used > SECONDS_KEPT_ON_SPACE
                if old or now - max(kept.seen, kept.used) > SECONDS_WITHOUT_PAGE:
                    self._let_go(self._kept.pop(page))

    def _make_room(self, owner: str) -> None:
        theirs = [page for page in self._kept if page.owner == owner]
        for page in theirs[:-MOST_KEPT_OF_VISITOR]:
            self._let_go(self._kept.pop(page))
        while len(self._kept) > 1 and sum(kept.size for kept in self._kept.values()) > self._most_bytes:
            self._let_go(self._kept.pop(next(iter(self._kept))))

    def _let_go(self, kept: Kept) -> None:
        """Delete the file, unless somebody else uses it or a copy has come just now: then it goes with that one."""
        self._release(kept.path)
        file = Path(kept.path)
        with suppress(OSError):
            if not self._uses[kept.path] and time.time() - file.stat().st_mtime > SECONDS_UNTIL_GONE:
                file.unlink()

    def _release(self, real: str) -> None:
        self._uses[real] -= 1
        if self._uses[real] <= 0:
            del self._uses[real]
