"""The right side of the Fine-tune tab: status, plots, the table, and what can be done with the result."""

from dataclasses import dataclass, field, fields
from typing import Any

import gradio as gr

from trainer.settings import Settings
from trainer.ui.fragments import fragment
from trainer.ui.housekeeping import Housekeeping, build_housekeeping
from trainer.ui.sharing import SharingFields, build_sharing
from trainer.ui.watching import NO_EARLIER, STOP, Shown, parts


@dataclass(frozen=True)
class Panel:
    """Its components, named as in `watching.parts`. Start stands on the left, but follows the run as well."""

    status: gr.HTML
    rates: gr.HTML
    losses: gr.HTML
    sounds: gr.HTML
    table: gr.HTML
    notes: gr.HTML
    stop: gr.Button
    resume: gr.Button
    talk: gr.Button
    download: gr.Button
    again: gr.Button
    actions_note: gr.HTML
    start: gr.Button
    start_note: gr.HTML
    share: gr.Button
    share_name: gr.Textbox
    share_note: gr.HTML
    earlier: gr.Dropdown
    room: gr.HTML
    delete: gr.Button
    timer: gr.Timer
    housekeeping: Housekeeping = field(metadata={"watched": False})  # the question before deleting

    @property
    def components(self) -> list[Any]:
        """Those that follow the run."""
        return [getattr(self, name) for name in Panel.watched()]

    @staticmethod
    def updates(changed: dict[str, Any]) -> list[Any]:
        """In that order, what to send to each; nothing for those that have not changed."""
        return [changed.get(name, gr.skip()) for name in Panel.watched()]

    @staticmethod
    def watched() -> list[str]:
        """The fields that follow the run, in their order."""
        return [row.name for row in fields(Panel) if row.metadata.get("watched", True)]


def build_panel(
    start: gr.Button, start_note: gr.HTML, shown: Shown, seconds: float, settings: Settings
) -> tuple[Panel, SharingFields]:
    """Lay it out as it is before anything is known of the visitor; a tick every `seconds`."""
    first = {name: draw() for name, (_, draw) in parts(shown).items()}
    fragment('<h2 class="step-title"><b>2</b>Watch it learn</h2>')
    status = fragment(first["status"], elem_id="status")
    with gr.Row(elem_id="actions"):
        talk = gr.Button("Talk to your model", variant="primary", size="md", interactive=False, min_width=150)
        download = gr.Button("Download", size="md", interactive=False, min_width=100)
        again = gr.Button("Fine-tune again", size="md", interactive=False, min_width=120)
        stop = gr.Button(STOP, size="md", interactive=False, min_width=210, elem_id="stop")
        resume = gr.Button("Resume", size="md", visible=False, min_width=100, elem_id="resume")
    actions_note = fragment(first["actions_note"])
    with gr.Row(elem_id="plots"):
        rates = fragment(first["rates"], elem_id="rates", min_width=290)
        losses = fragment(first["losses"], elem_id="losses", min_width=290)
    table = fragment(first["table"], elem_id="learning")
    sounds = fragment("", elem_id="clip-sounds", visible="hidden")
    notes = fragment("", elem_id="run-notes")
    sharing = build_sharing(settings)
    earlier = gr.Dropdown([], label="Earlier runs", info=NO_EARLIER, interactive=False, elem_id="earlier")
    housekeeping = build_housekeeping()
    timer = gr.Timer(seconds, active=False)
    panel = Panel(
        status, rates, losses, sounds, table, notes, stop, resume, talk, download, again, actions_note, start,
        start_note, sharing.share, sharing.share_name, sharing.share_note, earlier, housekeeping.room,
        housekeeping.delete, timer, housekeeping,
    )  # fmt: skip
    return panel, sharing
