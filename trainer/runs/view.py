"""What a person sees of a run: a fold over its events, so that every watcher sees the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from trainer.errors import HopelessError, UserError
from trainer.runs.events import Event
from trainer.runs.pace import Pace

State = Literal["waiting", "running", "stopping", "finished", "stopped", "failed", "interrupted"]
MOST_NOTES = 100  # the newest; a training says some ten, a stranger's machine whatever it likes
Phase = Literal["starting", "downloading", "preparing", "training", "evaluating", "saving"]


@dataclass(frozen=True)
class Point:
    """One value of a curve; None where it was not a finite number."""

    step: int
    value: float | None


@dataclass(frozen=True)
class EvalPoint:
    """One judgement by clips that are never trained on. Rates are fractions (0.38 is 38 %) and may pass 1.

    `phrases_wer` and `phrases_cer` are those with the words and phrases it knows; None where that was not measured.
    """

    step: int
    loss: float | None
    wer: float
    cer: float
    blank: bool = False  # not one letter was heard in any clip
    phrases_wer: float | None = None
    phrases_cer: float | None = None


@dataclass(frozen=True)
class Guess:
    """What the model hears now in one fixed clip. `clip` is the number of its sound in the run's clips folder."""

    clip: int
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class DataReport:
    """What it learns from, is watched by while it learns (validation), and is judged by at the end (test).

    `left_out` counts by reason in plain words. `kind` is "minds14", "practice" or "own"; `split_by` says what no two
    splits share, see `speech.clips.SplitBy`; `revision` is the commit of a data set of the Hub; `own_test`: the test
    split is the source's own. All are empty for runs from before they were told: those were watched, and their model
    chosen, by the test split.
    """

    source: str
    note: str
    train_clips: int
    test_clips: int
    train_seconds: float
    test_seconds: float
    left_out: dict[str, int]
    validation_clips: int = 0
    validation_seconds: float = 0.0
    kind: str = ""
    split_by: str = ""
    revision: str = ""
    own_test: bool = False


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
    asked: float | None = None  # when somebody asked to resume it, until its trainer appears
    started: float | None = None  # when its turn came
    spent: float = 0.0  # seconds that earlier attempts took
    training_since: float | None = None
    first_step: int = 0  # where this attempt began
    ended: float | None = None
    last_event: float | None = None
    step: int = 0
    max_steps: int = 0
    eval_steps: int = 0  # from one check to the next; 0: not told
    pace: Pace = field(default_factory=Pace)
    losses: list[Point] = field(default_factory=list)
    evaluations: list[EvalPoint] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)
    data: DataReport | None = None
    notes: list[str] = field(default_factory=list)
    speed: float | None = None  # audio seconds a second
    tested: EvalPoint | None = None  # this attempt's judgement by the test split
    untrained_test: EvalPoint | None = None  # the untrained model's, by the same clips
    best_step: int | None = None  # whose weights lie in the model folder
    kept: EvalPoint | None = None  # its figures where an attempt before this one kept it
    kept_test: EvalPoint | None = None  # and those by the test split
    saved_step: int | None = None  # what it can be resumed from
    hopeless: bool = False  # resuming would fail in the same way
    what: str = ""  # for failed: what happened
    todo: str = ""  # for failed: what to do next
    seq: int = -1  # of the last event folded in
    unreadable: int = 0  # lines of its events that were set aside

    @property
    def baseline(self) -> EvalPoint | None:
        """The untrained model's figures."""
        return self.evaluations[0] if self.evaluations and self.evaluations[0].step == 0 else None

    @property
    def best(self) -> EvalPoint | None:
        """The figures of the model that was kept."""
        candidates = (self.kept, *reversed(self.evaluations))
        return next((e for e in candidates if e and e.step == self.best_step), None)

    @property
    def test(self) -> EvalPoint | None:
        """What the model that was kept makes of clips that decided nothing; None until it was judged by them."""
        return next((e for e in (self.tested, self.kept_test) if e and e.step == self.best_step), None)

    @property
    def judged_by(self) -> Literal["test", "validation"] | None:
        """Whose figures stand for the model that was kept: those of `test` where it was read, else of `best`."""
        return "test" if self.test else "validation" if self.best else None

    @property
    def over(self) -> bool:
        """Whether nothing will be added."""
        return self.state in ("finished", "stopped", "failed", "interrupted")

    @property
    def resumable(self) -> bool:
        """Whether it makes sense to go on with it: it was stopped or cut off, or failed for what may have passed."""
        return self.state in ("stopped", "interrupted") or (self.state == "failed" and not self.hopeless)

    def elapsed(self, now: float) -> float:
        """Seconds since its turn came, until its end; those between two attempts do not count."""
        return self.spent + (max(0.0, (self.ended or now) - self.started) if self.started else 0.0)

    def remaining(self, now: float) -> float | None:
        """Seconds left, from the pace so far; None until a few steps have been made, and where it is to stop."""
        if self.state != "running" or self.max_steps <= self.step:
            return None
        return self.pace.remaining(now, self.max_steps, self.eval_steps)

    def thinned_losses(self, most: int = 400) -> list[Point]:
        """The loss curve in at most so many points, the ends and the extremes kept."""
        return thin(self.losses, most)


def fold(view: RunView, events: Sequence[Event]) -> RunView:
    """Take more events into the view (changed in place and returned). Unknown events only move the clock."""
    for event in events:
        time = datetime.fromisoformat(event["time"]).timestamp()
        if handler := _HANDLERS.get(event["event"]):
            handler(view, event, time)
        view.seq = event["seq"]
        if event["event"] != "checkpoints_dropped":  # nothing of the training's
            view.last_event = time
    return view


