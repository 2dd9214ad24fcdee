"""The Fine-tune tab: its two sides, and which event asks which handler."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.ui.faults import toasted
from trainer.ui.fields import LeftSide, build_left_side
from trainer.ui.form import Form
from trainer.ui.form_handlers import FormHandlers
from trainer.ui.panel import Panel, build_panel
from trainer.ui.run_handlers import RunHandlers, Visit
from trainer.ui.watching import Watch, nothing_yet

SECONDS_BETWEEN_POLLS = 1.0
SECONDS_BETWEEN_POLLS_ON_SPACE = 2.5  # many visitors share one process there

# Small answers at once: not through the queue, without an overlay, and not offered as an API.
AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
QUEUED: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

_CLICK_DOWNLOAD = "() => document.querySelector('#download-file')?.click()"
# On a phone the panel lies below the form; once a training has begun, there is nothing to do above.
_TO_THE_PANEL = """() => setTimeout(() => {
  if (innerWidth <= 640 && document.querySelector('#start')?.disabled)
    document.querySelector('#right-side')?.scrollIntoView({behavior: 'smooth'});
}, 300)"""
_TO_THE_FORM = """() => {
  document.querySelector('#locale')?.scrollIntoView({behavior: 'smooth', block: 'center'});
  document.querySelector('#start')?.focus({preventScroll: true});
}"""


@dataclass(frozen=True)
class FineTuneTab:
    """What other parts of the page need of this tab."""

    left: LeftSide
    panel: Panel
    watch: gr.State


def build_finetune_tab(demo: gr.Blocks, settings: Settings, secret: gr.BrowserState, banner: gr.HTML) -> FineTuneTab:
    """Lay out both sides and wire them."""
    seconds = SECONDS_BETWEEN_POLLS_ON_SPACE if settings.on_space else SECONDS_BETWEEN_POLLS
    with gr.Row(elem_id="both-sides"):
        with gr.Column(scale=4, min_width=300, elem_id="left-side"):
            left = build_left_side(settings)
        with gr.Column(scale=7, min_width=320, elem_id="right-side"):
            panel = build_panel(left.start, left.start_note, nothing_yet(LOCALES["en-US"]), seconds)
    tab = FineTuneTab(left, panel, gr.State(Watch()))
    hub: gr.State = gr.State(None)
    visit = [secret, tab.watch, left.fields.preset, hub]
    _wire_runs(demo, RunHandlers(settings), tab, secret, visit)
    _wire_form(demo, FormHandlers(settings), RunHandlers(settings), tab, hub, visit, banner)
    return tab


def _wire_runs(
    demo: gr.Blocks, handlers: RunHandlers, tab: FineTuneTab, secret: gr.BrowserState, visit: list[Any]
) -> None:
    """What follows a run."""
    panel, shown = tab.panel, [tab.watch, *tab.panel.components]

    def arrive(*sent: Any) -> list[Any]:
        return handlers.arrive(Visit(*sent))

    def poll(*sent: Any) -> list[Any]:
        return handlers.poll(Visit(*sent))

    def choose(*sent: Any) -> list[Any]:
        return handlers.choose(Visit(*sent[:4]), sent[4])

    def start(*sent: Any) -> list[Any]:
        return handlers.start(Visit(*sent[:4]), Form(*sent[4:]))

    def stop(*sent: Any) -> list[Any]:
        return handlers.stop(Visit(*sent))

    demo.load(toasted(arrive), visit, [secret, *shown], **AT_ONCE)
    panel.timer.tick(poll, visit, shown, **AT_ONCE)
    panel.earlier.input(toasted(choose), [*visit, panel.earlier], shown, **AT_ONCE)
    panel.start.click(toasted(start), [*visit, *tab.left.fields.components], shown, **AT_ONCE).then(
        None, js=_TO_THE_PANEL
    )
    panel.stop.click(toasted(stop), visit, shown, **AT_ONCE)


def _wire_form(
    demo: gr.Blocks,
    handlers: FormHandlers,
    runs: RunHandlers,
    tab: FineTuneTab,
    hub: gr.State,
    visit: list[Any],
    banner: gr.HTML,
) -> None:
    """What fills the form and shows the data, and what takes a model away."""
    left, panel, fields = tab.left, tab.panel, tab.left.fields

    def poll(*sent: Any) -> list[Any]:
        return runs.poll(Visit(*sent))

    def again(*sent: Any) -> list[Any]:
        return handlers.again(runs.find(Visit(*sent)))

    def download(*sent: Any) -> str:
        return handlers.zip(runs.find(Visit(*sent)))

    data = [fields.locale, fields.data, fields.folder]
    card = [left.data_card, left.data_sounds, banner]
    looking = gr.on(
        [demo.load, fields.locale.change, fields.data.change, fields.folder.submit],
        handlers.look,
        data,
        card,
        concurrency_limit=4,
        trigger_mode="multiple",
        **QUEUED,
    )
    gr.on([fields.locale.change, fields.data.change], None, cancels=[looking])
    fields.data.change(handlers.own_folder, fields.data, fields.folder, **AT_ONCE)
    filled = fields.preset.input(
        toasted(handlers.fill), [fields.preset, fields.locale, fields.data, fields.folder], fields.components, **AT_ONCE
    )
    for event in (filled.then, demo.load):
        asked = event(handlers.ask_hub, [fields.preset, hub], [hub, fields.preset], concurrency_limit=4, **QUEUED)
        asked.then(poll, visit, [tab.watch, *panel.components], **AT_ONCE)
    panel.again.click(toasted(again), visit, fields.components, **AT_ONCE).then(None, js=_TO_THE_FORM)
    file = gr.DownloadButton("Download", visible="hidden", elem_id="download-file")
    panel.download.click(
        toasted(download), visit, file, concurrency_limit=1, show_progress_on=panel.download, api_visibility="private"
    ).success(None, js=_CLICK_DOWNLOAD)
