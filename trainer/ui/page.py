"""The whole page: name, one sentence, a banner where it matters, and two tabs."""

from typing import Any

import gradio as gr

from trainer.settings import Settings
from trainer.transcription.service import TranscriptionService
from trainer.ui.components import fragment
from trainer.ui.endpoints import offer_endpoints
from trainer.ui.events import ONCE, Wiring
from trainer.ui.finetune_tab import build_finetune_tab
from trainer.ui.recordings import Recordings
from trainer.ui.transcribe_tab import build_transcribe_tab
from trainer.ui.visitors import Visitor

TITLE = "Voicetune"
SENTENCE = "Teach a speech model your language, watch it learn, and talk to it."
MASTHEAD = f"<h1>{TITLE}</h1><p>{SENTENCE}</p>"
_RECORD = "() => document.dispatchEvent(new Event('voicetune-record'))"  # script.js presses the button
CONCURRENT_HANDLERS = 4
MOST_WAITING_EVENTS = 500  # of all visitors


def build(settings: Settings, recordings: Recordings | None = None) -> gr.Blocks:
    """The page, ready to launch. Builds without the network and without torch."""
    recordings, service = recordings or Recordings(), TranscriptionService(settings)
    with gr.Blocks(title=TITLE, analytics_enabled=False) as demo:
        wiring = Wiring(settings, demo)
        offer_endpoints(settings, service, recordings)  # before all others, so that their names are theirs
        fragment(MASTHEAD, elem_id="masthead")
        banner = fragment("", elem_id="banner")
        with gr.Tabs() as tabs:
            with gr.Tab("Fine-tune", id="finetune"):
                finetune = build_finetune_tab(wiring, banner, recordings)
            own_changed = finetune.left.own_clips.changed
            with gr.Tab("Transcribe", id="transcribe") as shown:
                transcribe = build_transcribe_tab(wiring, shown, recordings, service, own_changed)
        build_duplicate_button(settings)

        def talk(visitor: Visitor, run_id: str | None) -> list[Any]:
            sentences = transcribe.comparing.of_run(visitor, run_id)
            # What is said of the model before does not hold for this one.
            return [gr.update(selected="transcribe"), *transcribe.handlers.of_run(visitor, run_id), "", sentences]

        asked = wiring.at_once(
            finetune.panel.actions.talk.click,
            ONCE,
            talk,
            finetune.looks_at,
            [tabs, transcribe.model, transcribe.newest, transcribe.about, transcribe.reading.sentence],
        )
        wiring.script(asked.success, _RECORD)
    return demo.queue(default_concurrency_limit=CONCURRENT_HANDLERS, api_open=False, max_size=MOST_WAITING_EVENTS)


def build_duplicate_button(settings: Settings) -> None:
    """On a Space, a button that opens the Hub's form for a copy of it; elsewhere nothing."""
    if settings.on_space:
        with gr.Row(elem_id="hosting"):
            gr.DuplicateButton("Duplicate this Space", size="sm", scale=0, min_width=200)
