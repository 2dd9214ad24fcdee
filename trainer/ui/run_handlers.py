"""What becomes of a visitor's runs: a function for each button, from what the browser sends to what it is sent."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from cachetools import TTLCache, cached

from trainer.errors import UserError
from trainer.jobs.monitor import job_of
from trainer.jobs.pricing import Flavor, offer
from trainer.jobs.submit import rent, stop_job
from trainer.publishing.background import sharing_of, start_sharing
from trainer.publishing.options import PublishOptions, suggested_name
from trainer.publishing.plots import picture
from trainer.publishing.publish import Hub, Token, who_signs
from trainer.runs.follower import view_of
from trainer.runs.lifecycle import resume_run, start_run
from trainer.runs.preflight import check_inputs_soon
from trainer.runs.process import stop_trainer
from trainer.runs.queue import recent_tickets, seconds_until_turn
from trainer.runs.run import FROZEN_CLIPS, Run
from trainer.runs.storage import check_queue, delete_run, room_of
from trainer.runs.view import RunView
from trainer.settings import Settings
from trainer.speech.locales import LOCALES, Locale
from trainer.training.estimate import check_memory
from trainer.training.recipe import Recipe
from trainer.ui.components import explain, note
from trainer.ui.panel_state import Shown, Visit, Watch, nothing_yet
from trainer.ui.publish_panel import PUBLIC
from trainer.ui.recipe_form import Form, check_own_clips, recipe_of
from trainer.ui.rental_panel import flavor_called, limit_of
from trainer.ui.run_panel import QUICK, Panel, changes, quick_changes, room_line
from trainer.ui.visitors import Visitor
from trainer.ui.wording import summary

EARLIER_RUNS = 30  # in the list
SECONDS_ROOM_LASTS = 10.0


@dataclass(frozen=True)
class Answers:
    """Answers for all visitors. It holds nothing but the settings."""

    settings: Settings

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
        visitor, run = visit.visitor, visit.run
        active = visitor.find(visit.watch.active)
        if active and view_of(active).over:
            active = self.active(visitor)
        if run is None:
            shown = nothing_yet(LOCALES["en-US"], visit.hub_missing)
            return replace(shown, full=self._full(visitor)), active.id if active else None
        view = view_of(run)
        shown = Shown(
            run,
            view,
            locale_of_run(run),
            busy=active is not None or not view.over,
            full=self._full(visitor),
            hub_missing=visit.hub_missing,
            wait=seconds_until_turn(self.settings, run) if view.state == "waiting" and view.place else None,
            earlier=lambda: _earlier(visitor),
            room=lambda: self._room(visitor),
            sharing=sharing_of(run),
            can_sign_in=self.settings.can_sign_in,
        )
        return shown, active.id if active else None

    def active(self, visitor: Visitor) -> Run | None:
        """The visitor's run that is going on; it can only be among the newest."""
        newest = visitor.runs()[: self.settings.limits.waiting_runs + 1]
        return next((run for run in newest if not view_of(run).over), None)

    def _full(self, visitor: Visitor) -> str:
        """Why this visitor cannot have another run in line; "" where they can."""
        try:
            check_queue(self.settings, visitor.owner, recent_tickets(self.settings.queue_dir))
        except UserError as error:
            return str(error)
        return ""

    def _room(self, visitor: Visitor) -> str:
        return _room_line(self.settings.limits.disk_bytes, tuple(visitor.runs()))


def _earlier(visitor: Visitor) -> list[tuple[str, str]]:
    runs = visitor.runs()[:EARLIER_RUNS]
    return [(summary(view_of(run), locale_of_run(run), run.created), run.id) for run in runs]


@cached(TTLCache(maxsize=64, ttl=SECONDS_ROOM_LASTS), lock=threading.Lock())
def _room_line(most_bytes: int, runs: tuple[Run, ...]) -> str:
    """It looks at every file; a person who loads the page anew may well see the same figure for some seconds."""
    return room_line(room_of(list(runs), most_bytes), len(runs))


def locale_of_run(run: Run) -> Locale:
    """The language it learns; US English where its folder does not say."""
    return LOCALES.get(str(run.recipe_values.get("locale")), LOCALES["en-US"])


log = logging.getLogger("voicetune.page")
SECONDS_OF_A_DOUBLE_CLICK = 2.0  # ids count whole seconds
STRANGER = (
    "Your browser keeps no cookie of this page, so I could not tell which training is yours. Load the page anew, or "
    "open it in a tab of its own, then press Start again."
)


