"""What the app does on the side: it takes over runs whose app has died, and throws away what nobody fetches."""

import logging
import threading
from pathlib import Path

from trainer.runs.deleting import sweep
from trainer.runs.keeping import adopt
from trainer.settings import Settings
from trainer.ui.uploads import sweep_uploads

log = logging.getLogger("voicetune.caretaker")

SECONDS_BETWEEN_ROUNDS = 15.0


def start_caretaker(settings: Settings, uploads: Path) -> None:
    """The first round now, the others in a thread of its own until the process ends."""
    _round(settings, uploads)
    threading.Thread(target=_rounds, args=(settings, uploads), name="caretaker", daemon=True).start()


def _rounds(settings: Settings, uploads: Path) -> None:
    pause = threading.Event()
    while True:
        pause.wait(SECONDS_BETWEEN_ROUNDS)
        _round(settings, uploads)


def _round(settings: Settings, uploads: Path) -> None:
    try:
        sweep(settings.runs_dir)
        adopt(settings)
        sweep_uploads(uploads)
    except Exception:  # e.g. a full disk; the page still works, and the next round may
        log.exception("A round of the caretaker failed")
