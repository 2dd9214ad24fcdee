"""The events of a run: a file of one JSON object a line, only ever appended to.

Each line is one write() to a file opened for appending, so that readers see whole lines or, after a crash, one
torn last line, which every reader skips. Nothing is ever taken back: an attempt that goes on from an earlier step says
so with `resumed`, and what was told of later steps before no longer counts (`runs.view`). What a line may hold stands
in `runs.schema`; a line that does not fit is set aside and counted, and the rest is read.
"""

import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from trainer.errors import is_disk_full
from trainer.runs.schema import ENDS, LONGEST_LINE, Event, parse

__all__ = ["ENDS", "Event", "EventLog", "EventReader", "last_told"]
log = logging.getLogger("voicetune.runs")


class EventReader:
    """Reads what was appended since it was last asked. `unreadable` counts the lines that were set aside.

    A torn line, which a crash leaves, is not counted: whoever goes on says from where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.unreadable = 0

    def read_new(self) -> list[Event]:
        """The events written since the last call; [] for a file that does not exist yet."""
        return list(self.events())

    def events(self) -> Iterator[Event]:
        """The same one by one. `offset` stands behind an event only once the next one is asked for."""
        try:
            if self.path.stat().st_size <= self.offset:
                return
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self.offset)
            while (line := _whole_line(file)) is not None:
                if event := parse(line):
                    yield event
                elif line.rstrip().endswith(b"}") or len(line) > LONGEST_LINE:
                    self._set_aside()
                self.offset = file.tell()

    def _set_aside(self) -> None:
        self.unreadable += 1
        if self.unreadable == 1:
            log.warning("%s: the line at byte %d is no event; others like it are counted", self.path, self.offset)


def _whole_line(file: IO[bytes]) -> bytes | None:
    """The next line, its first LONGEST_LINE + 1 bytes at most; None where it is still being written."""
    line = piece = file.readline(LONGEST_LINE + 1)
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(LONGEST_LINE + 1)
    return line if piece else None


class EventLog:
    """Appends events, numbering them on from what the file holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        events = EventReader(path).read_new()
        self._next = max((event["seq"] for event in events), default=-1) + 1
        self.attempt = sum(event["event"] == "started" for event in events) + 1
        self._unwritten = b""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if not _ends_with_a_line(path):
            self._write(b"\n")

    def append(self, kind: str, /, **fields: Any) -> Event:
        """Write one event and return it. Numbers that JSON lacks (NaN, infinity) are written as null.

        What a full disk does not take is written with the next event that it does: a training is not lost for it.
        """
        event = {
            "seq": self._next,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "attempt": self.attempt,
            "event": kind,
            **_finite(fields),
        }
        line = json.dumps(event, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        self._next += 1
        self._write(line)
        return event

    @property
    def behind(self) -> bool:
        """Whether the disk is too full for what was told."""
        return bool(self._unwritten)

    def close(self) -> None:
        """Write what is left where there is room now, and close the file."""
        self._write(b"")
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        self._unwritten += data
        try:
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
        except OSError as error:
            if not is_disk_full(error):
                raise


def last_told(path: Path) -> str:
    """The kind of the newest event; "" where there is none. What became of checkpoints after an end does not count."""
    kinds = [event["event"] for event in EventReader(path).read_new() if event["event"] != "checkpoints_dropped"]
    return kinds[-1] if kinds else ""


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
