"""What a page is sent of a visitor's runs: what it looks at comes with each call, and an answer says what changed."""

import functools
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.models.bases import is_here
from trainer.publishing.sharing import sharing_of
from trainer.runs.following import view_of
from trainer.runs.queue import recent_line, seconds_until_turn
from trainer.runs.quota import check_line, room_of
from trainer.runs.run import Run, find_run, list_runs
from trainer.settings import Settings
from trainer.speech.locales import LOCALES, Locale
from trainer.training.presets import preset_of
from trainer.ui.housekeeping import room_line
from trainer.ui.panel import Panel
from trainer.ui.visitors import owner_of
from trainer.ui.watching import Shown, Watch, changes, nothing_yet
from trainer.ui.wording import summary

EARLIER_RUNS = 30  # in the list


@dataclass(frozen=True)
class Visit:
    """What the browser sends with every call: its secret, what it looks at, and whether its preset can start."""

    secret: object
    watch: Watch
    preset: str
    hub: bool | None  # whether the Hub can be reached; None while nobody knows
    base: str = ""  # the model to start from; "": the preset's

    @property
    def hub_missing(self) -> bool:
        """Whether the chosen preset or base cannot start. A base that was fetched before needs no Hub."""
        recipe = preset_of(self.preset).recipe
        return self.hub is False and (recipe.data == "minds14" or not is_here(self.base or recipe.base))


@dataclass(frozen=True)
class Answers:
    """Answers for all visitors. It holds nothing but the settings."""

    settings: Settings

    def find(self, visit: Visit) -> Run | None:
        """The run that this page looks at, where it is this visitor's."""
        owner = owner_of(visit.secret, self.settings)
        return find_run(self.settings.runs_dir, visit.watch.run, owner) if visit.watch.run else None

    def answer(self, visit: Visit) -> list[Any]:
        """The watch and the panel, as far as they have changed."""
        shown, active = self.look(visit)
        keys, changed = changes(visit.watch, shown)
        watch = Watch(shown.run.id if shown.run else None, active, keys)
        if watch == visit.watch:
            return self.nothing()
        return [watch, *Panel.updates(changed)]

    def nothing(self, **but: Any) -> list[Any]:
        """Leave the page as it is, but for these parts of the panel."""
        return [gr.skip(), *Panel.updates(but)]

    def look(self, visit: Visit) -> tuple[Shown, str | None]:
        """What the panel shows, and the id of this visitor's run that is going on."""
        owner = owner_of(visit.secret, self.settings)
        active = find_run(self.settings.runs_dir, visit.watch.active, owner) if visit.watch.active else None
        if active and view_of(active).over:
            active = self.active(owner)
        run = self.find(visit)
        if run is None:
            shown = nothing_yet(LOCALES["en-US"], visit.hub_missing)
            return replace(shown, full=self._full(owner)), active.id if active else None
        view = view_of(run)
        shown = Shown(
            run,
            view,
            locale_of_run(run),
            busy=active is not None or not view.over,
            full=self._full(owner),
            hub_missing=visit.hub_missing,
            wait=seconds_until_turn(self.settings, run) if view.state == "waiting" and view.place else None,
            earlier=lambda: self._earlier(owner),
            room=lambda: self._room(owner),
            sharing=sharing_of(run),
            can_sign_in=self.settings.can_sign_in,
        )
        return shown, active.id if active else None

    def active(self, owner: str) -> Run | None:
        """The owner's run that is going on; it can only be among the newest."""
        newest = list_runs(self.settings.runs_dir, owner)[: self.settings.limits.waiting_runs + 1]
        return next((run for run in newest if not view_of(run).over), None)

    def _full(self, owner: str) -> str:
        """Why this owner cannot have another run in line; "" where they can."""
        try:
            check_line(self.settings, owner, recent_line(self.settings.turns_dir))
        except UserError as error:
            return str(error)
        return ""

    def _room(self, owner: str) -> str:
        return _room_line(self.settings, tuple(list_runs(self.settings.runs_dir, owner)), int(time.monotonic() / 10))

    def _earlier(self, owner: str) -> list[tuple[str, str]]:
        runs = list_runs(self.settings.runs_dir, owner)[:EARLIER_RUNS]
        return [(summary(view_of(run), locale_of_run(run), created(run)), run.id) for run in runs]


@functools.lru_cache(maxsize=64)
def _room_line(settings: Settings, runs: tuple[Run, ...], clock: int) -> str:
    """It looks at every file; a person who loads the page anew may well see the same figure for some seconds."""
    return room_line(room_of(list(runs), settings.limits.disk_bytes), len(runs))


def locale_of_run(run: Run) -> Locale:
    """The language it learns; US English where its folder does not say."""
    recipe = run.config().get("recipe", {})
    return LOCALES.get(recipe.get("locale", ""), LOCALES["en-US"])


def created(run: Run) -> float:
    """When it was made, from its id, in whole seconds since the epoch."""
    return datetime.strptime(f"{run.id[:15]}+0000", "%Y%m%d-%H%M%S%z").timestamp()
