"""What the choice of a base model asks for: which there are, what is said of one, and the fields it brings along."""

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.models.bases import BASES, is_here
from trainer.models.sizes import ask_sizes, sizes_of
from trainer.settings import Settings
from trainer.speech.locales import locale_of
from trainer.training.estimate import estimate_seconds
from trainer.training.fitting import fit_of, longest_clip
from trainer.training.hardware import this_machine
from trainer.ui.base_card import Chosen, base_card, fold_label, not_now
from trainer.ui.base_offers import offer, worked_before
from trainer.ui.faults import explain
from trainer.ui.fields import changed_values
from trainer.ui.form import Form, fill_for_base, recipe_of
from trainer.ui.visitors import owner_of


@dataclass(frozen=True)
class ChooserHandlers:
    """Answers for all visitors; holds nothing but the settings."""

    settings: Settings

    def offers(self, secret: object, hub: bool | None, locale: str) -> list[Any]:
        """The list, the line with the recommendation, and those that cannot be chosen now."""
        worked = worked_before(self.settings, owner_of(secret, self.settings))
        offered = offer(locale_of(locale), self.settings, hub, worked)
        return [gr.update(choices=offered.choices), offered.recommended, not_now(offered.not_now)]

    def describe(self, form: Form, hub: bool | None) -> list[Any]:
        """The name on the fold, and the card."""
        if not form.base:
            return [gr.update(label="Model"), base_card(Chosen("", None, here=False, problem="No model is chosen."))]
        return [gr.update(label=fold_label(form.base, BASES.get(form.base))), base_card(self._chosen(form, hub))]

    def look_up(self, form: Form, hub: bool | None) -> Any:
        """The card again for a base that only the Hub knows: its sizes are asked for. Takes seconds."""
        if not form.base or hub is False or sizes_of(form.base):
            return gr.skip()
        try:
            ask_sizes(recipe_of(form, self.settings).base)
            return base_card(self._chosen(form, hub))
        except Exception as error:
            return base_card(Chosen(form.base, None, here=False, problem=explain(error)))

    def fill(self, form: Form) -> list[Any]:
        """The fields as the chosen base wants them: another preset, where the chosen one is not made for it."""
        return changed_values(fill_for_base(form), form)

    def take(self, form: Form, found: str | None) -> list[Any]:
        """A base from the search's list, as if it had been typed."""
        if not found:
            raise UserError("Nothing was found yet.", "Search first.")
        return changed_values(fill_for_base(replace(form, base=found)), form)

    def _chosen(self, form: Form, hub: bool | None) -> Chosen:
        row, here = BASES.get(form.base), is_here(form.base)
        try:
            recipe = recipe_of(form, self.settings)
        except UserError as error:
            return Chosen(form.base, row, here, problem=explain(error))
        sizes = sizes_of(recipe.base)
        if sizes is None:
            return Chosen(form.base, row, here)
        fit = fit_of(recipe, sizes, longest_clip(recipe.data, self.settings, hub), this_machine())
        seconds = estimate_seconds(recipe, self.settings, sizes.shape)
        return Chosen(form.base, row, here, seconds, fit, 4 * sizes.parameters)
