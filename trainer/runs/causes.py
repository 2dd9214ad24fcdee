"""What ended a trainer that could not say so itself, in plain words with what to try."""

import shutil
import signal

from trainer.runs.run import Run

LEAST_FREE = 2**20  # bytes; a disk with less is full

_OUT_OF_MEMORY = (
    "The system ended the training, most likely because the memory ran out.",
    "Close other programs and resume it; if it happens again, fine-tune again with a smaller batch.",
)
_DISK_FULL = ("The training was cut off: the disk is full.", "Make some room, then resume it.")
_UNKNOWN = (
    "The training was cut off: its program ended without a word.",
    "The computer may have run out of memory, or been switched off. Resume it: it goes on from where it was saved.",
)


def note_exit(run: Run, code: int) -> None:
    """Called by whoever started the trainer, once it is gone: a negative code is the signal that ended it."""
    try:
        run.exit_file.write_text(str(code), encoding="utf-8")
    except OSError:  # the run was deleted, or the disk is full, which `cause_of` sees for itself
        return


def cause_of(run: Run) -> tuple[str, str]:
    """What happened, and what to do."""
    try:
        code = int(run.exit_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # nobody was there to note it
        code = 0
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return _OUT_OF_MEMORY
    try:
        return _DISK_FULL if shutil.disk_usage(run.folder).free < LEAST_FREE else _UNKNOWN
    except OSError:
        return _UNKNOWN
