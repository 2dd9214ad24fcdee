"""Watching runs: each run is read once, however many browsers watch it."""

import contextlib
import dataclasses
import threading
import time
from pathlib import Path

from cachetools import LRUCache

from trainer.runs.events import EventReader
from trainer.runs.process import alive, cause_of, exit_awaited, started_as
from trainer.runs.run import Run
from trainer.runs.view import RunView, fold
from trainer.training.checkpoints import recover_model

SECONDS_TO_APPEAR = 60.0  # a trainer names itself in its first event; a slow disk may take long to start Python
SECONDS_BETWEEN_LOOKS = 1.0  # at the process


class Follower:
    """One run's view, kept up to date by reading only what is new."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._reader = EventReader(run.events)
        self._view = RunView()
        self._lock = threading.Lock()
        self._looked, self._since = 0.0, time.time()
        with contextlib.suppress(OSError):
            self._since = (run.folder / "config.json").stat().st_mtime

    def view(self) -> RunView:
        """The view now. The copy's lists are shared and only ever grow."""
        with self._lock:
            self._take_in()
            if not self._view.over:
                self._look_at_process()
            view = dataclasses.replace(self._view)
        if view.unreadable:
            view.notes = [*view.notes, unreadable_note(view.unreadable)]
        if view.state in ("waiting", "running") and self._run.stop_file.exists():
            view.state = "stopping"
        return view

    def _take_in(self) -> None:
        """Fold in what is new. The reader moves on behind what was folded in, so that nothing is passed over."""
        for event in self._reader.events():
            fold(self._view, [event])
        self._view.unreadable = self._reader.unreadable

    def _look_at_process(self) -> None:
        now = time.monotonic()
        if now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        if self._lives() or exit_awaited(self._run):
            return
        self._take_in()  # it may have written its end in between
        if not self._view.over:
            self._view.state, self._view.ended = "interrupted", self._view.last_event
            self._view.what, self._view.todo = cause_of(self._run)
            recover_model(self._run.model)

    def _lives(self) -> bool:
        if self._view.pid is not None and alive(self._view.pid, self._view.pid_started):
            return True
        started = started_as(self._run)
        if started is not None:
            return alive(started["pid"], started["pid_started"])
        asked = max(self._since, self._view.asked or 0.0)
        return self._view.pid is None and time.time() - asked < SECONDS_TO_APPEAR


def unreadable_note(lines: int) -> str:
    """What a person is told of lines that were set aside."""
    if lines == 1:
        return "One line of this run's diary cannot be read: its disk may be damaged. The rest is shown."
    return f"{lines} lines of this run's diary cannot be read: its disk may be damaged. The rest is shown."


MOST_FOLLOWED = 1000  # runs, the last looked at; another one's events are read again
_followers: LRUCache[Path, Follower] = LRUCache(MOST_FOLLOWED)
_followers_lock = threading.Lock()


def view_of(run: Run) -> RunView:
    """The view of this run, from the one follower that all watchers share."""
    with _followers_lock:
        follower = _followers.setdefault(run.folder, Follower(run))
    return follower.view()


def forget(run: Run) -> None:
    """Drop what is kept of a run, e.g. because its folder was deleted."""
    with _followers_lock:
        _followers.pop(run.folder, None)
