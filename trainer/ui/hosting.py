"""What a Space shows beside the page itself: the way to a Space of one's own."""

import gradio as gr

from trainer.settings import Settings


def build_duplicate_button(settings: Settings) -> None:
    """On a Space, a button that opens the Hub's form for a copy of it; elsewhere nothing."""
    if settings.on_space:
        with gr.Row(elem_id="hosting"):
            gr.DuplicateButton("Duplicate this Space", size="sm", scale=0, min_width=200)
