"""What a visitor hears when something goes wrong: two sentences, or one with a number to look up in the log."""

import functools
import logging
import secrets
from collections.abc import Callable
from html import escape
from typing import Any, TypeVar

import gradio as gr

from trainer.errors import UserError

log = logging.getLogger("voicetune.page")

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


def explain(error: Exception) -> str:
    """Plain text for the page. An unexpected error goes to the log under an id, and only the id to the page."""
    if isinstance(error, UserError):
        return f"{error.what} {error.todo}".strip()
    number = secrets.token_hex(3)
    log.error("Unexpected error %s", number, exc_info=error)
    return f"Something went wrong on my side. Please try again; if it happens again, the log calls it {number}."


def note(text: str, kind: str = "problem") -> str:
    """A short message as HTML; "" for no message."""
    return f'<p class="message {kind}">{escape(text)}</p>' if text else ""


def toasted(handler: HandlerT) -> HandlerT:
    """Let a handler's errors appear in the corner of the page: for those that have no place of their own for them."""

    @functools.wraps(handler)
    def guarded(*args: Any) -> Any:
        try:
            return handler(*args)
        except Exception as error:
            # Gradio shows the message as HTML.
            raise gr.Error(escape(explain(error)), title="That did not work", print_exception=False) from None

    return guarded  # type: ignore[return-value]
