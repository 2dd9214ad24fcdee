"""Where the sounds lie that a table names: as written, or as another system would have written it."""

import os
import re
import unicodedata
from collections import defaultdict
from functools import cache, cached_property
from pathlib import Path

NOT_FOUND = "not found"
OUTSIDE = "outside the folder"
LINK = "behind a link out of the folder"
NO_FILE = "not a file"
CLOSED = "in a folder that I may not read"
SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".flac", ".mp3", ".mp2", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm", ".mkv"),
        *(".mov", ".caf", ".aif", ".aiff", ".au", ".amr", ".3gp", ".wma", ".sph"),
    )
)
_BESIDE = ("clips", "wavs", "audio", "audios")  # where Common Voice, LJSpeech and others keep what their tables name
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\|//")


class AudioFiles:
    """Finds files within one folder. Folders are listed once, so that a long table costs no call a row.

    Nothing outside the folder is looked at, not even for whether it is there.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self._typed = home
        self._listing = cache(_Listing)
        self._beside = cache(lambda base: base.resolve().relative_to(self.home).parts)

    def find(self, written: str, base: Path | None = None) -> Path | str:
        """The file that a table in `base` (a folder in `home`) names, or why not, in plain words."""
        beside = self._beside(base or self.home)
        why = NOT_FOUND
        for spelled in dict.fromkeys((written, written.replace("\\", "/"))):
            parts = self._parts(spelled, beside)
            if parts is None:
                why = OUTSIDE
                continue
            inner = parts[len(beside) :] if parts[: len(beside)] == beside else ()
            places = [parts, *((*beside, folder, *inner) for folder in _BESIDE if inner)]
            for place in places:
                found = self._walk(place)
                if isinstance(found, Path):
                    return found
                why = found if why == NOT_FOUND else why
        return why

    def _parts(self, written: str, beside: tuple[str, ...]) -> tuple[str, ...] | None:
        """From `home` on, without "." and ".."; None of what leads out of it."""
        if Path(written).is_absolute() or _DRIVE.match(written):
            for home in (self.home, self._typed):
                if written.startswith(f"{home}{os.sep}"):
                    written, beside = written.removeprefix(f"{home}{os.sep}"), ()
                    break
            else:
                return None
        parts = list(beside)
        for part in written.split("/"):
            if part == "..":
                if not parts:
                    return None
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        return tuple(parts)

    def _walk(self, parts: tuple[str, ...]) -> Path | str:
        """Folder by folder, each name as that folder spells it."""
        here = self.home
        for number, part in enumerate(parts):
            listing = self._listing(here)
            if listing.closed:
                return CLOSED
            name = listing.spelled(part, last=number == len(parts) - 1)
            if name is None:
                return NOT_FOUND
            here = here / name
            if listing.links[name]:
                try:
                    if not here.resolve(strict=True).is_relative_to(self.home):
                        return LINK
                except (OSError, RuntimeError):  # to nothing, or in a ring
                    return NOT_FOUND
                if here.is_dir():
                    here = here.resolve()
        return here if parts and here.is_file() else NO_FILE


class _Listing:
    """What is in one folder: whether each name is a link."""

    def __init__(self, folder: Path) -> None:
        self.links: dict[str, bool] = {}
        self.closed = False
        try:
            with os.scandir(folder) as entries:
                self.links = {entry.name: entry.is_symlink() for entry in entries}
        except PermissionError:
            self.closed = True
        except OSError:
            pass  # not a folder: nothing is in it

    @cached_property
    def _alike(self) -> dict[str, list[str]]:
        """Names by how they look: composed, in one case."""
        names: dict[str, list[str]] = defaultdict(list)
        for name in self.links:
            names[_look(name)].append(name)
        return names

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = defaultdict(list)
        for name in self.links:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 - 100,000 names
            if suffix.lower() in SUFFIXES and not name.startswith("."):
                names[_look(stem)].append(name)
        return names

    def spelled(self, part: str, last: bool) -> str | None:
        """The name as written, else composed or decomposed, else the one that looks alike.

        A last one may lack its ending, as LJSpeech's and the first Common Voice's do. None where it is in doubt.
        """
        if part in self.links:
            return part
        for form in ("NFC", "NFD"):
            if (name := unicodedata.normalize(form, part)) in self.links:
                return name
        alike = self._alike.get(_look(part), []) or (self._stems.get(_look(part), []) if last else [])
        return alike[0] if len(alike) == 1 else None


def _look(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
