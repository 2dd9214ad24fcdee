"""Files of a model that somebody else wrote: opened only where they are what they seem, parsed only within bounds."""

import json
import stat
from pathlib import Path
from typing import Any

from trainer.errors import UserError

CONFIG_BYTES = 2**20  # a real config.json has some 5 kB
SMALL_BYTES = 16 * 2**20  # of each other file that is not the weights; a vocabulary has some kB
DEPTH = 16  # of objects and lists in each other; real ones have four
VALUES = 400_000  # in one file: a shard index has one a tensor, a Chinese vocabulary one a character
ELSEWHERE = "Choose another model."


def file_in(folder: Path, name: str) -> Path | None:
    """A model's file; None where there is none.

    Raises UserError for a link that leads out of the model and for what is no file at all (a pipe would be waited for
    for ever). In the Hub's cache a snapshot's files are links to blobs beside it: those are its own.
    """
    path = folder / name
    try:
        whole = path.resolve(strict=True)
        kind = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise _leads_out(name) from None
        return None
    except PermissionError:
        raise _closed(name) from None
    except (OSError, RuntimeError):  # links in a ring
        raise _leads_out(name) from None
    inside = whole.is_relative_to(folder.resolve())
    blob = folder.parent.name == "snapshots" and whole.parent == (folder.parent.parent / "blobs").resolve()
    if not inside and not blob:
        raise _leads_out(name)
    if not stat.S_ISREG(kind):
        raise UserError(f"This model's {name} is not a file.", ELSEWHERE)
    return path


def read_json(folder: Path, name: str, most_bytes: int = SMALL_BYTES) -> dict[str, Any] | None:
    """The object in a model's JSON file; None where there is no such file. Raises UserError, also as `file_in` does."""
    path = file_in(folder, name)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError:
        raise _closed(name) from None
    if len(data) > most_bytes:
        raise UserError(f"This model's {name} is far larger than any real one.", ELSEWHERE)
    return parse_json(data, name)


def parse_json(data: bytes, name: str) -> dict[str, Any]:
    """An object, at most `DEPTH` deep, without NaN, infinities and halves of characters. Raises UserError."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_number)
        deep = _bounded(value)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a character cannot be saved again
    except (ValueError, RecursionError):  # a number of 10,000 digits is a ValueError too
        raise _unreadable(name) from None
    if not isinstance(value, dict):
        raise _unreadable(name)
    if not deep:
        raise UserError(f"This model's {name} is nested deeper or longer than any real one.", ELSEWHERE)
    return value


def _bounded(value: Any) -> bool:
    """Whether it is within `DEPTH` and `VALUES`."""
    level, count = [value], 0
    for _ in range(DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        count += len(inner)
        if not inner:
            return count <= VALUES
        level = inner
    return False


def _no_number(name: str) -> float:
    raise ValueError(name)


def _leads_out(name: str) -> UserError:
    return UserError(f"This model's {name} is a link that leads out of the model's folder.", ELSEWHERE)


def _unreadable(name: str) -> UserError:
    return UserError(f"This model's {name} is cut off or broken.", "Fetch or copy it anew, or choose another model.")


def _closed(name: str) -> UserError:
    return UserError(
        f"This model's {name} cannot be opened here.",
        "Allow this account to read the model's files, or choose another.",
    )
