"""Room for downloaded models: those used least recently make way, those in use never, also between processes.

A model is in use from `Quota.holding` until `release`, until its process ends, or for `HOLD_SECONDS`, whichever is
first: what reads it has it in memory by then. The marks lie in the cache's `.uses`, and are changed under a lock.
"""

import contextlib
import functools
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from trainer.hub.errors import quota_full, too_large

HOLD_SECONDS = 3600.0  # a data set may be downloaded and prepared between a base's fetch and its opening
LOCK_SECONDS = 30.0
_USES = ".uses"


@dataclass(frozen=True)
class Quota:
    """At most `most_bytes` in a cache of huggingface_hub's layout; what it holds of a repo comes and goes as one."""

    cache_dir: Path
    most_bytes: int

    @contextlib.contextmanager
    def holding(self, repo: Path) -> Iterator[None]:
        """Mark a repo's folder as in use by this process, there yet or not; after an error it is no longer.

        Raises OSError.
        """
        with self._lock():
            self._mark(repo).write_text("0")  # bytes that it is about to have
            (self._uses / repo.name).touch()
        try:
            yield
        except BaseException:
            self.drop(repo)
            raise

    def drop(self, repo: Path) -> None:
        """Remove this process's mark of a repo's folder, if it has one."""
        self._mark(repo).unlink(missing_ok=True)

    def make_room(self, repo: Path, name: str, total: int, missing: int) -> None:
        """Delete models until `missing` bytes more of `repo` fit, and keep that room for them.

        Raises UserError where `total`, all that is needed of this one, is more than the quota, or where all the others
        are in use.
        """
        if total > self.most_bytes:
            raise too_large(name, total, self.most_bytes)
        with self._lock():
            taken = {folder: max(_bytes_in(folder), self._promised(folder)) for folder in self._repos() - {repo}}
            needed = _bytes_in(repo) + missing
            if needed > self.most_bytes and not self._held(repo, by_others=True):
                shutil.rmtree(repo, ignore_errors=True)  # its older commits
                needed = total
            for folder in sorted(taken, key=self._last_use):
                if sum(taken.values()) + needed <= self.most_bytes:
                    break
                if not self._held(folder) and self._delete(folder):
                    del taken[folder]
            if sum(taken.values()) + needed > self.most_bytes:
                raise quota_full(name, missing)
            self._mark(repo).write_text(str(needed))

    @property
    def _uses(self) -> Path:
        return self.cache_dir / _USES

    def _lock(self) -> FileLock:
        self._uses.mkdir(parents=True, exist_ok=True)
        return FileLock(self._uses / "lock", timeout=LOCK_SECONDS)

    def _mark(self, repo: Path) -> Path:
        """This process's own, with its start in seconds, which is computed from clocks that get corrected."""
        return self._uses / f"{repo.name}@{os.getpid()}-{_own_start(os.getpid()):.0f}"

    def _marks(self, repo: Path) -> Iterator[Path]:
        """Marks of processes that live; those of others are removed."""
        for mark in self._uses.glob("*@*"):  # a repo's name may hold what glob takes for a pattern
            if mark.name.rpartition("@")[0] != repo.name:
                continue
            pid, _, started = mark.name.rpartition("@")[2].partition("-")
            with contextlib.suppress(FileNotFoundError):
                if abs(_started(int(pid)) - float(started)) < 3.0 and time.time() - mark.stat().st_mtime < HOLD_SECONDS:
                    yield mark
                else:
                    mark.unlink()

    def _held(self, repo: Path, by_others: bool = False) -> bool:
        return any(not by_others or mark != self._mark(repo) for mark in self._marks(repo))

    def _promised(self, repo: Path) -> int:
        """Bytes that a download under way will have."""
        return max((int(mark.read_text() or 0) for mark in self._marks(repo)), default=0)

    def _last_use(self, repo: Path) -> float:
        mark = self._uses / repo.name
        return (mark if mark.exists() else repo).stat().st_mtime if repo.exists() else 0.0

    def _repos(self) -> set[Path]:
        there = set(self.cache_dir.glob("models--*"))
        return there | {self.cache_dir / mark.name.rpartition("@")[0] for mark in self._uses.glob("*@*")}

    def _delete(self, repo: Path) -> bool:
        """Whether it is gone now. Renamed first: nobody sees half of it."""
        trash = self._uses / f"trash-{uuid.uuid4().hex}"
        try:
            repo.rename(trash)
        except FileNotFoundError:
            return True
        except OSError:  # on Windows, while another program reads it
            return False
        shutil.rmtree(trash, ignore_errors=True)
        (self._uses / repo.name).unlink(missing_ok=True)
        return True


def release(snapshot: Path) -> None:
    """A model that `fetch_model` gave is in memory now, or was refused: its files may go. Other folders: nothing."""
    repo = snapshot.parent.parent
    if snapshot.parent.name == "snapshots" and (repo.parent / _USES).is_dir():
        Quota(repo.parent, 0).drop(repo)


# Not by huggingface_hub's `scan_cache_dir` and `delete_revisions`, which were tried. One name of a revision that is not
# UTF-8 ends the whole scan with an error; a repo with a dangling link or name, or whose download has no snapshot yet,
# is skipped; what no snapshot links to counts nothing: each lets the quota be exceeded. Commits are looked for in all
# repos and taken from the first that has one of that name; and files go one by one where they lie, so that somebody who
# opens the model at that moment finds half of it.
def _bytes_in(folder: Path) -> int:
    """Bytes of all its files, unfinished downloads too; links count nothing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # an unfinished download that is finished now
            if not path.is_symlink() and path.is_file():
                total += path.stat().st_size
    return total


@functools.cache
def _own_start(pid: int) -> float:
    """Asked once: a mark must be found again under its name."""
    return _started(pid)


def _started(pid: int) -> float:
    """When a process began, in seconds; 0 where there is none: ids are given again."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0
