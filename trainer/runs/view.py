"""What a person sees of a run: a fold over its events, so that every watcher sees the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from trainer.errors import UserError
from trainer.runs.events import Event
from trainer.runs.thinning import thin

State = Literal["waiting", "running", "stopping", "finished", "stopped", "failed", "interrupted"]
Phase = Literal["starting", "downloading", "preparing", "training", "evaluating", "saving"]


@dataclass(frozen=True)
class Point:
    """One value of a curve; None where it was not a finite number."""

    step: int
    value: float | None


@dataclass(frozen=True)
class Evaluation:
    """One check on clips that are never trained on. Rates are fractions (0.38 is 38 %) and may pass 1."""

    step: int
    loss: float | None
    wer: float
    cer: float


@dataclass(frozen=True)
class Guess:
    """What the model hears now in one fixed clip. `clip` is the number of its sound in the run's clips folder."""

    clip: int
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class DataReport:
    """What was trained and tested on. `left_out` counts by reason in plain words."""

    source: str
    note: str
    train_clips: int
    test_clips: int
    train_seconds: float
    test_seconds: float
    left_out: dict[str, int]


@dataclass
class RunView:
    """The fold. Times are seconds since the epoch; `place` is 1 for the next in line."""

    state: State = "waiting"
    phase: Phase = "starting"
    done: int = 0  # of `total` in this phase; total 0: not known
    total: int = 0
    place: int = 0
    pid: int | None = None
    pid_started: float | None = None
    started: float | None = None  # when its turn came
    training_since: float | None = None
    ended: float | None = None
    last_event: float | None = None
    step: int = 0
    max_steps: int = 0
    losses: list[Point] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)
    data: DataReport | None = None
    notes: list[str] = field(default_factory=list)
    speed: float | None = None  # audio seconds a second
    best_step: int | None = None  # whose weights lie in the model folder
    what: str = ""  # for failed: what happened
    todo: str = ""  # for failed: what to do next
    seq: int = -1  # of the last event folded in

    @property
    def baseline(self) -> Evaluation | None:
        """The untrained model's figures."""
        return self.evaluations[0] if self.evaluations and self.evaluations[0].step == 0 else None

    @property
    def best(self) -> Evaluation | None:
        """The figures of the model that was kept."""
        return next((e for e in reversed(self.evaluations) if e.step == self.best_step), None)

    @property
    def over(self) -> bool:
        """Whether nothing will be added."""
        return self.state in ("finished", "stopped", "failed", "interrupted")

    def elapsed(self, now: float) -> float:
        """Seconds since its turn came, until its end."""
        return max(0.0, (self.ended or now) - self.started) if self.started else 0.0

    def remaining(self, now: float) -> float | None:
        """Seconds left, from the pace so far; None until a few steps have been made."""
        if self.over or self.training_since is None or self.step < 3 or self.max_steps <= self.step:
            return None
        return max(0.0, (now - self.training_since) / self.step * (self.max_steps - self.step))

    def thinned_losses(self, most: int = 400) -> list[Point]:
        """The loss curve in at most so many points, the ends and the extremes kept."""
        return thin(self.losses, most)


def fold(view: RunView, events: Sequence[Event]) -> RunView:
    """Take more events into the view (changed in place and returned). Unknown events only move the clock."""
    for event in events:
        time = datetime.fromisoformat(event["time"]).timestamp()
        view.last_event, view.seq = time, event["seq"]
        if handler := _HANDLERS.get(event["event"]):
            handler(view, event, time)
    return view


def _queued(view: RunView, event: Event, time: float) -> None:
    view.state, view.pid, view.pid_started = "waiting", event["pid"], event["pid_started"]


def _place(view: RunView, event: Event, time: float) -> None:
    view.place = event["place"]


def _started(view: RunView, event: Event, time: float) -> None:
    view.state, view.started, view.place = "running", time, 0
    view.pid, view.pid_started = event["pid"], event["pid_started"]
    view.max_steps = event["max_steps"]


def _phase(view: RunView, event: Event, time: float) -> None:
    view.phase, view.done, view.total = event["phase"], event.get("done", 0), event.get("total", 0)
    if event["phase"] == "training" and view.training_since is None:
        view.training_since = time


def _data(view: RunView, event: Event, time: float) -> None:
    names = DataReport.__dataclass_fields__
    view.data = DataReport(**{name: event[name] for name in names})


def _log(view: RunView, event: Event, time: float) -> None:
    view.step = max(view.step, event["step"])
    view.losses.append(Point(event["step"], event["loss"]))
    view.speed = event.get("audio_seconds_per_second", view.speed)


def _evaluated(view: RunView, event: Event, time: float) -> None:
    view.step = max(view.step, event["step"])
    view.evaluations.append(Evaluation(event["step"], event["loss"], event["wer"], event["cer"]))
    view.guesses = [Guess(**guess) for guess in event["guesses"]]


def _saved(view: RunView, event: Event, time: float) -> None:
    view.best_step = event["step"]


def _stopping(view: RunView, event: Event, time: float) -> None:
    view.state = "stopping"


def _note(view: RunView, event: Event, time: float) -> None:
    view.notes.append(event["text"])


def _followed(view: RunView, event: Event, time: float) -> None:
    """Somebody here reads the log of a rented machine; `pid` is the reader's."""
    view.pid, view.pid_started = event["pid"], event["pid_started"]
    view.state, view.ended, view.what, view.todo = "running" if view.started else "waiting", None, "", ""


def _lost(view: RunView, event: Event, time: float) -> None:
    """Nobody reads it any more, while the machine may go on."""
    view.state, view.ended, view.what, view.todo = "interrupted", time, event["what"], event["todo"]


def _end(view: RunView, event: Event, time: float) -> None:
    view.state, view.ended = event["event"], time
    view.what, view.todo = event.get("what", ""), event.get("todo", "")


_HANDLERS = {
    "queued": _queued,
    "place": _place,
    "started": _started,
    "phase": _phase,
    "data": _data,
    "log": _log,
    "evaluated": _evaluated,
    "model_saved": _saved,
    "stopping": _stopping,
    "note": _note,
    "followed": _followed,
    "lost": _lost,
    "finished": _end,
    "stopped": _end,
    "failed": _end,
}


def failure(error: UserError) -> dict[str, str]:
    """The fields of a `failed` event."""
    return {"what": error.what, "todo": error.todo}
