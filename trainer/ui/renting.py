""" "Train on a rented GPU", in Advanced: shown to who is signed in, with minutes and money before anything starts."""

import logging
from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.publishing.publish import Hub, Token
from trainer.renting.following import follow
from trainer.renting.hardware import LONGEST_LIMIT, Machine, Offer, offer
from trainer.renting.parcel import check_travels
from trainer.renting.renting import machines_for
from trainer.runs.run import list_runs
from trainer.settings import Settings
from trainer.ui.faults import explain, note
from trainer.ui.form import Form, recipe_of
from trainer.ui.fragments import fragment
from trainer.ui.visitors import owner_of
from trainer.ui.wording import about

log = logging.getLogger("voicetune.page")
LOOKED_AT = 30  # of the newest runs, for ones that are still on a rented machine
WHAT_TRAVELS = (
    "Your Hugging Face account pays. The program and the recipe go there, and the model comes back, through a private "
    "repo of yours."
)


@dataclass(frozen=True)
class RentingFields:
    """The components. `machines` are those on offer, as the Hub named them when the page was opened."""

    group: gr.Column
    machines: gr.State
    machine: gr.Dropdown
    limit: gr.Number
    cost: gr.HTML
    start: gr.Button

    @property
    def inputs(self) -> list[Any]:
        """What an estimate and a start need beside the form."""
        return [self.machines, self.machine, self.limit]


def build_renting() -> RentingFields:
    """Lay it out, hidden."""
    with gr.Column(visible=False, elem_id="renting") as group:
        machines = gr.State([])
        machine = gr.Dropdown([], label="Train on a rented GPU", info="A Hugging Face Job")
        limit = gr.Number(0, label="Stop it after", info="Minutes; 0: three times the estimate", minimum=0)
        cost = fragment("", elem_id="renting-cost")
        start = gr.Button("Start on the rented GPU", size="md", elem_id="start-rented")
    return RentingFields(group, machines, machine, limit, cost, start)


@dataclass(frozen=True)
class RentingHandlers:
    """Answers for all visitors; holds nothing but the settings."""

    settings: Settings

    def welcome(self, signer: Token | None, secret: object) -> list[Any]:
        """A page was opened: follow this person's rented runs again, and show what they can rent, or nothing."""
        if not signer:
            return [gr.skip()] * 3
        hub = Hub(on_space=self.settings.on_space)
        try:
            found = machines_for(signer, hub)
        except UserError:  # not signed in, or no internet: then there is nothing to offer
            return [gr.skip()] * 3
        for run in list_runs(self.settings.runs_dir, owner_of(secret, self.settings))[:LOOKED_AT]:
            follow(run, signer, hub)
        choices = [(machine.label, machine.name) for machine in found]
        first = found[0].name if found else None
        return [gr.update(visible=bool(found)), found, gr.update(choices=choices, value=first)]

    def cost(self, machines: list[Machine], name: str | None, limit: float | None, *sent: Any) -> str:
        """What it would take, or why it cannot be done there."""
        try:
            machine = machine_called(name, machines)
            recipe = recipe_of(Form(*sent), self.settings)
            check_travels(recipe)
            return note(cost_words(offer(recipe, machine, self.settings, limit)) + f" {WHAT_TRAVELS}", "quiet")
        except Exception as error:
            return note(explain(error))


def machine_called(name: str | None, machines: list[Machine]) -> Machine:
    """The one of that name. Raises UserError."""
    found = next((machine for machine in machines or [] if machine.name == name), None)
    if found is None:
        raise UserError("No machine is chosen.", "Choose one from the list, or open this page anew.")
    return found


def cost_words(offered: Offer) -> str:
    """ "About 7 minutes there, some $0.05. It is stopped after 25 minutes, so it costs $0.17 at most."."""
    usual = about(60 * offered.minutes)
    return (
        f"{usual[0].upper()}{usual[1:]} there, some {dollars(offered.usd)}. It is stopped after "
        f"{offered.limit_minutes} minutes, so it costs {dollars(offered.most_usd)} at most."
    )


def dollars(amount: float) -> str:
    """Never rounded down to nothing."""
    return f"${max(amount, 0.01):.2f}"


def limit_of(limit: float | None) -> float | None:
    """What was typed, where it is one. Raises UserError."""
    if not limit:
        return None
    if not 1 <= limit <= LONGEST_LIMIT:
        raise UserError(f"A limit of {limit:g} minutes will not do.", f"Choose one from 1 to {LONGEST_LIMIT}, or 0.")
    return limit
