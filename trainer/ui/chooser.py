"""The choice of a base model, folded away: whoever does not care never sees more than its name."""

from dataclasses import dataclass

import gradio as gr

from trainer.models.bases import BASES
from trainer.settings import Settings
from trainer.speech.locales import locale_of
from trainer.ui.base_card import fold_label, not_now
from trainer.ui.base_offers import offer
from trainer.ui.finder import Finder, build_finder
from trainer.ui.form import Form
from trainer.ui.fragments import fragment


@dataclass(frozen=True)
class Chooser:
    """Its components. `base` is also a field of the form."""

    fold: gr.Accordion
    recommended: gr.HTML
    base: gr.Dropdown
    card: gr.HTML
    not_now: gr.HTML
    finder: Finder


def build_chooser(first: Form, settings: Settings) -> Chooser:
    """Lay it out, filled with the form's base and what is on offer while nobody knows whether the Hub is there."""
    offered = offer(locale_of(first.locale), settings, None)
    with gr.Accordion(fold_label(first.base, BASES.get(first.base)), open=False, elem_id="model-choice") as fold:
        recommended = fragment(offered.recommended, elem_id="recommended")
        base = gr.Dropdown(
            offered.choices,
            value=first.base,
            label="Base model",
            info="What is taught. Choose one, or type the name of any CTC model on the Hub",
            allow_custom_value=True,
            elem_id="base",
        )
        card = fragment("", elem_id="base-card")
        others = fragment(not_now(offered.not_now), elem_id="not-now")
        finder = build_finder("base")
    return Chooser(fold, recommended, base, card, others, finder)
