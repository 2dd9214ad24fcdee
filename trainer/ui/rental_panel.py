""" "Train on a rented GPU", in Advanced: shown to who is signed in, with minutes and money before anything starts."""

import logging
from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.formatting import about, number
from trainer.jobs.bundle import check_travels
from trainer.jobs.monitor import follow
from trainer.jobs.pricing import LONGEST_LIMIT, Flavor, Offer, offer
from trainer.jobs.submit import available_flavors
from trainer.publishing.publish import Hub, Token
from trainer.settings import Settings
from trainer.ui.components import explain, fragment, note
from trainer.ui.recipe_form import Form, recipe_of
from trainer.ui.visitors import Visitor

log = logging.getLogger("voicetune.page")
LOOKED_AT = 30  # of the newest runs, for ones that are still on a rented machine
WHAT_TRAVELS = (
    "Your Hugging Face account pays. The program and the recipe go there, and the model comes back, through a private "
    "repo of yours."
)


@dataclass(frozen=True)
class RentingFields:
    """The components. `flavors` are the machines on offer, as the Hub named them when the page was opened."""

    group: gr.Column
    flavors: gr.State
    flavor: gr.Dropdown
    limit: gr.Number
    cost: gr.HTML
    start: gr.Button

    @property
    def inputs(self) -> list[Any]:
        """What an estimate and a start need beside the form."""
        return [self.flavors, self.flavor, self.limit]


def build_renting() -> RentingFields:
    """Lay it out, hidden."""
    with gr.Column(visible=False, elem_id="renting") as group:
        flavors = gr.State([])
        flavor = gr.Dropdown([], label="Train on a rented GPU", info="A Hugging Face Job")
        limit = gr.Number(0, label="Stop it after", info="Minutes; 0: three times the estimate")
        cost = fragment("", elem_id="renting-cost")
        start = gr.Button("Start on the rented GPU", size="md", elem_id="start-rented")
    return RentingFields(group, flavors, flavor, limit, cost, start)


@dataclass(frozen=True)
class RentingHandlers:
    """Answers for all visitors; holds nothing but the settings."""

    settings: Settings

    def welcome(self, signer: Token | None, visitor: Visitor) -> list[Any]:
        """A page was opened: follow this person's rented runs again, and show what they can rent, or nothing."""
        if not signer:
            return [gr.skip()] * 3
        hub = Hub(on_space=self.settings.on_space)
        try:
            found = available_flavors(signer, hub)
        except UserError:  # not signed in, or no internet: then there is nothing to offer
            return [gr.skip()] * 3
        for run in visitor.runs()[:LOOKED_AT]:
            follow(run, signer, hub)
        choices = [(flavor.label, flavor.name) for flavor in found]
        first = found[0].name if found else None
        return [gr.update(visible=bool(found)), found, gr.update(choices=choices, value=first)]

    def cost(self, flavors: list[Flavor], name: str | None, limit: float | None, *sent: Any) -> str:
        """What it would take, or why it cannot be done there."""
        try:
            flavor = flavor_called(name, flavors)
            recipe = recipe_of(Form(*sent), self.settings)
            check_travels(recipe)
            return note(cost_words(offer(recipe, flavor, self.settings, limit)) + f" {WHAT_TRAVELS}", "quiet")
        except Exception as error:
            return note(explain(error))


def flavor_called(name: str | None, flavors: list[Flavor]) -> Flavor:
    """The one of that name. Raises UserError."""
    found = next((flavor for flavor in flavors or [] if flavor.name == name), None)
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
        raise UserError(
            f"A limit of {number(limit)} minutes will not do.", f"Choose one from 1 to {LONGEST_LIMIT}, or 0."
        )
    return limit