@dataclass(frozen=True)
class RunHandlers:
    """Answers for all visitors. It holds nothing but the settings; what a visitor looks at comes with each call."""

    settings: Settings

    @property
    def answers(self) -> Answers:
        """What the page is sent."""
        return Answers(self.settings)

    def arrive(self, visit: Visit, locale: str) -> list[Any]:
        """A page was opened: its visitor's run that is going on, else their newest; then its language, to be filled
        in."""
        active = self.answers.active(visit.visitor)
        run = active or next(iter(visit.visitor.runs()), None)
        answer = self.answers.answer(visit.looking_at(run, active.id if active else None))
        return [*answer, [[locale, locale_of_run(run).code if run else locale]]]

    def poll(self, visit: Visit) -> list[Any]:
        """What has changed for this page. An error is logged, not shown: the next tick may go well."""
        try:
            return self.answers.answer(visit)
        except Exception:
            log.exception("A poll failed")
            return self.answers.nothing()

    def glance(self, visit: Visit) -> list[Any]:
        """A tick: the watch, what changes with every step, and a new number where more has changed, to be polled for.

        For each output that is skipped Gradio makes a component anew, so that an answer for the whole panel takes it
        several times as long. As with a poll, an error is logged, not shown.
        """
        try:
            shown, active = self.answers.look(visit)
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
        return self.answers.answer(visit.looking_at(visit.visitor.find(run_id), visit.watch.active))

    def start(self, visit: Visit, form: Form, share: bool = False, signer: Token | None = None) -> list[Any]:
        """Start was pressed. What keeps it from starting is said beside the button."""
        if not visit.visitor.known:
            return self._refused(STRANGER)
        try:
            recipe = recipe_of(form, self.settings, visit.visitor.owner)
            check_own_clips(form, self.settings, visit.visitor.owner)
            check_memory(recipe, self.settings, visit.hub, ask=False)
            check_inputs_soon(recipe, self.settings)
            if share:
                who_signs(signer, self._hub)
            run = _pressed_twice(visit.visitor, recipe) or start_run(self.settings, recipe, visit.visitor.owner)
            if share:
                start_sharing(run, PublishOptions(suggested_name(run.id)), signer, _curves(run), self._hub)
        except Exception as error:
            return self._refused(explain(error))
        return self._started(visit, run)

    def rent(
        self,
        visit: Visit,
        machines: list[Flavor],
        name: str | None,
        limit: float | None,
        form: Form,
        signer: Token | None,
    ) -> list[Any]:
        """Start on the rented GPU was pressed. Sending what it needs there takes some seconds."""
        if not visit.visitor.known:
            return self._refused(STRANGER)
        try:
            if self.answers.active(visit.visitor):
                raise UserError("You have one under way already.", "Stop it, or wait until it has ended.")
            machine, recipe = flavor_called(name, machines), recipe_of(form, self.settings)
            minutes = offer(recipe, machine, self.settings, limit_of(limit)).limit_minutes
            run = rent(self.settings, recipe, visit.visitor.owner, machine, minutes, signer, self._hub)
        except Exception as error:
            return self._refused(explain(error))
        return self._started(visit, run)

    def _started(self, visit: Visit, run: Run) -> list[Any]:
        return [*self.answers.answer(visit.looking_at(run, run.id)), ""]

    def _refused(self, why: str) -> list[Any]:
        return [*self.answers.nothing(), note(why)]

    def stop(self, visit: Visit, signer: Token | None = None) -> list[Any]:
        """Stop was pressed. The trainer is asked at once; insisting takes seconds and happens in a thread."""
        run = visit.run
        if run and job_of(run):
            stop_job(run, signer, self._hub)
        elif run and not view_of(run).over:
            run.ask_to_stop()
            insist(run)
        return self.answers.answer(visit)

    def resume(self, visit: Visit) -> list[Any]:
        """Resume was pressed, by whoever may see the run: its owner."""
        run = _still_there(visit)
        if job_of(run):
            raise UserError(
                "This training ran on a rented machine, and nothing to go on from is here.",
                "Press “Fine-tune again”, and start it anew.",
            )
        resume_run(self.settings, run)
        return self.answers.answer(visit.looking_at(run, run.id))

    def delete(self, visit: Visit) -> list[Any]:
        """The question whether to delete the run was answered with yes; the newest one left is shown instead."""
        run = _still_there(visit)
        delete_run(run)
        left = next(iter(visit.visitor.runs()), None)
        return self.answers.answer(visit.looking_at(left, visit.watch.active))

    def share(self, visit: Visit, signer: Token | None, name: str, visibility: str, licence: str) -> list[Any]:
        """Share was pressed. It goes on in a thread, and the ticks say how far it is."""
        try:
            run = _still_there(visit)
            start_sharing(run, PublishOptions(name, visibility != PUBLIC, licence), signer, _curves(run), self._hub)
        except Exception as error:
            return self.answers.nothing(share_note=note(explain(error)))
        return self.answers.answer(visit)

    @property
    def _hub(self) -> Hub:
        return Hub(on_space=self.settings.on_space)


def _still_there(visit: Visit) -> Run:
    """The run that the page looks at. Raises UserError where it is gone, or was never theirs."""
    if visit.run is None:
        raise UserError("That run is not there any more.", "Choose another one.")
    return visit.run


def _pressed_twice(visitor: Visitor, recipe: Recipe) -> Run | None:
    """The run of a double click's first press."""
    newest = next(iter(visitor.runs()), None)
    if newest is None or time.time() - newest.created > SECONDS_OF_A_DOUBLE_CLICK:
        return None
    before = newest.recipe()
    if Path(before.data).name == FROZEN_CLIPS:  # its own copy of the clips
        before = before.change(data=recipe.data)
    if before != recipe:
        return None
    return None if view_of(newest).over else newest


def _curves(run: Run) -> Callable[[RunView], bytes]:
    return lambda view: picture(view, locale_of_run(run))


_insisted: set[Path] = set()
_insisting = threading.Lock()


def insist(run: Run) -> None:
    """Stop a run's trainer in a thread, one a run however often and by however many pages it is asked for."""
    with _insisting:
        if run.folder in _insisted:
            return
        _insisted.add(run.folder)
    threading.Thread(target=_insist, args=(run,), name=f"stop-{run.id}", daemon=True).start()


def _insist(run: Run) -> None:
    try:
        stop_trainer(run)
    except Exception:
        log.exception("Stopping %s failed", run.id)
    finally:
        with _insisting:
            _insisted.discard(run.folder)
