"""Checkpoints that can be trusted: a folder counts only once its manifest, written and synced last, vouches for it.

    checkpoints/
      step-000320/
        …              whatever the trainer needs to go on
        manifest.json  names, sizes and SHA-256 of all of it

Needs no torch: what lies in a checkpoint is the caller's affair.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"
KEPT = 2  # the newest may turn out broken
_PREFIX, _DRAFT = "step-", ".part"


@dataclass(frozen=True)
class SavedStep:
    """A checkpoint whose manifest is there; whether its files are what it says, `is_whole` tells."""

    folder: Path

    @property
    def step(self) -> int:
        return int(self.folder.name.removeprefix(_PREFIX))

    def is_whole(self) -> bool:
        """Read everything and compare."""
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            return {name: _fingerprint(self.folder / name) for name in manifest} == manifest and bool(manifest)
        except (OSError, ValueError, TypeError, AttributeError):
            return False


def save_step(checkpoints: Path, step: int, write: Callable[[Path], None]) -> SavedStep:
    """Let `write` fill a folder, vouch for it, then let older ones go.

    Raises what `write` raises, and OSError (a full disk); what was there before is then untouched.
    """
    draft = checkpoints / f"{_PREFIX}{step:09d}{_DRAFT}"
    final = draft.with_suffix("")
    _remove(draft)
    draft.mkdir(parents=True)
    try:
        write(draft)
        files = sorted(path for path in draft.rglob("*") if path.is_file())
        manifest = {path.relative_to(draft).as_posix(): _fingerprint(path, sync=True) for path in files}
        _write_synced(draft / MANIFEST, json.dumps(manifest, indent=1))
        _remove(final)
        draft.rename(final)
        _sync_folder(checkpoints)
    except BaseException:
        _remove(draft)  # a full disk has room again
        raise
    prune(checkpoints)
    return SavedStep(final)


def saved_steps(checkpoints: Path) -> list[SavedStep]:
    """Those with a manifest, the newest first."""
    found = [SavedStep(folder) for folder in checkpoints.glob(f"{_PREFIX}*") if folder.suffix != _DRAFT]
    return sorted((saved for saved in found if (saved.folder / MANIFEST).is_file()), key=lambda saved: -saved.step)


def newest_whole(checkpoints: Path) -> SavedStep | None:
    """What to resume from; a broken one is passed over for the one before it."""
    return next((saved for saved in saved_steps(checkpoints) if saved.is_whole()), None)


def prune(checkpoints: Path, keep: int = KEPT) -> None:
    """Remove all but the newest, and what never got its manifest."""
    kept = {saved.folder for saved in saved_steps(checkpoints)[:keep]}
    for folder in checkpoints.glob(f"{_PREFIX}*"):
        if folder not in kept:
            _remove(folder)


def drop_after(checkpoints: Path, step: int) -> None:
    """Remove those of later steps: a training that goes on from this one will make those steps anew."""
    for saved in saved_steps(checkpoints):
        if saved.step > step:
            _remove(saved.folder)


def recover_model(model: Path) -> None:
    """Put back the model that was about to be replaced, where a crash came between the two renames that do it."""
    old = model.with_name(model.name + ".old")
    if old.exists() and not model.exists():
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # another process was quicker
            old.rename(model)


def _fingerprint(path: Path, sync: bool = False) -> list[int | str]:
    """Size and SHA-256; with `sync`, also make sure that it is on the disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if sync:
            os.fsync(file.fileno())
        return [file.tell(), digest]


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """So that a rename outlives a power cut. Windows cannot open a folder, and needs no such thing."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


MOST_LOST = 300.0  # seconds of training that a crash may cost
SHARE = 0.04  # of the time that goes into saving, where MOST_LOST allows it
LEAST_BETWEEN = 15.0  # seconds: saves that are cheaper than this asks for gain nobody anything


class SavePace:
    """Says when the next save is due. To be asked once between any two steps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = self._asked = clock()
        self._cost = 0.0  # seconds that the last save took
        self._longest = 0.0  # seconds between two questions: a step, perhaps with a check of the model

    def due(self) -> bool:
        """Whether to save now."""
        now = self._clock()
        self._longest, self._asked = max(self._longest, now - self._asked), now
        waited = now - self._since
        wanted = max(LEAST_BETWEEN, self._cost / SHARE)
        # Twice the cost: a crash near the end of the next save loses what went by since the beginning of the last one.
        return waited >= min(wanted, MOST_LOST - self._longest - 2 * self._cost)

    def saved(self, seconds: float) -> None:
        """A save has just ended, and took so long; also one that failed."""
        self._cost = seconds
        self._since = self._asked = self._clock()
