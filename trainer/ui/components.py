"""What a visitor hears when something goes wrong: two sentences, or one with a number to look up in the log."""

import base64
import functools
import logging
import secrets
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, TypeVar

import gradio as gr

from trainer.errors import UserError, refusal_of

log = logging.getLogger("voicetune.page")
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


def explain(error: Exception) -> str:
    """Plain text for the page. An unexpected error goes to the log under an id, and only the id to the page."""
    if isinstance(error, UserError):
        return f"{error.what} {error.todo}".strip()
    number = secrets.token_hex(3)
    log.error("Unexpected error %s", number, exc_info=error)
    if known := refusal_of(error):
        return str(known)
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


def fragment(value: str = "", **options: Any) -> gr.HTML:
    """HTML without Gradio's typography, which colours every element inside, buttons and error words included."""
    return gr.HTML(value, apply_default_css=False, js_on_load=None, **options)


def play_button(sound_id: str, words: str) -> str:
    """A button that plays the sound with this id (see `sounds`)."""
    label = f"Play: {words}" if words else "Play this clip"
    return (
        f'<button type="button" class="play" data-sound="{escape(sound_id)}" aria-label="{escape(label)}">'
        '<svg viewBox="0 0 20 20" aria-hidden="true"><path class="go" d="M7 4.5v11l8.5-5.5z"/>'
        '<path class="halt" d="M6 5h3v10H6zM11 5h3v10h-3z"/></svg></button>'
    )


def sounds(prefix: str, wavs: Sequence[bytes | None]) -> str:
    """The sounds themselves, silent until a button asks. None: there is no such clip."""
    return "".join(
        f'<audio class="sound" id="{escape(prefix)}-{number}" preload="none" '
        f'src="data:audio/wav;base64,{base64.b64encode(wav).decode()}"></audio>'
        for number, wav in enumerate(wavs)
        if wav
    )
