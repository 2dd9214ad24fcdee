"""Publications under way in this app, one a run: each in a thread of its own, so that a page may be closed meanwhile.

A token is held by that thread alone, for as long as it takes.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.errors import UserError
from trainer.publishing.options import PublishOptions
from trainer.publishing.publish import THE_HUB, Hub, Receipt, Token, publish, receipt_of
from trainer.runs.follower import view_of
from trainer.runs.run import Run
from trainer.runs.view import RunView

log = logging.getLogger("voicetune.sharing")
SECONDS_BETWEEN_LOOKS = 2.0  # at a training whose model is to be shared
SECONDS_OF_SILENCE = 1800.0  # from the Hub; huggingface_hub itself waits for ever
SILENT = ("The Hub has not answered for half an hour.", "Check the internet connection, then share it again.")
State = Literal["none", "requested", "asking", "sending", "shared", "failed"]
Draw = Callable[[RunView], bytes]  # the run's curves as a PNG file


@dataclass(frozen=True)
class Sharing:
    """How far the sharing of a run is. `done` of `total` are bytes; `what` and `todo` are sentences for "failed"."""

    state: State = "none"
    done: int = 0
    total: int = 0
    what: str = ""
    todo: str = ""
    receipt: Receipt | None = None

    @property
    def going_on(self) -> bool:
        """Whether something will come of it without anybody's doing."""
        return self.state in ("requested", "asking", "sending")


NOT_SHARED = Sharing()
MOST_TOLD = 1000  # of sharings that are over; what was shared is known from the run's folder too
_sharings: dict[Path, tuple[Sharing, float]] = {}  # with the time at which it was told, the latest at the end
_lock = threading.Lock()
_at_once = threading.Semaphore(4)  # uploads of all visitors together; the others wait


def sharing_of(run: Run) -> Sharing:
    """What is under way in this app; else what came of an earlier time."""
    with _lock:
        known = _known(run)
    if known is not None:
        return known
    receipt = receipt_of(run)
    return Sharing("shared", receipt=receipt) if receipt else NOT_SHARED


def start_sharing(run: Run, options: PublishOptions, token: Token | None, draw: Draw, hub: Hub = THE_HUB) -> None:
    """Share it now, or as soon as its training is over. Returns at once.

    Raises UserError where it is being shared already.
    """
    with _lock:
        if (known := _known(run)) and known.going_on:
            raise UserError("This model is being shared already.", "Wait until it is done.")
        _sharings[run.folder] = Sharing("asking" if view_of(run).over else "requested"), time.monotonic()
        over = [folder for folder, (sharing, _) in _sharings.items() if not sharing.going_on]
        for folder in over[:-MOST_TOLD]:
            del _sharings[folder]
    worker = threading.Thread(target=_share, args=(run, options, token, draw, hub), name=f"share-{run.id}", daemon=True)
    worker.start()


def _share(run: Run, options: PublishOptions, token: Token | None, draw: Draw, hub: Hub) -> None:
    try:
        while not (view := view_of(run)).over:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        _tell(run, Sharing("asking"))

        def on_progress(done: int, total: int) -> None:
            _tell(run, Sharing("sending", done, total))

        with _at_once:
            receipt = publish(run, options, token, draw(view), hub, on_progress)
        _tell(run, Sharing("shared", receipt=receipt))
    except UserError as error:
        _tell(run, Sharing("failed", what=error.what, todo=error.todo, receipt=receipt_of(run)))
    except Exception:
        log.exception("Sharing %s failed", run.id)
        what, todo = "Something went wrong on my side.", "Please share it again."
        _tell(run, Sharing("failed", what=what, todo=todo, receipt=receipt_of(run)))


def _tell(run: Run, sharing: Sharing) -> None:
    with _lock:
        _sharings.pop(run.folder, None)  # so that it comes to stand at the end
        _sharings[run.folder] = sharing, time.monotonic()


def _known(run: Run) -> Sharing | None:
    """What was told last; one that has been silent for too long counts as failed, so that it can be tried again."""
    sharing, told = _sharings.get(run.folder, (None, 0.0))
    if sharing and sharing.state in ("asking", "sending") and time.monotonic() - told > SECONDS_OF_SILENCE:
        return Sharing("failed", what=SILENT[0], todo=SILENT[1])
    return sharing
