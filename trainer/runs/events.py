"""The events of a run: a file of one JSON object a line, only ever appended to.

Each line is one write() to a file opened for appending, so that readers see whole lines or, after a crash, one
torn last line, which every reader skips. Nothing is ever taken back: an attempt that goes on from an earlier step says
so with `resumed`, and what was told of later steps before no longer counts (`runs.view`).
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainer.training.disk import is_disk_full

Event = dict[str, Any]

ENDS = ("finished", "stopped", "failed")  # an attempt has at most one of these, as its last event


class EventReader:
    """Reads what was appended since it was last asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def read_new(self) -> list[Event]:
        """The events written since the last call; [] for a file that does not exist yet."""
        try:
            if self.path.stat().st_size <= self.offset:
                return []
            with self.path.open("rb") as file:
                file.seek(self.offset)
                chunk = file.read()
        except FileNotFoundError:
            return []
        whole = chunk[: chunk.rfind(b"\n") + 1]  # a line still being written waits for the next call
        self.offset += len(whole)
        return list(_parse(whole))


def _parse(lines: bytes) -> Iterator[Event]:
    for line in lines.splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # torn by a crash; the next writer began a new line behind it
            continue
        if isinstance(event, dict) and "event" in event:
            yield event


class EventLog:
    """Appends events, numbering them on from what the file holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        events = EventReader(path).read_new()
        self._next = max((event.get("seq", -1) for event in events), default=-1) + 1
        self.attempt = sum(event["event"] == "started" for event in events) + 1
        self._unwritten = b""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if path.stat().st_size and path.read_bytes()[-1:] != b"\n":
            self._write(b"\n")

    def append(self, kind: str, **fields: Any) -> Event:
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
        """Let go of the file."""
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


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
