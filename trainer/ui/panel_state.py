"""What an open page looks at and is shown; before the first run that is an example's curves, labelled as such."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from trainer.errors import UserError
from trainer.models.resolve import is_here
from trainer.publishing.background import NOT_SHARED, Sharing
from trainer.runs.run import Run
from trainer.runs.view import EvalPoint, Point, RunView
from trainer.speech.locales import Locale
from trainer.training.recipe import preset_of
from trainer.ui.recipe_form import base_of
from trainer.ui.visitors import Visitor

STEPS = 300


def example_view() -> RunView:
    """A run as it usually goes. The numbers are drawn from formulas, and the page says that they are an example."""
    view = RunView(max_steps=STEPS, best_step=STEPS)
    for step in range(1, STEPS + 1, 3):
        wiggle = 0.12 * math.sin(step * 1.7) + 0.08 * math.sin(step * 0.61)
        view.losses.append(Point(step, 0.5 + 2.7 * math.exp(-step / 75) + wiggle * math.exp(-step / 200)))
    for step in range(0, STEPS + 1, 50):
        fallen = 1 / (1 + math.exp((step - 120) / 38))
        loss = 0.72 + 2.6 * math.exp(-step / 80)
        view.evaluations.append(EvalPoint(step, loss, min(1.0, 0.26 + 0.77 * fallen), 0.09 + 0.85 * fallen))
    return view


@dataclass(frozen=True)
class Watch:
    """What one open page was last sent: of which run, and the keys of the parts.

    `active` is this visitor's run that was going on when last looked: it need not be the one that is shown.
    """

    run: str | None = None
    active: str | None = None
    sent: dict[str, Hashable] = field(default_factory=dict)

    def of(self, run: str | None) -> "Watch":
        """For a page that looks at this run. An answer of another one may have come late: all is sent anew then."""
        return self if self.run == run else Watch(run, self.active)


@dataclass(frozen=True)
class Visit:
    """What the browser sends with every call: who asks, what they look at, and whether their preset can start."""

    visitor: Visitor
    watch: Watch
    preset: str
    hub: bool | None  # whether the Hub can be reached; None while nobody knows
    base: str = ""  # the model to start from; "": the preset's

    @cached_property
    def run(self) -> Run | None:
        """The run that this page looks at, where it is this visitor's."""
        return self.visitor.find(self.watch.run)

    @property
    def hub_missing(self) -> bool:
        """Whether the chosen preset or base cannot start. A base that was fetched before needs no Hub."""
        if self.hub is not False:
            return False
        recipe, settings = preset_of(self.preset).recipe, self.visitor.settings
        try:
            return recipe.data == "minds14" or not is_here(base_of(self.base or recipe.base, settings), settings)
        except UserError:  # what was typed is no model's name
            return True

    def looking_at(self, run: Run | None, active: str | None) -> "Visit":
        """The same page once it looks at another run; `active` is the id of the one that goes on."""
        return replace(self, watch=Watch(run.id if run else None, active))


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


PanelPart = tuple[Hashable, Callable[[], Any]]


def nothing_yet(locale: Locale, hub_missing: bool = False) -> Shown:
    """The panel before the first run."""
    return Shown(None, example_view(), locale, hub_missing=hub_missing)
