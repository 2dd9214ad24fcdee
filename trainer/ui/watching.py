"""What a page that watches a run is sent: only what has changed since it was last sent something.

Each part of the panel has a key, taken from the run's view. A part is drawn and sent when its key differs from the one
that this page was sent last; where all are equal, nothing is drawn and nothing is sent.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from trainer.publishing.sharing import NOT_SHARED, Sharing
from trainer.runs.run import Run
from trainer.runs.view import RunView
from trainer.speech.locales import Locale
from trainer.ui.charts import loss_chart, rate_chart
from trainer.ui.clips import sounds
from trainer.ui.drawings import Drawings
from trainer.ui.example import example_view
from trainer.ui.faults import note
from trainer.ui.learning import learning_table
from trainer.ui.sharing import sharing_parts
from trainer.ui.status import NOTHING_YET, notes, status_line

LOSS_POINTS = 240  # the plot is some 250 units wide
EARLIER, NO_EARLIER = "Choose one to look at it again", "None yet"
BUSY = "One is under way. Another one waits in line until that one has ended."
LEAVE_LINE, STOP = "Leave the line", "Stop and keep what it learnt"
HUB_MISSING = "This one needs the Hugging Face Hub, which is out of reach. The first two work without."
QUICK = ("status", "losses")  # what changes with every step
SHARED = ("rates", "losses", "sounds", "table")  # whose key says all that they are drawn from, the run included
_drawings = Drawings()
_REASONS = {  # by state, and whether there is a model yet
    ("waiting", False): "There is nothing to try until it has trained.",
    ("running", False): "You can talk to it after its first check.",
    ("running", True): "You can talk to it already; it goes on learning.",
    ("stopping", False): "Saving what it learnt.",
    ("stopping", True): "Saving what it learnt.",
}


@dataclass(frozen=True)
class Watch:
    """What one open page looks at, and the keys of what it was last sent.

    `active` is this visitor's run that was going on when last looked: it need not be the one that is shown.
    """

    run: str | None = None
    active: str | None = None
    sent: dict[str, Hashable] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """All that a panel is drawn from. `run` None: there is none yet, and an example stands in."""

    run: Run | None
    view: RunView
    locale: Locale
    busy: bool = False  # a run of this visitor, perhaps another one, is going on
    full: str = ""  # why this visitor cannot have another run now
    hub_missing: bool = False  # the chosen preset cannot start
    wait: float | None = None  # seconds until its turn
    earlier: Callable[[], list[tuple[str, str]]] = list  # label and id of each of the visitor's runs, the newest first
    room: Callable[[], str] = str  # the line on what they take on the disk
    sharing: Sharing = NOT_SHARED
    can_sign_in: bool = True

    @property
    def has_model(self) -> bool:
        """Whether there is something to talk to."""
        return self.run is not None and self.run.has_model


Part = tuple[Hashable, Callable[[], Any]]


def nothing_yet(locale: Locale, hub_missing: bool = False) -> Shown:
    """The panel before the first run."""
    return Shown(None, example_view(), locale, hub_missing=hub_missing)


def parts(shown: Shown) -> dict[str, Part]:
    """Key and drawing of every part, by the names of `panel.Panel`'s fields."""
    run, view, locale = shown.run, shown.view, shown.locale
    run_id = run.id if run else None
    checks = len(view.evaluations)
    files = clip_files(run) if run else []
    wait = round(shown.wait / 60) if shown.wait else None
    far = (view.done, view.total, view.place, view.step, checks, view.best_step, view.saved_step, wait)
    moving = (view.state, view.phase, *far)
    model = shown.has_model
    return {
        "status": ((run_id, *moving), lambda: status_line(view, locale, shown.wait) if run else NOTHING_YET),
        "rates": (
            (run_id, checks, view.best_step, view.max_steps, locale.code),
            lambda: rate_chart(view.evaluations, view.best_step, _steps(shown), locale, run is None),
        ),
        "losses": (
            (run_id, len(view.losses), checks, view.max_steps),
            lambda: loss_chart(view.thinned_losses(LOSS_POINTS), view.evaluations, _steps(shown), run is None),
        ),
        "sounds": ((run_id, len(files)), lambda: sounds("clip", [_read(file) for file in files])),
        "table": ((run_id, checks, len(files)), lambda: _table(shown, bool(files))),
        "notes": ((run_id, len(view.notes), view.data is None), lambda: notes(view) if run else ""),
        # Resume stands where Stop stood.
        "stop": (
            (_stoppable(shown), view.state == "waiting", view.resumable),
            lambda: _stop(shown),
        ),
        "resume": (view.resumable, lambda: gr.update(visible=view.resumable)),
        "talk": (model, lambda: gr.update(interactive=model)),
        "download": (model, lambda: gr.update(interactive=model)),
        "again": (run is not None and view.over, lambda: gr.update(interactive=run is not None and view.over)),
        "actions_note": (actions_note(shown), lambda: note(actions_note(shown), "quiet")),
        "start": ((_startable(shown),), lambda: gr.update(interactive=_startable(shown))),
        "start_note": (start_note(shown), lambda: note(start_note(shown), "quiet")),
        "earlier": ((run_id, view.over, shown.busy, view.state == "waiting"), lambda: _earlier(shown)),
        "room": ((run_id, view.over, shown.busy), shown.room),
        "delete": (
            (run is not None, view.over),
            lambda: gr.update(visible=run is not None, interactive=run is not None and view.over),
        ),
        **sharing_parts(shown),
        # It rests while nothing goes on, so that an idle page asks for nothing.
        "timer": (_moving(shown), lambda: gr.update(active=_moving(shown))),
    }


