"""The whole page: name, one sentence, a banner where it matters, and two tabs."""

from typing import Any

import gradio as gr

from trainer.settings import Settings
from trainer.ui.faults import toasted
from trainer.ui.finetune_tab import AT_ONCE, build_finetune_tab
from trainer.ui.fragments import fragment
from trainer.ui.hosting import build_duplicate_button
from trainer.ui.transcribe_tab import Listener, build_transcribe_tab
from trainer.ui.visitors import browser_secret

TITLE = "Voicetune"
SENTENCE = "Teach a speech model your language, watch it learn, and talk to it."
MASTHEAD = f"<h1>{TITLE}</h1><p>{SENTENCE}</p>"

_RECORD = "() => document.dispatchEvent(new Event('voicetune-record'))"  # script.js presses the button
CONCURRENT_HANDLERS = 4


def build(settings: Settings) -> gr.Blocks:
    """The page, ready to launch. Builds without the network and without torch."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as demo:
        secret = browser_secret()
        fragment(MASTHEAD, elem_id="masthead")
        banner = fragment("", elem_id="banner")
        with gr.Tabs() as tabs:
            with gr.Tab("Fine-tune", id="finetune"):
                finetune = build_finetune_tab(demo, settings, secret, banner)
            with gr.Tab("Transcribe", id="transcribe") as transcribe_tab:
                transcribe = build_transcribe_tab(demo, settings, secret, transcribe_tab, AT_ONCE)
        build_duplicate_button(settings)
        listener = Listener(settings)

        def talk(secret: object, watch: Any) -> list[Any]:
            return [gr.update(selected="transcribe"), *listener.of_run(secret, watch.run)]

        asked = finetune.panel.talk.click(
            toasted(talk), [secret, finetune.watch], [tabs, transcribe.model, transcribe.newest], **AT_ONCE
        )
        asked.success(None, js=_RECORD)
    return demo.queue(default_concurrency_limit=CONCURRENT_HANDLERS, api_open=False)
