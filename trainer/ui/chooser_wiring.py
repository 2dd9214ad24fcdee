"""Which event of the model chooser asks which handler."""

from typing import Any

import gradio as gr

from trainer.settings import Settings
from trainer.ui.chooser_handlers import ChooserHandlers
from trainer.ui.faults import toasted
from trainer.ui.fields import LeftSide
from trainer.ui.finder import searcher
from trainer.ui.form import Form


def wire_chooser(
    demo: gr.Blocks,
    settings: Settings,
    left: LeftSide,
    secret: gr.BrowserState,
    hub: gr.State,
    at_once: dict[str, Any],
    queued: dict[str, Any],
) -> None:
    """`at_once`, `queued`: the options of events that answer at once, and of those that may take seconds."""
    handlers, chooser, fields = ChooserHandlers(settings), left.chooser, left.fields

    def describe(*sent: Any) -> list[Any]:
        return handlers.describe(Form(*sent[:-1]), sent[-1])

    def look_up(*sent: Any) -> Any:
        return handlers.look_up(Form(*sent[:-1]), sent[-1])

    def fill(*sent: Any) -> list[Any]:
        return handlers.fill(Form(*sent))

    def take(*sent: Any) -> list[Any]:
        return handlers.take(Form(*sent[:-1]), sent[-1])

    form = fields.components
    gr.on(
        [demo.load, hub.change, fields.locale.change],
        handlers.offers,
        [secret, hub, fields.locale],
        [chooser.base, chooser.recommended, chooser.not_now],
        **at_once,
    )
    described = gr.on(
        [
            demo.load,
            hub.change,
            chooser.base.change,
            fields.data.change,
            fields.max_steps.change,
            fields.batch_seconds.change,
            fields.gradient_accumulation.change,
            fields.freeze_feature_encoder.change,
        ],
        describe,
        [*form, hub],
        [chooser.fold, chooser.card],
        trigger_mode="always_last",
        **at_once,
    )
    # After the card, never beside it, and one after another: the later of two answers stays.
    described.then(look_up, [*form, hub], chooser.card, trigger_mode="always_last", **queued)
    chooser.base.input(toasted(fill), form, form, **at_once)
    finder = chooser.finder
    finder.search.click(searcher(settings), fields.locale, [finder.found, finder.note], **queued)
    finder.found.input(toasted(take), [*form, finder.found], form, **at_once)