def changes(watch: Watch, shown: Shown) -> tuple[dict[str, Hashable], dict[str, Any]]:
    """The keys of all parts, and the updates of those whose key is not the one that was sent."""
    fresh = parts(shown)
    changed = {name for name, (key, _) in fresh.items() if name not in watch.sent or watch.sent[name] != key}
    return {name: key for name, (key, _) in fresh.items()}, {name: _draw(name, *fresh[name]) for name in changed}


def quick_changes(watch: Watch, shown: Shown) -> tuple[dict[str, Hashable], dict[str, Any], bool]:
    """The same of the parts in QUICK alone, with the keys as then sent, and whether others have changed too."""
    fresh = parts(shown)
    late = {name for name, (key, _) in fresh.items() if name not in watch.sent or watch.sent[name] != key}
    quick = late & set(QUICK)
    sent = {**watch.sent, **{name: fresh[name][0] for name in quick}}
    return sent, {name: _draw(name, *fresh[name]) for name in quick}, bool(late - quick)


def _draw(name: str, key: Hashable, draw: Callable[[], Any]) -> Any:
    return _drawings.get((name, key), draw) if name in SHARED else draw()


def start_note(shown: Shown) -> str:
    """Why Start cannot be pressed, or what will happen where it is not the usual thing."""
    if shown.full or shown.hub_missing:
        return shown.full or HUB_MISSING
    return BUSY if shown.busy else ""


def actions_note(shown: Shown) -> str:
    """Why the buttons below the status cannot be used, or nothing."""
    if shown.run is None:
        return "These wake up once a training has begun."
    if shown.view.over:
        return "" if shown.has_model else "No model came of this run, so there is none to try or to download."
    return _REASONS.get((shown.view.state, shown.has_model), "")


def clip_files(run: Run) -> list[Path]:
    """The sounds of the fixed clips, by their numbers; [] until the trainer has written them."""
    return sorted((run.folder / "clips").glob("[0-9].wav"))


def _steps(shown: Shown) -> int:
    """Where the axes end: while a run waits, only its recipe knows."""
    if shown.view.max_steps or shown.run is None:
        return shown.view.max_steps
    steps = shown.run.config().get("recipe", {}).get("max_steps", 0)
    return steps if isinstance(steps, int) else 0


def _moving(shown: Shown) -> bool:
    return shown.busy or shown.sharing.going_on


def _startable(shown: Shown) -> bool:
    return not (shown.full or shown.hub_missing)


def _stoppable(shown: Shown) -> bool:
    return shown.run is not None and shown.view.state in ("waiting", "running")


def _stop(shown: Shown) -> dict[str, Any]:
    waits = shown.run is not None and shown.view.state == "waiting"
    update: dict[str, Any] = gr.update(
        value=LEAVE_LINE if waits else STOP, interactive=_stoppable(shown), visible=not shown.view.resumable
    )
    return update


def _earlier(shown: Shown) -> dict[str, Any]:
    choices = shown.earlier()
    return gr.update(
        choices=choices,
        value=shown.run.id if shown.run else None,
        interactive=bool(choices),
        info=EARLIER if choices else NO_EARLIER,
    )


def _table(shown: Shown, playable: bool) -> str:
    if not shown.view.guesses:
        return ""
    return learning_table(shown.view.guesses, shown.locale, playable)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:  # the run was deleted meanwhile
        return None
