""" "Share on the Hub": the fields below a run, what is said of its sharing, and who signs."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from trainer.formatting import percent
from trainer.publishing.background import Sharing
from trainer.publishing.options import LICENCES, suggested_name
from trainer.publishing.publish import Receipt, Token
from trainer.settings import Settings
from trainer.ui.components import fragment, note

if TYPE_CHECKING:
    from trainer.ui.panel_state import PanelPart, Shown
PRIVATE, PUBLIC = "private", "public"
NO_RUN = "There is nothing to share yet."
NOT_OVER = "You can share it once the training has ended."
NO_MODEL = "No model came of this run, so there is none to share."
NO_SIGN_IN = (
    "Visitors cannot sign in on this Space. Download the model instead; the Space's owner can allow signing in with "
    "“hf_oauth: true” in the README."
)
ON_LAPTOP = "Signed with the login of this computer: run “hf auth login” in a terminal once."
ON_SPACE = "You sign in at Hugging Face; Voicetune may then make new models for you, and see no others."
SAYS = "Its page shows five of the sentences it is checked on."  # which may be somebody's own
_WAITING = "It will be shared when the training has ended."


@dataclass(frozen=True)
class SharingFields:
    """The components; `share`, `share_name` and `share_note` follow the run that is shown."""

    share_name: gr.Textbox
    visibility: gr.Radio
    licence: gr.Dropdown
    share: gr.Button
    share_note: gr.HTML

    @property
    def inputs(self) -> list[Any]:
        """Name, visibility and licence."""
        return [getattr(self, field.name) for field in fields(self)][:3]


def build_sharing(settings: Settings) -> SharingFields:
    """Lay it out, folded away."""
    with gr.Accordion("Share on the Hub", open=False, elem_id="sharing"):
        if settings.on_space and settings.can_sign_in:
            gr.LoginButton(logout_value="Sign out ({})", size="md", elem_id="sign-in")
        about = NO_SIGN_IN if not settings.can_sign_in else ON_SPACE if settings.on_space else ON_LAPTOP
        fragment(note(f"{about} {SAYS}" if settings.can_sign_in else about, "quiet"))
        with gr.Row():
            # A name can be typed once the run's own has come: a later one would overwrite it.
            name = gr.Textbox("", label="Name", info="Or owner/name", max_length=200, min_width=200, interactive=False)
            visibility = gr.Radio([("Only me", PRIVATE), ("Everyone", PUBLIC)], value=PRIVATE, label="Who can see it")
            licence = gr.Dropdown(
                [(licence.title, name) for name, licence in LICENCES.items()],
                value="apache-2.0",
                label="Licence",
                min_width=200,
            )
        share = gr.Button("Share", size="md", interactive=False, elem_id="share")
        share_note = fragment(note(NO_RUN, "quiet"), elem_id="share-note")
    return SharingFields(name, visibility, licence, share, share_note)


def sharing_parts(shown: "Shown") -> dict[str, "PanelPart"]:
    """Its share of `run_panel.parts`."""
    run_id = shown.run.id if shown.run else None
    why_not = reason_against(shown)
    sharable = not why_not and shown.can_sign_in and not shown.sharing.going_on
    return {
        "share": (sharable, lambda: gr.update(interactive=sharable)),
        "share_name": (
            run_id,
            lambda: gr.update(value=suggested_name(run_id) if run_id else "", interactive=run_id is not None),
        ),
        "share_note": ((run_id, why_not, shown.sharing), lambda: sharing_words(shown.sharing, why_not)),
    }


def reason_against(shown: "Shown") -> str:
    """Why this run cannot be shared now, or nothing."""
    if shown.run is None:
        return NO_RUN
    if not shown.view.over:
        return NOT_OVER
    return "" if shown.has_model else NO_MODEL


def sharing_words(sharing: Sharing, why_not: str = "") -> str:
    """How the sharing of a run stands, as HTML."""
    shared = _shared(sharing.receipt) if sharing.receipt else ""
    if sharing.state == "failed":
        return note(f"{sharing.what} {sharing.todo}".strip()) + shared
    if sharing.state == "shared":
        return shared
    if sharing.state == "requested":
        return note(_WAITING, "quiet")
    if sharing.going_on:
        return _bar(sharing)
    return note(why_not, "quiet")


def _bar(sharing: Sharing) -> str:
    """A bar that only moves while the Hub is asked, or where large files go by a way that tells nothing."""
    if not sharing.total:
        return (
            f'{note("Sharing …", "quiet")}<div class="bar unknown" role="progressbar" '
            'aria-label="Sharing"><span></span></div>'
        )
    share = sharing.done / sharing.total
    words = f"Sharing · {percent(share)} of {sharing.total / 1e6:.1f} MB"
    return (
        f'{note(words, "quiet")}<div class="bar" role="progressbar" aria-label="Sharing" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{round(100 * share)}">'
        f'<span style="width:{100 * share:.1f}%"></span></div>'
    )


def _shared(receipt: Receipt) -> str:
    """The link, who sees it, and the three lines."""
    seen = (
        "Only you can see it; where you use it, run “hf auth login” first" if receipt.private else "Everyone can see it"
    )
    return (
        f'<p class="message">It is on the Hub: <a href="{escape(receipt.url)}" target="_blank" rel="noopener">'
        f"{escape(receipt.repo_id)}</a>. {seen}. In Python:</p>"
        f'<pre class="usage" id="usage" tabindex="0">{escape(receipt.usage)}</pre>'
        '<button type="button" class="copy" data-copy="usage">Copy</button>'
    )


def signed(settings: Settings, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`_signed` under the handler's own name, by which its endpoint is known."""
    wrapped = _signed(settings, handler)
    wrapped.__name__ = handler.__name__
    return wrapped


def _signed(settings: Settings, handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler that is given the request and who signs, before what the page sends.

    On a Space that is the visitor's own token, which Gradio takes from the visitor's cookie with each call; never the
    Space's. On a laptop it is whoever is logged in there.
    """
    if not settings.on_space:

        def on_laptop(request: gr.Request, *sent: Any) -> Any:
            mine: Token = True
            return handler(request, mine, *sent)

        return on_laptop
    if not settings.can_sign_in:

        def by_nobody(request: gr.Request, *sent: Any) -> Any:
            return handler(request, None, *sent)

        return by_nobody

    def on_space(token: gr.OAuthToken | None, request: gr.Request, *sent: Any) -> Any:
        return handler(request, token.token if token else None, *sent)

    return on_space
