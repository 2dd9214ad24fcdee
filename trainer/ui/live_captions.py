"""Live captions: words below the microphone while somebody still talks into it.

The browser (live.js) sends what the microphone hears in chunks, one at a time, each as an event of the page like any
other: no more of Gradio's routes is open for it. What a chunk may hold is bounded here, how many may come in
`trainer.transcription.live_streams`.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.transcription.live_streams import (
    AT_THE_END,
    MOST_CHUNK_SECONDS,
    RATES,
    Caption,
    Chunk,
    LiveStreams,
)
from trainer.transcription.transcribe import Listening
from trainer.ui.components import explain, fragment
from trainer.ui.events import EACH, Wiring
from trainer.ui.visitors import NOBODY, OpenPage

MOST_NAME = 64  # letters of a stream's name, which live.js makes up
WAKING = "The model wakes up …"
LATE = "This computer is busy just now: the words come later."
LISTENING = "Words in italics may still change. When you stop, all of it is written down once more, below."
NO_SOUND = UserError("That is no sound from a microphone.", AT_THE_END)
SWITCH = "Show words while I speak"
_PLACE = """<div class="live-captions" hidden>
<p class="live-words" tabindex="0" role="region" aria-label="Words while you speak">
<span id="live-settled"></span> <i id="live-unsettled"></i></p>
<p class="message quiet" id="live-note"></p>
</div>"""
_SEND = "(sent, ...listening) => [window.voicetune.live.message(), ...listening]"
_SHOW = "(answer) => { window.voicetune.live.answer(answer); return []; }"


@dataclass(frozen=True)
class LiveCaptions:
    """The components: what is sent by `send`, and what comes back."""

    sent: gr.JSON
    answer: gr.JSON
    send: gr.Button


@dataclass(frozen=True)
class LiveHandlers:
    """What answers for all visitors."""

    settings: Settings
    streams: LiveStreams

    async def caption(
        self, sent: Any, choice: str | None, words: str | None, phrases: bool, request: gr.Request
    ) -> dict[str, Any]:
        """What is heard up to a chunk; see `told`. Errors are among it."""
        page = OpenPage.asking(request, self.settings)
        name, number, seen = (sent.get(key) if isinstance(sent, dict) else None for key in ("stream", "number", "seen"))
        if not page.session or not isinstance(sent, dict) or sent.get("end"):
            self.streams.close(page)
            return told(Caption(state="over"), name, number, 0)
        try:
            chunk = chunk_of(sent)
        except UserError as error:
            self.streams.close(page)
            return told(Caption(state="over", error=error), name, number, 0)
        listening = Listening(words or "", bool(phrases))
        shared = page.owner == NOBODY
        caption = await self.streams.take(page.owner, page, chunk, choice or "", listening, shared=shared)
        return told(caption, name, number, seen)


def chunk_of(sent: dict[str, Any]) -> Chunk:
    """What live.js has sent: 16-bit mono samples in base64, little-endian. Raises UserError for anything else."""
    name, number, rate, data = (sent.get(key) for key in ("stream", "number", "rate", "pcm"))
    if not (isinstance(name, str) and 0 < len(name) <= MOST_NAME and isinstance(data, str)):
        raise NO_SOUND
    if type(number) is not int or type(rate) is not int or not (RATES[0] <= rate <= RATES[1] and number >= 0):
        raise NO_SOUND
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise NO_SOUND from None
    if not raw or len(raw) % 2 or len(raw) / 2 > MOST_CHUNK_SECONDS * rate:
        raise NO_SOUND
    return Chunk(name, number, rate, np.frombuffer(raw, "<i2"))


def told(caption: Caption, stream: Any, number: Any, seen: Any) -> dict[str, Any]:
    """A caption as live.js reads it: of the settled text what comes after the `seen` letters that it has."""
    known = min(seen, len(caption.settled)) if type(seen) is int and seen >= 0 else 0
    return {
        "stream": stream if isinstance(stream, str) else None,
        "number": number if type(number) is int else None,
        "settled": caption.settled[known:],
        "seen": len(caption.settled),
        "unsettled": caption.unsettled,
        "state": caption.state,
        "note": note_of(caption),
    }


def note_of(caption: Caption) -> str:
    """The sentence below the words."""
    if caption.error is not None:
        return explain(caption.error)
    return {"waking": WAKING, "late": LATE, "live": LISTENING, "over": AT_THE_END}[caption.state]


def lay_out_live_captions() -> LiveCaptions:
    """The switch, and the place for the words."""
    gr.Checkbox(False, label=SWITCH, elem_id="live-switch", container=False)
    fragment(_PLACE, elem_id="live")
    hidden: dict[str, Any] = {"visible": "hidden"}
    return LiveCaptions(gr.JSON(**hidden), gr.JSON(**hidden), gr.Button(**hidden, elem_id="live-send"))


def wire_live_captions(wiring: Wiring, streams: LiveStreams, parts: LiveCaptions, listening: list[Any]) -> None:
    """`listening`: the components of the model, the words to listen for, and whether to use its phrases."""
    handlers = LiveHandlers(wiring.settings, streams)
    sent = [parts.sent, *listening]
    answered = wiring.at_once(parts.send.click, EACH, handlers.caption, sent, parts.answer, js=_SEND)
    wiring.script(answered.then, _SHOW, inputs=parts.answer)
