"""What is to be told of a run on its model's page: read from its recipe, its events and its model's config."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trainer.errors import UserError
from trainer.models.base_ref import BaseRef, HubId, Starter
from trainer.runs.events import Event, EventReader
from trainer.runs.run import Run
from trainer.runs.view import EvalPoint, Guess, RunView, fold
from trainer.speech.locales import Locale, locale_of
from trainer.training.recipe import Recipe

DataKind = Literal["minds14", "practice", "own", ""]  # "": the run does not say
_KINDS: tuple[DataKind, ...] = ("minds14", "practice", "own")


@dataclass(frozen=True)
class Facts:
    """What a run's recipe, its events and its model's config.json tell."""

    recipe: Recipe
    view: RunView
    events: Sequence[Event]
    config: Mapping[str, Any]

    @property
    def model_type(self) -> str:
        """As its config.json says; "" where it does not."""
        return str(self.config.get("model_type", ""))

    @property
    def locale(self) -> Locale:
        """The language that it learnt."""
        return locale_of(self.recipe.locale)

    @property
    def guesses(self) -> list[Guess]:
        """What the kept model heard: the last check may have been of a worse one, even of the same step made anew."""
        events, step = self.events, self.view.best_step
        saved = max((number for number, event in enumerate(events) if event["event"] == "model_saved"), default=0)
        checks = [event for event in events[:saved] if event["event"] == "evaluated" and event["step"] == step]
        return [Guess(**guess) for guess in checks[-1]["guesses"]] if checks else []

    @property
    def machine(self) -> Event:
        """Its hardware, precision and libraries' versions; {} for a run that did not say."""
        return self._newest("machine")

    @property
    def tested(self) -> EvalPoint | None:
        """The kept model's figures on the test clips; None for a run that ended before they were read."""
        return self.view.test

    @property
    def untrained(self) -> EvalPoint | None:
        """The base's figures on the test clips; None where they were not measured."""
        return self.view.untrained_test if self.tested else None

    @property
    def tests(self) -> int:
        """How often the test clips were read: anew for each attempt that came to its end."""
        return sum(event["event"] == "tested" for event in self.events)

    @property
    def revision(self) -> str | None:
        """MInDS-14's commit; None for a run that did not tell it, and for other data."""
        told = self.view.data.revision if self.view.data and self.kind == "minds14" else ""
        return told if re.fullmatch("[0-9a-f]{40}", told) else None

    @property
    def kind(self) -> DataKind:
        """Where its clips came from. Older runs do not say; then the recipe may, unless it left the choice open."""
        told = self.view.data.kind if self.view.data else ""
        if told:
            return next((kind for kind in _KINDS if kind == told), "")
        asked: dict[str, DataKind] = {"minds14": "minds14", "practice": "practice", "auto": ""}
        return asked.get(self.recipe.data, "own")

    @property
    def on_starter(self) -> bool:
        """Whether it began with the model that comes with Voicetune."""
        return isinstance(self._base, Starter)

    @property
    def hub_base(self) -> str | None:
        """The base's id on the Hub; None for the starter, and for a folder of somebody's own."""
        return self._base.id if isinstance(self._base, HubId) else None

    @property
    def _base(self) -> BaseRef | None:
        try:
            return self.recipe.base_ref
        except UserError:  # written by hand, or on another system
            return None

    def _newest(self, kind: str) -> Event:
        return next((event for event in reversed(self.events) if event["event"] == kind), {})


def facts_of(run: Run, events: list[Event] | None = None) -> Facts:
    """Raises UserError where the run is not over, or nothing came of it."""
    events = EventReader(run.events).read_new() if events is None else events
    recipe = run.recipe()
    view = fold(RunView(), events)
    if not run.has_model or not (run.model / "model.safetensors").is_file():
        raise UserError("This run has no model to share.", "Let it train for at least one step.")
    return Facts(recipe, view, events, _config(run))


def _config(run: Run) -> dict[str, Any]:
    try:
        config = json.loads((run.model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


_ALWAYS = ("seq", "time", "attempt", "event")
# Event: its fields. No process ids, no paths, no free text of the host; an event or a field that is new stays at home.
_PUBLISHED: dict[str, tuple[str, ...]] = {
    "queued": (),
    "started": ("max_steps",),
    "machine": ("hardware", "precision", "versions"),
    "phase": ("phase", "done", "total"),
    "data": (
        *("source", "kind", "split_by", "own_test", "revision", "left_out"),
        *("train_clips", "validation_clips", "test_clips", "train_seconds", "validation_seconds", "test_seconds"),
    ),
    "log": ("step", "loss", "learning_rate", "gradient_norm", "audio_seconds_per_second"),
    "evaluated": ("step", "loss", "wer", "cer", "guesses"),
    "tested": ("step", "loss", "wer", "cer", "untrained_wer", "untrained_cer", "phrases_wer", "phrases_cer"),
    "model_saved": ("step",),
    "checkpoint": ("step",),
    "stopping": ("step",),
    "resumed": ("step",),
    "finished": (),
    "stopped": (),
    "failed": (),
}


def published(events: Sequence[Event]) -> bytes:
    """One JSON object a line."""
    lines = []
    for event in events:
        if (fields := _PUBLISHED.get(event["event"])) is not None:
            kept = {name: event[name] for name in (*_ALWAYS, *fields) if name in event}
            lines.append(json.dumps(kept, ensure_ascii=True) + "\n")
    return "".join(lines).encode()
