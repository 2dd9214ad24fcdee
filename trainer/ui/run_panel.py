"""What a page that watches a run is sent: only what has changed since it was last sent something.

Each part of the panel has a key, taken from the run's view. A part is drawn and sent when its key differs from the one
that this page was sent last; where all are equal, nothing is drawn and nothing is sent.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from cachetools import LRUCache, cached

from trainer.formatting import file_size
from trainer.runs.run import Run
from trainer.runs.storage import Room
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.ui.components import fragment, note, sounds
from trainer.ui.learnt_html import learnt_html
from trainer.ui.panel_state import PanelPart, Shown, Watch, nothing_yet
from trainer.ui.plots import loss_chart, rate_chart
from trainer.ui.publish_panel import SharingFields, build_sharing, sharing_parts
from trainer.ui.run_status import NOTHING_YET, learning_table, notes, status_line
from trainer.ui.wording import ears

WORTH_NAMING = 10**6  # bytes
ASKED = "Delete this training and its model for good?"


@dataclass(frozen=True)
class Housekeeping:
    """Its components: the list, the line about the room, the button that deletes, and the question that it opens."""

    earlier: gr.Dropdown
    delete: gr.Button
    question: gr.Column
    confirm: gr.Button
    keep: gr.Button
    room: gr.HTML


def build_housekeeping() -> Housekeeping:
    """Lay it out; the question is closed."""
    earlier = gr.Dropdown([], label="Earlier runs", info=EARLIER, interactive=True, visible=False, elem_id="earlier")
    room = fragment("", elem_id="room")
    delete = gr.Button("Delete this training", size="sm", visible=False, interactive=False, elem_id="delete")
    with gr.Column(visible=False, elem_id="delete-question") as question:
        fragment(f'<p class="message">{ASKED}</p>')
        with gr.Row():
            confirm = gr.Button("Delete for good", size="sm", variant="stop", elem_id="delete-confirm")
            keep = gr.Button("Keep it", size="sm")
    return Housekeeping(earlier, delete, question, confirm, keep, room)


def room_line(room: Room, runs: int) -> str:
    """ "Your 3 trainings take 48 MB: models 40 MB, checkpoints 6 MB." and what is the most; "" for no runs."""
    if not runs:
        return ""
    whose = "Your training takes" if runs == 1 else f"Your {runs} trainings take"
    parts = [f"{name} {file_size(size)}" for name, size in _parts(room) if size >= WORTH_NAMING]
    text = f"{whose} {file_size(room.total)}" + (f": {', '.join(parts)}." if parts else ".")
    if room.most:
        text += f" All trainings on this computer may take {file_size(room.most)}."
    return f'<p class="message quiet">{escape(text)}</p>'


def _parts(room: Room) -> list[tuple[str, int]]:
    return [("models", room.models), ("checkpoints to resume from", room.checkpoints)]


LOSS_POINTS = 240  # the plot is some 250 units wide
EARLIER = "Choose one to look at it again"
BUSY = "One is under way. Another one waits in line until that one has ended."
LEAVE_LINE, STOP = "Leave the line", "Stop and keep what it learnt"
HUB_MISSING = "This one needs the Hugging Face Hub, which is out of reach. The first two work without."
QUICK = ("status", "losses")  # what changes with every step
SHARED = ("rates", "losses", "sounds", "table")  # whose key says all that they are drawn from, the run included
DRAWINGS_KEPT = 48  # a plot has some 10 kB, a run's clips some 300 kB
_REASONS = {  # by state, and whether there is a model yet
    ("waiting", False): "There is nothing to try until it has trained.",
    ("running", False): "You can talk to it after its first check.",
    ("running", True): "You can talk to it already; it goes on learning.",
    ("stopping", False): "Saving what it learnt.",
    ("stopping", True): "Saving what it learnt.",
}


def parts(shown: Shown) -> dict[str, PanelPart]:
    """Key and drawing of every part, by the names of `Panel`'s fields."""
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
        "learnt": (
            (run_id, view.over, view.tested, locale.code),
            lambda: learnt_html(run, view, locale),
        ),
        "notes": ((run_id, len(view.notes), view.unreadable, view.data is None), lambda: notes(view) if run else ""),
        # Resume stands where Stop stood.
        "stop": (
            (_stoppable(shown), _in_line(shown), view.resumable),
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
    return _drawn(name, key, draw) if name in SHARED else draw()


@cached(LRUCache(DRAWINGS_KEPT), key=lambda name, key, draw: (name, key), lock=threading.Lock())
def _drawn(name: str, key: Hashable, draw: Callable[[], Any]) -> Any:
    """What all who watch the same are sent. Two threads may draw the same once; no harm in that."""
    return draw()


def start_note(shown: Shown) -> str:
    """Why Start cannot be pressed, or what will happen where it is not the usual thing."""
    if shown.full or shown.hub_missing:
        return shown.full or HUB_MISSING
    return BUSY if shown.busy else ""


def actions_note(shown: Shown) -> str:
    """Why the buttons below the status cannot be used, or what the model that came of it knows of voices."""
    if shown.run is None:
        return "These wake up once a training has begun."
    if shown.view.over and shown.has_model:
        return ears(shown.view, shown.locale)
    if shown.view.over:
        return "No model came of this run, so there is none to try or to download."
    return _REASONS.get((shown.view.state, shown.has_model), "")


def clip_files(run: Run) -> list[Path]:
    """The sounds of the fixed clips, by their numbers; [] until the trainer has written them."""
    return sorted((run.folder / "clips").glob("[0-9].wav"))


def _steps(shown: Shown) -> int:
    """Where the axes end: while a run waits, only its recipe knows."""
    if shown.view.max_steps or shown.run is None:
        return shown.view.max_steps
    steps = shown.run.recipe_values.get("max_steps", 0)
    return steps if isinstance(steps, int) else 0


def _moving(shown: Shown) -> bool:
    return shown.busy or shown.sharing.going_on


def _startable(shown: Shown) -> bool:
    return not (shown.full or shown.hub_missing)


def _stoppable(shown: Shown) -> bool:
    return shown.run is not None and shown.view.state in ("waiting", "running")


def _in_line(shown: Shown) -> bool:
    """Whether others are before it. Who has no place yet is told that it gets ready, and there is no line to leave."""
    return shown.run is not None and shown.view.state == "waiting" and shown.view.place > 0


def _stop(shown: Shown) -> dict[str, Any]:
    update: dict[str, Any] = gr.update(
        value=LEAVE_LINE if _in_line(shown) else STOP, interactive=_stoppable(shown), visible=not shown.view.resumable
    )
    return update


def _earlier(shown: Shown) -> dict[str, Any]:
    choices = shown.earlier()
    return gr.update(
        choices=choices,
        value=shown.run.id if shown.run else None,
        visible=bool(choices),
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


@dataclass(frozen=True)
class Course:
    """How the run goes: the components above and below the buttons."""

    status: gr.HTML
    rates: gr.HTML
    losses: gr.HTML
    sounds: gr.HTML
    table: gr.HTML
    learnt: gr.HTML
    notes: gr.HTML


@dataclass(frozen=True)
class Actions:
    """What can be done with it."""

    stop: gr.Button
    resume: gr.Button
    talk: gr.Button
    download: gr.Button
    again: gr.Button
    actions_note: gr.HTML


@dataclass(frozen=True)
class StartBar:
    """Start stands on the left, but follows the run as well. What a press of it was refused for is not the panel's:
    no answer that follows the run takes it away."""

    start: gr.Button
    start_note: gr.HTML
    refusal: gr.HTML


@dataclass(frozen=True)
class Panel:
    """Its components in groups; those that follow the run are named as in `parts`."""

    course: Course
    actions: Actions
    starting: StartBar
    sharing: SharingFields
    housekeeping: Housekeeping
    timer: gr.Timer

    @property
    def components(self) -> list[Any]:
        """Those that follow the run."""
        named = {row.name: getattr(group, row.name) for group in self._groups() for row in fields(group)}
        return [named[name] for name in Panel.watched()]

    def _groups(self) -> list[Any]:
        return [self, self.course, self.actions, self.starting, self.sharing, self.housekeeping]

    @staticmethod
    def updates(changed: dict[str, Any]) -> list[Any]:
        """In that order, what to send to each; nothing for those that have not changed."""
        return [changed.get(name, gr.skip()) for name in Panel.watched()]

    @staticmethod
    def watched() -> tuple[str, ...]:
        """The names of those that follow the run, in their order."""
        return _WATCHED


_WATCHED = tuple(parts(nothing_yet(LOCALES["en-US"])))


def build_panel(starting: StartBar, seconds: float, settings: Settings) -> Panel:
    """Lay it out as it is before anything is known of the visitor; a tick every `seconds`."""
    first = {name: draw() for name, (_, draw) in parts(nothing_yet(LOCALES["en-US"])).items()}
    fragment('<h2 class="step-title"><b>2</b>Watch it learn</h2>')
    status = fragment(first["status"], elem_id="status")
    actions = _build_actions(first["actions_note"])
    with gr.Row(elem_id="plots"):
        rates = fragment(first["rates"], elem_id="rates", min_width=290)
        losses = fragment(first["losses"], elem_id="losses", min_width=290)
    table = fragment(first["table"], elem_id="learning")
    sounds = fragment("", elem_id="clip-sounds", visible="hidden")
    learnt = fragment("", elem_id="learnt")
    course = Course(status, rates, losses, sounds, table, learnt, notes=fragment("", elem_id="run-notes"))
    sharing = build_sharing(settings)
    housekeeping = build_housekeeping()
    return Panel(course, actions, starting, sharing, housekeeping, gr.Timer(seconds, active=False))


def _build_actions(first_note: str) -> Actions:
    with gr.Row(elem_id="actions"):
        talk = gr.Button("Talk to your model", variant="primary", size="md", interactive=False, min_width=150)
        download = gr.Button("Download", size="md", interactive=False, min_width=100)
        again = gr.Button("Fine-tune again", size="md", interactive=False, min_width=120)
        stop = gr.Button(STOP, size="md", interactive=False, min_width=210, elem_id="stop")
        resume = gr.Button("Resume", size="md", visible=False, min_width=100, elem_id="resume")
    return Actions(stop, resume, talk, download, again, fragment(first_note))
