"""Below the list of earlier runs: what they take on the disk, and deleting one, with a question before."""

from dataclasses import dataclass
from html import escape

import gradio as gr

from trainer.runs.quota import Room, gigabytes
from trainer.ui.fragments import fragment

WORTH_NAMING = 10**6  # bytes
ASKED = "Delete this training and its model for good?"


@dataclass(frozen=True)
class Housekeeping:
    """Its components: the button, the question that it opens, and the line about the room."""

    delete: gr.Button
    question: gr.Column
    confirm: gr.Button
    keep: gr.Button
    room: gr.HTML


def build_housekeeping() -> Housekeeping:
    """Lay it out; the question is closed."""
    room = fragment("", elem_id="room")
    delete = gr.Button("Delete this training", size="sm", visible=False, interactive=False, elem_id="delete")
    with gr.Column(visible=False, elem_id="delete-question") as question:
        fragment(f'<p class="message">{ASKED}</p>')
        with gr.Row():
            confirm = gr.Button("Delete for good", size="sm", variant="stop", elem_id="delete-confirm")
            keep = gr.Button("Keep it", size="sm")
    return Housekeeping(delete, question, confirm, keep, room)


def room_line(room: Room, runs: int) -> str:
    """ "Your 3 trainings take 48 MB: models 40 MB, checkpoints 6 MB." and what is the most; "" for no runs."""
    if not runs:
        return ""
    whose = "Your training takes" if runs == 1 else f"Your {runs} trainings take"
    parts = [f"{name} {gigabytes(size)}" for name, size in _parts(room) if size >= WORTH_NAMING]
    text = f"{whose} {gigabytes(room.total)}" + (f": {', '.join(parts)}." if parts else ".")
    if room.most:
        text += f" All trainings on this computer may take {gigabytes(room.most)}."
    return f'<p class="message quiet">{escape(text)}</p>'


def _parts(room: Room) -> list[tuple[str, int]]:
    return [("models", room.models), ("checkpoints to resume from", room.checkpoints)]