def _resuming(view: RunView, event: Event, time: float) -> None:
    _begin_again(view, time)
    view.asked = time


def _queued(view: RunView, event: Event, time: float) -> None:
    _begin_again(view, time)
    view.pid, view.pid_started = event["pid"], event["pid_started"]


def _begin_again(view: RunView, time: float) -> None:
    """A new attempt, in line; of the one before only what it told is kept."""
    if view.started is not None:
        view.spent = view.elapsed(view.last_event or time)
    view.state, view.phase, view.done, view.total, view.place = "waiting", "starting", 0, 0, 0
    view.pid = view.pid_started = view.asked = view.started = view.ended = view.training_since = None
    view.what = view.todo = ""
    view.hopeless, view.notes, view.pace = False, [], Pace()


def _place(view: RunView, event: Event, time: float) -> None:
    view.place = event["place"]


def _started(view: RunView, event: Event, time: float) -> None:
    view.state, view.started, view.place = "running", time, 0
    view.pid, view.pid_started = event["pid"], event["pid_started"]
    view.max_steps, view.eval_steps = event["max_steps"], event.get("eval_steps", 0)


def _phase(view: RunView, event: Event, time: float) -> None:
    view.phase, view.done, view.total = event["phase"], event.get("done", 0), event.get("total", 0)
    if event["phase"] == "training" and view.training_since is None:
        view.training_since = time
        view.pace.training(time)


def _data(view: RunView, event: Event, time: float) -> None:
    names = DataReport.__dataclass_fields__
    view.data = DataReport(**{name: event[name] for name in names if name in event})


def _log(view: RunView, event: Event, time: float) -> None:
    view.step = max(view.step, event["step"])
    view.losses.append(Point(event["step"], event["loss"]))
    view.pace.step(event["step"], time)
    view.speed = event.get("audio_seconds_per_second", view.speed)


def _evaluated(view: RunView, event: Event, time: float) -> None:
    view.step = max(view.step, event["step"])
    figures = EvalPoint(event["step"], event["loss"], event["wer"], event["cer"], event.get("blank", False))
    view.evaluations.append(figures)
    view.pace.check(time)
    view.guesses = [Guess(**guess) for guess in event["guesses"]]


def _tested(view: RunView, event: Event, time: float) -> None:
    figures = event["step"], event["loss"], event["wer"], event["cer"], event.get("blank", False)
    view.tested = EvalPoint(*figures, event.get("phrases_wer"), event.get("phrases_cer"))
    wer, cer = event.get("untrained_wer"), event.get("untrained_cer")
    view.untrained_test = None if wer is None or cer is None else EvalPoint(0, None, wer, cer)


def _model_saved(view: RunView, event: Event, time: float) -> None:
    view.best_step = event["step"]
    if view.training_since is not None:  # else it lay there already, and is found again
        view.kept = view.kept_test = None  # another model, though it may be of the same step
        view.pace.saved(time)


def _checkpoint(view: RunView, event: Event, time: float) -> None:
    view.saved_step = event["step"]


def _checkpoints_dropped(view: RunView, event: Event, time: float) -> None:
    view.saved_step = None


def _resumed(view: RunView, event: Event, time: float) -> None:
    """What was told of later steps no longer counts: they are made anew. New lists, as the old ones are shared."""
    step, checked = event["step"], event["checked"]
    view.kept, view.kept_test, view.tested = view.best, view.test, None
    view.step = view.first_step = step
    view.losses = [point for point in view.losses if point.step <= step]
    view.evaluations = [evaluation for evaluation in view.evaluations if evaluation.step <= checked]


def _stopping(view: RunView, event: Event, time: float) -> None:
    view.state, view.step = "stopping", event.get("step", view.step)


def _note(view: RunView, event: Event, time: float) -> None:
    if event["text"] not in view.notes:
        view.notes = [*view.notes, event["text"]][-MOST_NOTES:]


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
    view.hopeless = event.get("hopeless", False)


_HANDLERS = {
    "resuming": _resuming,
    "queued": _queued,
    "place": _place,
    "started": _started,
    "phase": _phase,
    "data": _data,
    "log": _log,
    "evaluated": _evaluated,
    "tested": _tested,
    "model_saved": _model_saved,
    "checkpoint": _checkpoint,
    "checkpoints_dropped": _checkpoints_dropped,
    "resumed": _resumed,
    "stopping": _stopping,
    "note": _note,
    "followed": _followed,
    "lost": _lost,
    "finished": _end,
    "stopped": _end,
    "failed": _end,
}


def failure(error: UserError) -> dict[str, str | bool]:
    """The fields of a `failed` event."""
    return {"what": error.what, "todo": error.todo, "hopeless": isinstance(error, HopelessError)}


class HasValue(Protocol):
    """Anything with a value that may be missing."""

    @property
    def value(self) -> float | None:
        """The height of the curve."""


PointT = TypeVar("PointT", bound=HasValue)


def thin(points: list[PointT], most: int) -> list[PointT]:
    """At most `most` (>= 4) of the points, in order: both ends exactly, and each stretch's lowest and highest."""
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    stretches = (most - 2) // 2
    kept = [points[0]]
    for number in range(stretches):
        stretch = range(number * len(inner) // stretches, (number + 1) * len(inner) // stretches)
        heights = [(value, index) for index in stretch if (value := inner[index].value) is not None]
        if heights:
            kept += [inner[index] for index in sorted({min(heights)[1], max(heights)[1]})]
    return [*kept, points[-1]]
