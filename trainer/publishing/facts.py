"""What is to be told of a run on its model's page: read from its recipe, its events and its model's config."""

import json
import re
from dataclasses import dataclass
from typing import Any

from trainer.errors import UserError
from trainer.models.bases import BASES
from trainer.runs.events import Event, EventReader
from trainer.runs.run import Run
from trainer.runs.view import Guess, RunView, fold
from trainer.speech.locales import Locale, locale_of
from trainer.speech.sources import TITLES, SourceKind
from trainer.training.recipe import Recipe

_HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)


@dataclass(frozen=True)
class Facts:
    """`machine` and `transformers` are empty for runs that did not say. `guesses` are those of the kept model."""

    recipe: Recipe
    locale: Locale
    view: RunView
    guesses: list[Guess]
    machine: dict[str, Any]
    model_type: str
    transformers: str

    @property
    def source(self) -> SourceKind:
        """Where its clips came from; "auto" has been decided by the time of a run."""
        title = self.view.data.source if self.view.data else ""
        return next((kind for kind, known in TITLES.items() if known == title), "folder")

    @property
    def base(self) -> str | None:
        """The base's id on the Hub; None for the starter, or a folder of somebody's own."""
        return self.recipe.base if self.recipe.base in BASES or _HUB_ID.fullmatch(self.recipe.base) else None

    @property
    def on_hub(self) -> str | None:
        """As `base`, without those that are not on the Hub."""
        return self.base if self.base and "/" in self.base else None


def facts_of(run: Run, events: list[Event] | None = None) -> Facts:
    """Raises UserError where the run is not over, or nothing came of it."""
    events = EventReader(run.events).read_new() if events is None else events
    recipe = run.recipe()
    view = fold(RunView(), events)
    if not run.has_model or not (run.model / "model.safetensors").is_file():
        raise UserError("This run has no model to share.", "Let it train for at least one step.")
    config = _config(run)
    return Facts(
        recipe,
        locale_of(recipe.locale),
        view,
        _guesses(events, view.best_step),
        next((event for event in reversed(events) if event["event"] == "machine"), {}),
        str(config.get("model_type", "")),
        str(config.get("transformers_version", "")),
    )


def _guesses(events: list[Event], step: int | None) -> list[Guess]:
    """What the kept model heard: the last check may have been of a worse one."""
    checks = [event for event in events if event["event"] == "evaluated" and event["step"] == step]
    return [Guess(**guess) for guess in checks[-1]["guesses"]] if checks else []


def _config(run: Run) -> dict[str, Any]:
    try:
        config = json.loads((run.model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
