"""Gradio's HTML component as this page uses it: its own markup, styled by style.css alone."""

from typing import Any

import gradio as gr


def fragment(value: str = "", **options: Any) -> gr.HTML:
    """HTML without Gradio's typography, which colours every element inside, buttons and error words included."""
    return gr.HTML(value, apply_default_css=False, js_on_load=None, **options)
