"""How much one request may bring, and how much of files all requests together.

Gradio parses a JSON body of any size on its event loop, and writes up to 1,000 files of a request to the disk.
"""

import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from starlette.datastructures import Headers
from starlette.types import Message, Receive

from trainer.runs.storage import LEAST_FREE_BYTES
from trainer.settings import Settings

LARGEST_JSON = 128 * 2**10  # bytes; the page's own are below 2 kB. Parsing these takes 6 MB and 20 ms, twice
FORM_BYTES = 16 * 2**10  # of an upload, around its file
SECONDS_FOR_JSON = 20.0  # to arrive
SECONDS_FOR_FILE = 600.0  # 100 MB in 10 minutes are 1.4 Mbit/s

SECONDS_COUNTED = 60.0  # an upload is gone by then, unless it is being written down
FILES_AT_ONCE = 1  # in one request
FILES_OF_VISITOR = 60  # within the seconds that are counted
FILES_OF_ALL = 300
LARGEST_OF_VISITOR = 4  # times the largest file, likewise
LARGEST_OF_ALL = 10


@dataclass
class Uploads:
    """What has been sent lately, so that no visitor and not all of them together fill the disk."""

    largest: int  # bytes of one file
    room: Callable[[], int]  # bytes that the disk has for them
    clock: Callable[[], float] = time.monotonic
    _lately: deque[tuple[float, str, int]] = field(default_factory=deque)  # when, whose, bytes

    def refusal(self, visitor: str, size: int) -> str:
        """Why so many bytes cannot be taken now, or "" after having counted them."""
        now = self.clock()
        while self._lately and self._lately[0][0] < now - SECONDS_COUNTED:
            self._lately.popleft()
        own = [size for _, whose, size in self._lately if whose == visitor]
        if len(own) >= FILES_OF_VISITOR or sum(own) + size > LARGEST_OF_VISITOR * self.largest:
            return "You have sent a lot within a minute. Please wait a minute, then try again."
        everything = sum(size for _, _, size in self._lately)
        if len(self._lately) >= FILES_OF_ALL or everything + size > LARGEST_OF_ALL * self.largest:
            return "Many recordings arrive just now. Please try again in a minute."
        if size > self.room():
            return "The disk is almost full, so I cannot take a recording now."
        self._lately.append((now, visitor, size))
        return ""


def room_for_uploads(folder: Path, settings: Settings) -> int:
    """Bytes that are free where uploads lie, less what a training needs to start where it uses the same disk."""
    free = shutil.disk_usage(folder).free
    shared = settings.data_dir.exists() and settings.data_dir.stat().st_dev == folder.stat().st_dev
    return free - (LEAST_FREE_BYTES if shared else 0)


class TooMuchError(Exception):
    """More was sent than is taken."""


async def whole_body(receive: Receive, largest: int) -> bytes:
    """All of a small body. Raises TooMuchError, and ConnectionError where the sender is gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message.get("body", b"")
        if len(body) > largest:
            raise TooMuchError
        if not message.get("more_body"):
            return bytes(body)


class CountedFile:
    """A body that is handed on as it comes, up to its bounds: bytes, files, and the time that it takes."""

    def __init__(self, receive: Receive, largest: int, boundary: bytes) -> None:
        self._receive, self._left, self._parts_left = receive, largest, FILES_AT_ONCE + 1  # the last one closes it
        self._mark, self._tail = b"--" + boundary, b""
        self._deadline = time.monotonic() + SECONDS_FOR_FILE
        self._done = False
        self.refused = 0  # the status, where it was too much

    async def __call__(self) -> Message:
        """As an ASGI app is given it. Once it is too much, the sender seems to be gone."""
        if self.refused:
            return {"type": "http.disconnect"}
        if self._done:
            return await self._receive()
        with anyio.move_on_after(max(0.0, self._deadline - time.monotonic())) as scope:
            message = await self._receive()
        if scope.cancelled_caught:
            return self._refuse(408)
        self._done = not message.get("more_body")
        body = message.get("body", b"")
        self._left -= len(body)
        window = self._tail + body
        self._parts_left -= window.count(self._mark)
        self._tail = window[-(len(self._mark) - 1) :] if len(self._mark) > 1 else b""
        return self._refuse(413) if self._left < 0 or self._parts_left < 0 else message

    def _refuse(self, status: int) -> Message:
        self.refused = status
        return {"type": "http.disconnect"}


def declared(headers: Headers) -> int:
    """The body's bytes as the sender says; 0 where it does not, or nothing that is a number."""
    said = headers.get("content-length", "")
    return int(said) if said.isdecimal() and len(said) < 16 else 0
