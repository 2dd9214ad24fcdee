"""What the Fine-tune tab shows of a visitor's runs: plain functions from what the browser sends to what it is sent."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.models.bases import is_here
from trainer.publishing.publish import Hub, Token, who_signs
from trainer.publishing.sharing import sharing_of, start_sharing
from trainer.publishing.wishes import Wish, suggested_name
from trainer.renting.hardware import Machine, offer
from trainer.renting.ledger import rented_of
from trainer.renting.renting import rent, stop_rented
from trainer.runs.deleting import delete_run
from trainer.runs.following import view_of
from trainer.runs.processes import stop_trainer
from trainer.runs.queue import recent_line, seconds_until_turn
from trainer.runs.quota import check_line, room_of
from trainer.runs.resuming import resume_run
from trainer.runs.run import Run, find_run, list_runs
from trainer.runs.starting import start_run
from trainer.runs.view import RunView
from trainer.settings import Settings
from trainer.speech.locales import LOCALES, Locale
from trainer.training.fitting import check_fits
from trainer.training.presets import preset_of
from trainer.training.recipe import Recipe
from trainer.ui.faults import explain, note
from trainer.ui.form import Form, recipe_of
from trainer.ui.housekeeping import room_line
from trainer.ui.panel import Panel
from trainer.ui.picture import picture
from trainer.ui.renting import limit_of, machine_called
from trainer.ui.sharing import PUBLIC
from trainer.ui.visitors import NOBODY, owner_of, valid_or_new
from trainer.ui.watching import QUICK, Shown, Watch, changes, nothing_yet, quick_changes
from trainer.ui.wording import summary

log = logging.getLogger("voicetune.page")
EARLIER_RUNS = 30  # in the list
SECONDS_OF_A_DOUBLE_CLICK = 2.0  # ids count whole seconds
STRANGER = "This page does not know your browser yet. Load it anew, then press Start again."


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
class RunHandlers:
    """Answers for all visitors. It holds nothing but the settings; what a visitor looks at comes with each call."""

    settings: Settings

    def arrive(self, visit: Visit) -> list[Any]:
        """A page was opened: the browser's secret, then its run that is going on, else its newest."""
        secret = valid_or_new(visit.secret)
        owner = owner_of(secret, self.settings)
        runs = list_runs(self.settings.runs_dir, owner)
        active = self._active(owner)
        run = active or next(iter(runs), None)
        watch = Watch(run.id if run else None, active.id if active else None)
        return [
            gr.skip() if secret == visit.secret else secret,
            *self._answer(replace(visit, secret=secret, watch=watch)),
        ]

    def poll(self, visit: Visit) -> list[Any]:
        """What has changed for this page. An error is logged, not shown: the next tick may go well."""
        try:
            return self._answer(visit)
        except Exception:
            log.exception("A poll failed")
            return self._nothing()

    def glance(self, visit: Visit) -> list[Any]:
        """A tick: the watch, what changes with every step, and a new number where more has changed, to be polled for.

        For each output that is skipped Gradio makes a component anew, so that an answer for the whole panel takes it
        several times as long. As with a poll, an error is logged, not shown.
        """
        try:
            shown, active = self._look(visit)
            sent, changed, more = quick_changes(visit.watch, shown)
        except Exception:
            log.exception("A glance failed")
            return [gr.skip()] * (2 + len(QUICK))
        watch = replace(visit.watch, active=active, sent=sent)
        quick = [changed.get(name, gr.skip()) for name in QUICK]
        number = time.monotonic_ns() // 1_000_000 if more or shown.run is None else gr.skip()
        return [gr.skip() if watch == visit.watch else watch, *quick, number]

    def choose(self, visit: Visit, run_id: str | None) -> list[Any]:
        """An earlier run was chosen from the list."""
        return self._answer(replace(visit, watch=Watch(run_id, visit.watch.active)))

    def start(self, visit: Visit, form: Form, share: bool = False, signer: Token | None = None) -> list[Any]:
        """Start was pressed. What keeps it from starting is said beside the button."""
        owner = owner_of(visit.secret, self.settings)
        if owner == NOBODY:
            return self._nothing(start_note=note(STRANGER))
        try:
            recipe = recipe_of(form, self.settings)
            check_fits(recipe, self.settings, visit.hub, ask=False)
            if share:
                who_signs(signer, self._hub)
            run = self._pressed_twice(owner, recipe) or start_run(self.settings, recipe, owner)
            if share:
                start_sharing(run, Wish(suggested_name(run.id)), signer, _curves(run), self._hub)
        except Exception as error:
            return self._nothing(start_note=note(explain(error)))
        return self._answer(replace(visit, watch=Watch(run.id, run.id)))

    def rent(
        self,
        visit: Visit,
        form: Form,
        machines: list[Machine],
        name: str | None,
        limit: float | None,
        signer: Token | None,
    ) -> list[Any]:
        """Start on the rented GPU was pressed. Sending what it needs there takes some seconds."""
        owner = owner_of(visit.secret, self.settings)
        if owner == NOBODY:
            return self._nothing(start_note=note(STRANGER))
        try:
            if self._active(owner):
                raise UserError("You have one under way already.", "Stop it, or wait until it has ended.")
            machine, recipe = machine_called(name, machines), recipe_of(form, self.settings)
            minutes = offer(recipe, machine, self.settings, limit_of(limit)).limit_minutes
            run = rent(self.settings, recipe, owner, machine, minutes, signer, self._hub)
        except Exception as error:
            return self._nothing(start_note=note(explain(error)))
        return self._answer(replace(visit, watch=Watch(run.id, run.id)))

    def stop(self, visit: Visit, signer: Token | None = None) -> list[Any]:
        """Stop was pressed. The trainer is asked at once; insisting takes seconds and happens in a thread."""
        run = self.find(visit)
        if run and rented_of(run):
            stop_rented(run, signer, self._hub)
        elif run:
            run.ask_to_stop()
            threading.Thread(target=_insist, args=(run,), name=f"stop-{run.id}", daemon=True).start()
        return self._answer(visit)

    def resume(self, visit: Visit) -> list[Any]:
        """Resume was pressed, by whoever may see the run: its owner."""
        run = self.find(visit)
        if run is None:
            raise UserError("That run is not there any more.", "Choose another one.")
        if rented_of(run):
            raise UserError(
                "This training ran on a rented machine, and nothing to go on from is here.",
                "Press “Fine-tune again”, and start it anew.",
            )
        resume_run(self.settings, run)
        return self._answer(Visit(visit.secret, Watch(run.id, run.id), visit.preset, visit.hub))

    def delete(self, visit: Visit) -> list[Any]:
        """The question whether to delete the run was answered with yes; the newest one left is shown instead."""
        run = self.find(visit)
        if run is None:
            raise UserError("That run is not there any more.", "Choose another one.")
        delete_run(run)
        left = next(iter(list_runs(self.settings.runs_dir, owner_of(visit.secret, self.settings))), None)
        watch = Watch(left.id if left else None, visit.watch.active)
        return self._answer(replace(visit, watch=watch))

    def share(self, visit: Visit, signer: Token | None, name: str, visibility: str, licence: str) -> list[Any]:
        """Share was pressed. It goes on in a thread, and the ticks say how far it is."""
        run = self.find(visit)
        try:
            if run is None:
                raise UserError("That run is not there any more.", "Choose another one.")
            start_sharing(run, Wish(name, visibility != PUBLIC, licence), signer, _curves(run), self._hub)
        except Exception as error:
            return self._nothing(share_note=note(explain(error)))
        return self._answer(visit)

    @property
    def _hub(self) -> Hub:
        return Hub(on_space=self.settings.on_space)

    def find(self, visit: Visit) -> Run | None:
        """The run that this page looks at, where it is this visitor's."""
        owner = owner_of(visit.secret, self.settings)
        return find_run(self.settings.runs_dir, visit.watch.run, owner) if visit.watch.run else None

    def _answer(self, visit: Visit) -> list[Any]:
        """The watch and the panel, as far as they have changed."""
        shown, active = self._look(visit)
        keys, changed = changes(visit.watch, shown)
        watch = Watch(shown.run.id if shown.run else None, active, keys)
        if watch == visit.watch:
            return self._nothing()
        return [watch, *Panel.updates(changed)]

    def _nothing(self, **but: Any) -> list[Any]:
        return [gr.skip(), *Panel.updates(but)]

    def _look(self, visit: Visit) -> tuple[Shown, str | None]:
        """What the panel shows, and the id of this visitor's run that is going on."""
        owner = owner_of(visit.secret, self.settings)
        active = find_run(self.settings.runs_dir, visit.watch.active, owner) if visit.watch.active else None
        if active and view_of(active).over:
            active = self._active(owner)
        run = self.find(visit)
        if run is None:
            shown = nothing_yet(LOCALES["en-US"], visit.hub_missing)
            return replace(shown, full=self._full(owner)), active.id if active else None
        view = view_of(run)
        shown = Shown(
            run,
            view,
            _locale_of(run),
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

    def _full(self, owner: str) -> str:
        """Why this owner cannot have another run in line; "" where they can."""
        try:
            check_line(self.settings, owner, recent_line(self.settings.turns_dir))
        except UserError as error:
            return str(error)
        return ""

    def _pressed_twice(self, owner: str, recipe: Recipe) -> Run | None:
        """The run of a double click's first press."""
        newest = next(iter(list_runs(self.settings.runs_dir, owner)), None)
        if newest is None or time.time() - _created(newest) > SECONDS_OF_A_DOUBLE_CLICK or newest.recipe() != recipe:
            return None
        return None if view_of(newest).over else newest

    def _room(self, owner: str) -> str:
        return _room_line(self.settings, tuple(list_runs(self.settings.runs_dir, owner)), int(time.monotonic() / 10))

    def _active(self, owner: str) -> Run | None:
        """The owner's run that is going on; it can only be among the newest."""
        newest = list_runs(self.settings.runs_dir, owner)[: self.settings.limits.waiting_runs + 1]
        return next((run for run in newest if not view_of(run).over), None)

    def _earlier(self, owner: str) -> list[tuple[str, str]]:
        runs = list_runs(self.settings.runs_dir, owner)[:EARLIER_RUNS]
        return [(summary(view_of(run), _locale_of(run), _created(run)), run.id) for run in runs]


@functools.lru_cache(maxsize=64)
def _room_line(settings: Settings, runs: tuple[Run, ...], clock: int) -> str:
    """It looks at every file; a person who loads the page anew may well see the same figure for some seconds."""
    return room_line(room_of(list(runs), settings.limits.disk_bytes), len(runs))


def _locale_of(run: Run) -> Locale:
    recipe = run.config().get("recipe", {})
    return LOCALES.get(recipe.get("locale", ""), LOCALES["en-US"])


def _curves(run: Run) -> Callable[[RunView], bytes]:
    return lambda view: picture(view, _locale_of(run))


def _created(run: Run) -> float:
    """When it was made, from its id, in whole seconds since the epoch."""
    return datetime.strptime(f"{run.id[:15]}+0000", "%Y%m%d-%H%M%S%z").timestamp()


def _insist(run: Run) -> None:
    try:
        stop_trainer(run)
    except Exception:
        log.exception("Stopping %s failed", run.id)
