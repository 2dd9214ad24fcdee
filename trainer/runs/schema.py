"""What an event may be: a table of kinds and their fields, against which every line is checked when it is read.

A line may be damaged (a disk's flipped bit), and a rented machine's log is a stranger's text: nothing behind the reader
looks at types again. Fields that are not named here are kept as they are, so that a newer trainer's events can be read.
"""

import json
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

Event = dict[str, Any]
ENDS = ("finished", "stopped", "failed")  # an attempt has at most one of these
LONGEST_LINE = 2**18  # bytes; the longest that is written, `evaluated` with five long clips, has some 4,000


def _is_time(text: str) -> str:
    if not 1970 < datetime.fromisoformat(text).year < 2200:  # `timestamp()` fails at the ends of the calendar
        raise ValueError("not a time")
    return text


Time = Annotated[str, Field(max_length=40), AfterValidator(_is_time)]
Word = Annotated[str, Field(min_length=1, max_length=40)]
Line = Annotated[str, Field(max_length=1_000)]
Text = Annotated[str, Field(max_length=20_000)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Step = Annotated[int, Field(ge=-1, le=10**9)]  # -1: before the first
Pid = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]
Loss = Number | None  # None where it was not a finite number
Rate = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]  # a fraction; insertions take it beyond 1

# Strict: "3" is no 3. What a kind does not name is kept.
_OPEN = ConfigDict(strict=True, extra="allow")


class AnyEvent(TypedDict):
    """What every event has. `job_seq`: its number on the rented machine that told it."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]

    seq: Count
    time: Time
    attempt: Annotated[int, Field(ge=1, le=10**6)]
    event: Word
    job_seq: NotRequired[Step]


class OfProcess(AnyEvent):
    """`queued` and `followed`: the process that looks after the run from now on, see `runs.process`."""

    pid: Pid
    pid_started: Seconds


class Place(AnyEvent):
    """In line; 1 is next."""

    place: Count


class Started(OfProcess):
    """Its turn has come. `eval_steps` from one check to the next."""

    max_steps: Count
    eval_steps: NotRequired[Count]


class Phase(AnyEvent):
    """`total` 0: not known."""

    phase: Literal["starting", "downloading", "preparing", "training", "evaluating", "saving"]
    done: NotRequired[Count]
    total: NotRequired[Count]


class Machine(AnyEvent):
    """What it trains on, for the card of a shared model."""

    hardware: Line
    precision: Word
    versions: dict[Word, Word]


class Data(AnyEvent):
    """What is trained and tested on; `left_out` counts clips by reason."""

    source: Line
    note: Text
    train_clips: Count
    test_clips: Count
    train_seconds: Seconds
    test_seconds: Seconds
    left_out: dict[Line, Count]
    kind: NotRequired[Word]
    split_by: NotRequired[Word]
    own_test: NotRequired[bool]
    revision: NotRequired[Word]
    validation_clips: NotRequired[Count]
    validation_seconds: NotRequired[Seconds]


class Log(AnyEvent):
    """One or some steps of training."""

    step: Step
    loss: Loss
    learning_rate: NotRequired[Number | None]
    gradient_norm: NotRequired[Number | None]
    audio_seconds_per_second: NotRequired[Number]


class Guess(TypedDict):
    """What was heard in one of the clips shown."""

    __pydantic_config__ = ConfigDict(strict=True, extra="ignore")  # type: ignore[misc]

    clip: Count
    reference: Text
    hypothesis: Text


class Evaluated(AnyEvent):
    """Rates on clips that are not trained on."""

    step: Step
    loss: Loss
    wer: Rate
    cer: Rate
    blank: NotRequired[bool]
    guesses: Annotated[list[Guess], Field(max_length=50)]


class Tested(AnyEvent):
    """The figures of the kept model on clips that chose nothing. `phrases_`: with words and phrases it knows."""

    step: Step
    loss: Loss
    wer: Rate
    cer: Rate
    untrained_wer: NotRequired[Rate | None]
    untrained_cer: NotRequired[Rate | None]
    phrases_wer: NotRequired[Rate]
    phrases_cer: NotRequired[Rate]


class AtStep(AnyEvent):
    """`model_saved` and `checkpoint`."""

    step: Step


class Resumed(AtStep):
    """Goes on after `step`; what was found after `checked` will be found anew."""

    checked: Step


class Stopping(AnyEvent):
    """It was asked to stop and saves."""

    step: NotRequired[Step]


class Note(AnyEvent):
    """A sentence for people."""

    text: Text


class Lost(AnyEvent):
    """Nobody reads a rented machine's log any more."""

    what: Text
    todo: Text


class End(AnyEvent):
    """Of an attempt: what happened, what to do, and whether it would happen again."""

    what: NotRequired[Text]
    todo: NotRequired[Text]
    hopeless: NotRequired[bool]


KINDS: dict[str, type[AnyEvent]] = {
    "resuming": AnyEvent,
    "queued": OfProcess,
    "place": Place,
    "started": Started,
    "phase": Phase,
    "machine": Machine,
    "data": Data,
    "log": Log,
    "evaluated": Evaluated,
    "tested": Tested,
    "model_saved": AtStep,
    "checkpoint": AtStep,
    "checkpoints_dropped": AnyEvent,
    "resumed": Resumed,
    "stopping": Stopping,
    "note": Note,
    "followed": OfProcess,
    "lost": Lost,
    "finished": End,
    "stopped": End,
    "failed": End,
}
_ANY = ""  # a kind that is not known, whatever it is called
# What only the machine that runs the app may say: which process is whose, and what its own disk holds to go on from.
_OF_THE_APP = ("resuming", "resumed", "queued", "place", "followed", "lost", "checkpoint", "checkpoints_dropped")


@cache
def _adapter(kind: str) -> TypeAdapter[Event]:
    schema: Any = KINDS.get(kind, AnyEvent)
    return TypeAdapter(schema)


def parse(line: bytes | str) -> Event | None:
    """The event in a line; None for what is none. Kinds that are not known have what every event has."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        found = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    kind = found.get("event") if isinstance(found, dict) else None
    if not isinstance(kind, str):
        return None
    try:
        return _adapter(kind if kind in KINDS else _ANY).validate_python(found)
    except ValidationError:
        return None


def relayed(line: str) -> Event | None:
    """An event that a rented machine printed, as far as it may speak for a run here: of a known kind, and without a
    process, as its numbers would name one of this machine's. None for anything else."""
    event = parse(line)
    if event is None or event["event"] not in KINDS or event["event"] in _OF_THE_APP:
        return None
    return {name: value for name, value in event.items() if name not in ("pid", "pid_started", "job_seq")}


def _refuse(constant: str) -> float:
    raise ValueError(f"JSON has no {constant}")
