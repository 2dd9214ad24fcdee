"""What becomes of a visitor's runs: a function for each button, from what the browser sends to what it is sent."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.publishing.publish import Hub, Token, who_signs
from trainer.publishing.sharing import start_sharing
from trainer.publishing.wishes import Wish, suggested_name
from trainer.renting.hardware import Machine, offer
from trainer.renting.ledger import rented_of
from trainer.renting.renting import rent, stop_rented
from trainer.runs.deleting import delete_run
from trainer.runs.following import view_of
from trainer.runs.processes import stop_trainer
from trainer.runs.resuming import resume_run
from trainer.runs.run import Run, list_runs
from trainer.runs.starting import start_run
from trainer.runs.view import RunView
from trainer.settings import Settings
from trainer.training.fitting import check_fits
from trainer.training.recipe import Recipe
from trainer.ui.answers import Answers, Visit, created, locale_of_run
from trainer.ui.faults import explain, note
from trainer.ui.form import Form, recipe_of
from trainer.ui.picture import picture
from trainer.ui.renting import limit_of, machine_called
from trainer.ui.sharing import PUBLIC
from trainer.ui.visitors import NOBODY, owner_of, valid_or_new
from trainer.ui.watching import QUICK, Watch, quick_changes

log = logging.getLogger("voicetune.page")
SECONDS_OF_A_DOUBLE_CLICK = 2.0  # ids count whole seconds
STRANGER = "This page does not know your browser yet. Load it anew, then press Start again."


@dataclass(frozen=True)
class RunHandlers:
    """Answers for all visitors. It holds nothing but the settings; what a visitor looks at comes with each call."""

    settings: Settings

    @property
    def answers(self) -> Answers:
        """What the page is sent."""
        return Answers(self.settings)

    def arrive(self, visit: Visit) -> list[Any]:
        """A page was opened: the browser's secret, then its run that is going on, else its newest."""
        secret = valid_or_new(visit.secret)
        owner = owner_of(secret, self.settings)
        runs = list_runs(self.settings.runs_dir, owner)
        active = self.answers.active(owner)
        run = active or next(iter(runs), None)
        watch = Watch(run.id if run else None, active.id if active else None)
        return [
            gr.skip() if secret == visit.secret else secret,
            *self.answers.answer(replace(visit, secret=secret, watch=watch)),
        ]

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
        return self.answers.answer(replace(visit, watch=Watch(run_id, visit.watch.active)))

    def start(self, visit: Visit, form: Form, share: bool = False, signer: Token | None = None) -> list[Any]:
        """Start was pressed. What keeps it from starting is said beside the button."""
        owner = owner_of(visit.secret, self.settings)
        if owner == NOBODY:
            return self.answers.nothing(start_note=note(STRANGER))
        try:
            recipe = recipe_of(form, self.settings)
            check_fits(recipe, self.settings, visit.hub, ask=False)
            if share:
                who_signs(signer, self._hub)
            run = self._pressed_twice(owner, recipe) or start_run(self.settings, recipe, owner)
            if share:
                start_sharing(run, Wish(suggested_name(run.id)), signer, _curves(run), self._hub)
        except Exception as error:
            return self.answers.nothing(start_note=note(explain(error)))
        return self.answers.answer(replace(visit, watch=Watch(run.id, run.id)))

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
            return self.answers.nothing(start_note=note(STRANGER))
        try:
            if self.answers.active(owner):
                raise UserError("You have one under way already.", "Stop it, or wait until it has ended.")
            machine, recipe = machine_called(name, machines), recipe_of(form, self.settings)
            minutes = offer(recipe, machine, self.settings, limit_of(limit)).limit_minutes
            run = rent(self.settings, recipe, owner, machine, minutes, signer, self._hub)
        except Exception as error:
            return self.answers.nothing(start_note=note(explain(error)))
        return self.answers.answer(replace(visit, watch=Watch(run.id, run.id)))

    def stop(self, visit: Visit, signer: Token | None = None) -> list[Any]:
        """Stop was pressed. The trainer is asked at once; insisting takes seconds and happens in a thread."""
        run = self.answers.find(visit)
        if run and rented_of(run):
            stop_rented(run, signer, self._hub)
        elif run:
            run.ask_to_stop()
            threading.Thread(target=_insist, args=(run,), name=f"stop-{run.id}", daemon=True).start()
        return self.answers.answer(visit)

    def resume(self, visit: Visit) -> list[Any]:
        """Resume was pressed, by whoever may see the run: its owner."""
        run = self.answers.find(visit)
        if run is None:
            raise UserError("That run is not there any more.", "Choose another one.")
        if rented_of(run):
            raise UserError(
                "This training ran on a rented machine, and nothing to go on from is here.",
                "Press “Fine-tune again”, and start it anew.",
            )
        resume_run(self.settings, run)
        return self.answers.answer(replace(visit, watch=Watch(run.id, run.id)))

    def delete(self, visit: Visit) -> list[Any]:
        """The question whether to delete the run was answered with yes; the newest one left is shown instead."""
        run = self.answers.find(visit)
        if run is None:
            raise UserError("That run is not there any more.", "Choose another one.")
        delete_run(run)
        left = next(iter(list_runs(self.settings.runs_dir, owner_of(visit.secret, self.settings))), None)
        watch = Watch(left.id if left else None, visit.watch.active)
        return self.answers.answer(replace(visit, watch=watch))

    def share(self, visit: Visit, signer: Token | None, name: str, visibility: str, licence: str) -> list[Any]:
        """Share was pressed. It goes on in a thread, and the ticks say how far it is."""
        run = self.answers.find(visit)
        try:
            if run is None:
                raise UserError("That run is not there any more.", "Choose another one.")
            start_sharing(run, Wish(name, visibility != PUBLIC, licence), signer, _curves(run), self._hub)
        except Exception as error:
            return self.answers.nothing(share_note=note(explain(error)))
        return self.answers.answer(visit)

    @property
    def _hub(self) -> Hub:
        return Hub(on_space=self.settings.on_space)

    def _pressed_twice(self, owner: str, recipe: Recipe) -> Run | None:
        """The run of a double click's first press."""
        newest = next(iter(list_runs(self.settings.runs_dir, owner)), None)
        if newest is None or time.time() - created(newest) > SECONDS_OF_A_DOUBLE_CLICK or newest.recipe() != recipe:
            return None
        return None if view_of(newest).over else newest


def _curves(run: Run) -> Callable[[RunView], bytes]:
    return lambda view: picture(view, locale_of_run(run))


def _insist(run: Run) -> None:
    try:
        stop_trainer(run)
    except Exception:
        log.exception("Stopping %s failed", run.id)
