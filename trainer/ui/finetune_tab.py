"""The Fine-tune tab: its two sides, and which event asks which handler."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.publishing.publish import Token
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.ui.answers import Visit
from trainer.ui.chooser_wiring import wire_chooser
from trainer.ui.faults import toasted
from trainer.ui.fields import LeftSide, build_left_side
from trainer.ui.form import Form
from trainer.ui.form_handlers import FormHandlers
from trainer.ui.panel import Panel, build_panel
from trainer.ui.renting import RentingHandlers
from trainer.ui.run_handlers import RunHandlers
from trainer.ui.sharing import SharingFields, signed
from trainer.ui.watching import Watch, nothing_yet

SECONDS_BETWEEN_POLLS = 2.0  # drawing takes a third of a core from the training at 1 s
SECONDS_BETWEEN_POLLS_ON_SPACE = 2.5  # many visitors share one process there
LOOKS_AT_ONCE = 4  # downloads for previews and questions to the Hub, of all visitors together

# Small answers at once: not through the queue, without an overlay, and not offered as an API.
AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
QUEUED: dict[str, Any] = {
    "concurrency_limit": LOOKS_AT_ONCE,
    "show_progress": "hidden",
    "api_visibility": "private",
}

_CLICK_DOWNLOAD = "() => document.querySelector('#download-file')?.click()"
# On a phone the panel lies below the form; once a training has begun, there is nothing to do above.
_TO_THE_PANEL = """() => setTimeout(() => {
  if (innerWidth <= 640 && document.querySelector('#status .bar'))
    document.querySelector('#right-side')?.scrollIntoView({behavior: 'smooth'});
}, 300)"""
_TO_THE_FORM = """() => {
  document.querySelector('#locale')?.scrollIntoView({behavior: 'smooth', block: 'center'});
  document.querySelector('#start')?.focus({preventScroll: true});
}"""


@dataclass(frozen=True)
class FineTuneTab:
    """Its components, and what of the page around it takes part."""

    left: LeftSide
    panel: Panel
    sharing: SharingFields
    watch: gr.State
    more: gr.Number  # changes when a glance saw more than it could say; a State would tell the page only from a queue
    hub: gr.State  # whether the Hub can be reached; None while nobody knows
    secret: gr.BrowserState
    banner: gr.HTML

    @property
    def visit(self) -> list[Any]:
        """The inputs that make a `Visit`."""
        return [self.secret, self.watch, self.left.fields.preset, self.hub, self.left.fields.base]

    @property
    def shown(self) -> list[Any]:
        """The outputs of all that answers with a panel."""
        return [self.watch, *self.panel.components]


def build_finetune_tab(demo: gr.Blocks, settings: Settings, secret: gr.BrowserState, banner: gr.HTML) -> FineTuneTab:
    """Lay out both sides and wire them."""
    seconds = SECONDS_BETWEEN_POLLS_ON_SPACE if settings.on_space else SECONDS_BETWEEN_POLLS
    with gr.Row(elem_id="both-sides"):
        with gr.Column(scale=4, min_width=300, elem_id="left-side"):
            left = build_left_side(settings)
        with gr.Column(scale=7, min_width=320, elem_id="right-side"):
            panel, sharing = build_panel(left.start, left.start_note, nothing_yet(LOCALES["en-US"]), seconds, settings)
    tab = FineTuneTab(
        left, panel, sharing, gr.State(Watch()), gr.Number(0, visible="hidden"), gr.State(None), secret, banner
    )
    runs, form = RunHandlers(settings), FormHandlers(settings)
    _wire_runs(demo, runs, tab)
    _wire_data(demo, form, tab)
    _wire_presets(demo, form, runs, tab)
    _wire_results(form, runs, tab)
    _wire_deleting(runs, tab)
    wire_chooser(demo, settings, left, secret, tab.hub, AT_ONCE, QUEUED)
    _wire_renting(demo, runs, tab)
    return tab


def _wire_runs(demo: gr.Blocks, runs: RunHandlers, tab: FineTuneTab) -> None:
    """Finding, following, starting and stopping them."""

    def arrive(*sent: Any) -> list[Any]:
        return runs.arrive(Visit(*sent))

    def poll(*sent: Any) -> list[Any]:
        return runs.poll(Visit(*sent))

    def glance(*sent: Any) -> list[Any]:
        return runs.glance(Visit(*sent))

    def choose(*sent: Any) -> list[Any]:
        *visit, run_id = sent
        return runs.choose(Visit(*visit), run_id)

    def start(signer: Token | None, *sent: Any) -> list[Any]:
        *sent_form, share = sent[len(tab.visit) :]
        return runs.start(Visit(*sent[: len(tab.visit)]), Form(*sent_form), share, signer)

    def share(signer: Token | None, *sent: Any) -> list[Any]:
        *visit, name, visibility, licence = sent
        return runs.share(Visit(*visit), signer, name, visibility, licence)

    def stop(signer: Token | None, *sent: Any) -> list[Any]:
        return runs.stop(Visit(*sent), signer)

    def resume(*sent: Any) -> list[Any]:
        return runs.resume(Visit(*sent))

    panel, fields = tab.panel, tab.left.fields
    demo.load(toasted(arrive), tab.visit, [tab.secret, *tab.shown], **AT_ONCE)
    panel.timer.tick(glance, tab.visit, [tab.watch, panel.status, panel.losses, tab.more], **AT_ONCE)
    tab.more.change(poll, tab.visit, tab.shown, **AT_ONCE)
    panel.earlier.input(toasted(choose), [*tab.visit, panel.earlier], tab.shown, **AT_ONCE)
    panel.stop.click(toasted(signed(runs.settings, stop)), tab.visit, tab.shown, **AT_ONCE)
    panel.resume.click(toasted(resume), tab.visit, tab.shown, **AT_ONCE)
    started = panel.start.click(
        toasted(signed(runs.settings, start)),
        [*tab.visit, *fields.components, tab.left.share],
        tab.shown,
        **AT_ONCE,
    )
    panel.share.click(toasted(signed(runs.settings, share)), [*tab.visit, *tab.sharing.inputs], tab.shown, **AT_ONCE)
    started.then(None, js=_TO_THE_PANEL)


def _wire_renting(demo: gr.Blocks, runs: RunHandlers, tab: FineTuneTab) -> None:
    """A rented machine: on offer once it is known that the visitor is signed in, which may take seconds to ask."""
    handlers, fields, form = RentingHandlers(runs.settings), tab.left.renting, tab.left.fields

    def rent(signer: Token | None, *sent: Any) -> list[Any]:
        machines, name, limit = sent[len(tab.visit) :][:3]
        filled = sent[len(tab.visit) + 3 :]
        return runs.rent(Visit(*sent[: len(tab.visit)]), Form(*filled), machines, name, limit, signer)

    demo.load(
        signed(runs.settings, handlers.welcome),
        tab.secret,
        [fields.group, fields.machines, fields.machine],
        **QUEUED,
    )
    gr.on(
        [watched.change for watched in (*fields.inputs[1:], form.preset, form.max_steps, form.base, form.data)],
        handlers.cost,
        [*fields.inputs, *form.components],
        fields.cost,
        **QUEUED,
    )
    fields.start.click(
        toasted(signed(runs.settings, rent)),
        [*tab.visit, *fields.inputs, *form.components],
        tab.shown,
        show_progress_on=fields.start,
        api_visibility="private",
    ).then(None, js=_TO_THE_PANEL)


def _wire_data(demo: gr.Blocks, form: FormHandlers, tab: FineTuneTab) -> None:
    """The data to look at. A look that is still downloading is given up when another choice is made."""
    left, fields = tab.left, tab.left.fields
    looking = gr.on(
        [demo.load, fields.locale.change, fields.data.change, fields.folder.submit],
        form.look,
        [fields.locale, fields.data, fields.folder],
        [left.data_card, left.data_sounds, tab.banner],
        trigger_mode="multiple",
        **QUEUED,
    )
    gr.on([fields.locale.change, fields.data.change], None, cancels=[looking])
    fields.data.change(form.own_folder, fields.data, fields.folder, **AT_ONCE)


def _wire_presets(demo: gr.Blocks, form: FormHandlers, runs: RunHandlers, tab: FineTuneTab) -> None:
    """A preset fills the fields; then whether it can start at all is asked, which may take seconds."""

    def poll(*sent: Any) -> list[Any]:
        return runs.poll(Visit(*sent))

    def fill(*sent: Any) -> list[Any]:
        return form.fill(Form(*sent))

    fields = tab.left.fields
    filled = fields.preset.input(toasted(fill), fields.components, fields.components, **AT_ONCE)
    fields.base.change(poll, tab.visit, tab.shown, **AT_ONCE)
    for event in (demo.load, filled.then):
        asked = event(form.ask_hub, tab.hub, [tab.hub, fields.preset], **QUEUED)
        asked.then(poll, tab.visit, tab.shown, **AT_ONCE)


def _wire_results(form: FormHandlers, runs: RunHandlers, tab: FineTuneTab) -> None:
    """Taking the model away, and doing it once more."""

    def again(*sent: Any) -> list[Any]:
        return form.again(runs.answers.find(Visit(*sent)))

    def download(*sent: Any) -> str:
        return form.zip(runs.answers.find(Visit(*sent)))

    panel = tab.panel
    panel.again.click(toasted(again), tab.visit, tab.left.fields.components, **AT_ONCE).then(None, js=_TO_THE_FORM)
    file = gr.DownloadButton("Download", visible="hidden", elem_id="download-file")
    zipped = panel.download.click(
        toasted(download),
        tab.visit,
        file,
        concurrency_limit=1,
        show_progress_on=panel.download,
        api_visibility="private",
    )
    zipped.success(None, js=_CLICK_DOWNLOAD)


def _wire_deleting(runs: RunHandlers, tab: FineTuneTab) -> None:
    """A question, and what becomes of it. It closes when another run is chosen, so that it is not about that one."""

    def delete(*sent: Any) -> list[Any]:
        return [gr.update(visible=False), *runs.delete(Visit(*sent))]

    def ask() -> dict[str, Any]:
        return gr.update(visible=True)

    def close() -> dict[str, Any]:
        return gr.update(visible=False)

    keeping = tab.panel.housekeeping
    keeping.delete.click(ask, None, keeping.question, **AT_ONCE)
    gr.on([keeping.keep.click, tab.panel.earlier.input], close, None, keeping.question, **AT_ONCE)
    keeping.confirm.click(toasted(delete), tab.visit, [keeping.question, *tab.shown], **AT_ONCE)
