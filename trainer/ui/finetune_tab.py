"""The Fine-tune tab: its two sides, and which event asks which handler."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.training.recipe import PRESETS
from trainer.ui.base_model_picker import Chooser, ChooserHandlers, build_chooser
from trainer.ui.components import fragment
from trainer.ui.data_preview import LOOKING, FormHandlers
from trainer.ui.events import EACH, LAST, ONCE, Wiring, turning
from trainer.ui.hub_search import searcher
from trainer.ui.own_clips_panel import OwnClipsPanel, build_own_clips, wire_own_clips
from trainer.ui.panel_state import Visit, Watch
from trainer.ui.recipe_form import OWN_AND_OTHERS, OWN_CLIPS, OWN_FOLDER, Fields, Form, form_of, preset_choices
from trainer.ui.recordings import Recordings
from trainer.ui.rental_panel import RentingFields, RentingHandlers, build_renting
from trainer.ui.run_handlers import RunHandlers
from trainer.ui.run_panel import Panel, StartBar, build_panel


@dataclass(frozen=True)
class LeftSide:
    """The form with what stands around it."""

    fields: Fields
    chooser: Chooser
    data_card: gr.HTML
    data_sounds: gr.HTML
    own_clips: OwnClipsPanel
    share: gr.Checkbox
    renting: RentingFields
    starting: StartBar


def build_left_side(settings: Settings) -> LeftSide:
    """Lay it out, filled with the first preset."""
    first = form_of(next(iter(PRESETS.values())).recipe)
    fragment('<h2 class="step-title"><b>1</b>Your language</h2>')
    locale = gr.Dropdown(
        [(row.label, code) for code, row in LOCALES.items()], value=first.locale, label="Language", elem_id="locale"
    )
    data_card = fragment(LOOKING, elem_id="data-card")
    data_sounds = fragment("", visible="hidden")
    own_clips = build_own_clips(settings)
    preset = gr.Radio(preset_choices(settings, None), value=first.preset, label="How long?", elem_id="preset")
    chooser = build_chooser(first, settings)
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        form = _advanced(first, settings, locale, preset, chooser.base)
        share = gr.Checkbox(
            False,
            label="Share it on the Hub when it has finished",
            info="Only for you to see, until you change that there",
            interactive=settings.can_sign_in,
            elem_id="share-when-finished",
        )
        renting = build_renting()
    with gr.Column(elem_id="start-bar"):
        # It can be pressed once the page has its run: an answer to the arrival that came later would turn it back.
        start = gr.Button("Start", variant="primary", size="lg", elem_id="start", interactive=False)
    starting = StartBar(start, fragment("", elem_id="start-note"), fragment("", elem_id="start-refusal"))
    return LeftSide(form, chooser, data_card, data_sounds, own_clips, share, renting, starting)


def _advanced(first: Form, settings: Settings, locale: gr.Dropdown, preset: gr.Radio, base: gr.Dropdown) -> Fields:
    sources = [("Automatic", "auto"), ("MInDS-14 (Hub)", "minds14"), ("Practice voices", "practice")]
    sources += [("My own clips", OWN_CLIPS), ("My own clips, and others", OWN_AND_OTHERS)]
    if not settings.on_space:
        sources.append(("My own folder", OWN_FOLDER))
    data = gr.Radio(sources, value=first.data, label="Data", elem_id="data-source")
    folder = gr.Textbox(
        "",
        label="Folder with your recordings",
        info="Audio files and a table (tsv or csv) with the columns path and text",
        placeholder="/home/me/recordings",
        visible=False,
    )
    with gr.Row():
        max_steps = gr.Number(first.max_steps, label="Steps", min_width=120, elem_id="steps")
        learning_rate = gr.Number(first.learning_rate, label="Learning rate", step=1e-5, min_width=120)
    with gr.Row():
        batch_seconds = gr.Number(
            first.batch_seconds or 0, label="Batch", info="Seconds of audio; 0: 8 clips", min_width=120
        )
        warmup_steps = gr.Number(first.warmup_steps, label="Warm-up", info="Steps", min_width=120)
    with gr.Row():
        accumulation = gr.Number(
            first.gradient_accumulation, label="Gradient accumulation", info="Batches a step", min_width=120
        )
        clips = gr.Number(first.clips or 0, label="Clips to use", info="0: all", min_width=120)
    with gr.Row():
        precision = gr.Dropdown(["auto", "fp32", "bf16", "fp16"], value="auto", label="Precision", min_width=120)
        seed = gr.Number(first.seed, label="Seed", min_width=120)
    frozen_layers = gr.Number(
        first.frozen_layers,
        label="Layers kept as they are",
        info="The lowest of the base; 0: all learn",
        min_width=120,
    )
    freeze = gr.Checkbox(first.freeze_feature_encoder, label="Freeze the feature encoder")
    return Fields(
        locale=locale,
        preset=preset,
        base=base,
        data=data,
        folder=folder,
        max_steps=max_steps,
        learning_rate=learning_rate,
        batch_seconds=batch_seconds,
        warmup_steps=warmup_steps,
        gradient_accumulation=accumulation,
        clips=clips,
        precision=precision,
        seed=seed,
        frozen_layers=frozen_layers,
        freeze_feature_encoder=freeze,
    )


SECONDS_BETWEEN_POLLS = 2.0  # drawing takes a third of a core from the training at 1 s
SECONDS_BETWEEN_POLLS_ON_SPACE = 2.5  # many visitors share one process there
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
    """Its components, and the values that go along with a visit."""

    left: LeftSide
    panel: Panel
    looks_at: gr.State  # the id of the run; written by what is `turning` alone
    watch: gr.State
    more: gr.Number  # changes when a glance saw more than it could say; a State would tell the page only from a queue
    hub: gr.State  # whether the Hub can be reached; None while nobody knows

    @property
    def visit(self) -> list[Any]:
        """The inputs that make a `Visit`, together with who asks."""
        return [self.looks_at, self.watch, self.left.fields.preset, self.hub, self.left.fields.base]

    @property
    def form(self) -> list[Any]:
        """The inputs that make a `Form`, and the outputs of what fills it."""
        return self.left.fields.components

    @property
    def shown(self) -> list[Any]:
        """The outputs of all that answers with a panel."""
        return [self.watch, *self.panel.components]

    @property
    def turned(self) -> list[Any]:
        """The outputs of all that may turn to another run: see `events.turning`."""
        return [self.looks_at, *self.shown]

    @property
    def started(self) -> list[Any]:
        """The outputs of what starts one, or says why not."""
        return [*self.turned, self.panel.starting.refusal]


def build_finetune_tab(wiring: Wiring, banner: gr.HTML, recordings: Recordings) -> FineTuneTab:
    """Lay out both sides and wire them."""
    settings = wiring.settings
    seconds = SECONDS_BETWEEN_POLLS_ON_SPACE if settings.on_space else SECONDS_BETWEEN_POLLS
    with gr.Row(elem_id="both-sides"):
        with gr.Column(scale=4, min_width=300, elem_id="left-side"):
            left = build_left_side(settings)
        with gr.Column(scale=7, min_width=320, elem_id="right-side"):
            panel = build_panel(left.starting, seconds, settings)
    more = gr.Number(0, visible="hidden")
    tab = FineTuneTab(left, panel, gr.State(None), gr.State(Watch()), more, gr.State(None))
    runs, form = RunHandlers(settings), FormHandlers(settings)
    arrived = _wire_runs(wiring, runs, tab)
    _wire_data(wiring, form, tab, banner)
    wire_own_clips(wiring, left.own_clips, left.fields, recordings)
    _wire_presets(wiring, form, runs, tab, arrived)
    _wire_results(wiring, form, tab)
    _wire_deleting(wiring, runs, tab)
    _wire_chooser(wiring, tab)
    _wire_renting(wiring, runs, tab)
    return tab


def _wire_runs(wiring: Wiring, runs: RunHandlers, tab: FineTuneTab) -> Any:
    """Finding, following, starting and stopping them. Returns the event of a page's arrival."""
    panel, actions, sharing = tab.panel, tab.panel.actions, tab.panel.sharing
    locale = tab.left.fields.locale
    arriving = turning(runs.arrive)
    arrived = wiring.filling(wiring.demo.load, ONCE, arriving, [*tab.visit, locale], tab.turned, [locale])
    quick = [tab.watch, panel.course.status, panel.course.losses, tab.more]
    wiring.at_once(panel.timer.tick, ONCE, runs.glance, tab.visit, quick)
    wiring.at_once(tab.more.change, LAST, runs.poll, tab.visit, tab.shown)
    wiring.at_once(actions.stop.click, ONCE, runs.stop, tab.visit, tab.shown)
    wiring.at_once(actions.resume.click, ONCE, turning(runs.resume), tab.visit, tab.turned)
    wanted = [*tab.visit, *tab.form, tab.left.share]
    started = wiring.at_once(panel.starting.start.click, ONCE, turning(runs.start), wanted, tab.started)
    wiring.script(started.then, _TO_THE_PANEL)
    wiring.at_once(sharing.share.click, ONCE, runs.share, [*tab.visit, *sharing.inputs], tab.shown)
    return arrived


def _wire_renting(wiring: Wiring, runs: RunHandlers, tab: FineTuneTab) -> None:
    """A rented machine: on offer once it is known that the visitor is signed in, which may take seconds to ask."""
    handlers, fields, form = RentingHandlers(wiring.settings), tab.left.renting, tab.left.fields
    on_offer = [fields.group, fields.flavors, fields.flavor]
    wiring.queued(wiring.demo.load, ONCE, handlers.welcome, None, on_offer)
    watched = (*fields.inputs[1:], form.preset, form.max_steps, form.base, form.data)
    changes = [component.change for component in watched]
    wiring.queued(changes, LAST, handlers.cost, [*fields.inputs, *tab.form], fields.cost)
    wanted = [*tab.visit, *fields.inputs, *tab.form]
    seen: dict[str, Any] = {"show_progress": "full", "show_progress_on": fields.start, "concurrency_limit": "default"}
    rented = wiring.queued(fields.start.click, ONCE, turning(runs.rent), wanted, tab.started, **seen)
    wiring.script(rented.then, _TO_THE_PANEL)


def _wire_data(wiring: Wiring, form: FormHandlers, tab: FineTuneTab, banner: gr.HTML) -> None:
    """The data to look at. A look that is still downloading is given up when another choice is made."""
    left, fields = tab.left, tab.left.fields
    chosen = [fields.locale.change, fields.data.change, fields.folder.submit]
    looking = wiring.queued(
        [wiring.demo.load, *chosen],
        EACH,
        form.look,
        [fields.locale, fields.data, fields.folder],
        [left.data_card, left.data_sounds, banner],
    )
    gr.on(chosen, None, cancels=[looking], trigger_mode=EACH)
    wiring.at_once(fields.data.change, LAST, form.own_folder, fields.data, fields.folder)
    seen = [left.data_card, left.data_sounds]
    wiring.queued(left.own_clips.changed.change, LAST, form.look_at_own, [fields.locale, fields.data], seen)


def _wire_presets(wiring: Wiring, form: FormHandlers, runs: RunHandlers, tab: FineTuneTab, arrived: Any) -> None:
    """A preset fills the fields; then whether it can start at all is asked, which may take seconds.

    At first only when the page has its run: a panel that was asked for beside the arrival could come after it, and
    show that there is no run.
    """
    fields = tab.left.fields
    filled = wiring.filling(fields.preset.input, LAST, form.fill, tab.form, [], tab.form)
    wiring.at_once(fields.base.change, LAST, runs.poll, tab.visit, tab.shown)
    for event in (arrived.then, filled.then):
        asked = wiring.queued(event, LAST, form.ask_hub, tab.hub, [tab.hub, fields.preset])
        wiring.at_once(asked.then, LAST, runs.poll, tab.visit, tab.shown)


def _wire_results(wiring: Wiring, form: FormHandlers, tab: FineTuneTab) -> None:
    """Taking the model away, and doing it once more."""

    def again(visit: Visit, sent: Form) -> list[Any]:
        return form.again(visit.run, sent)

    def download(visit: Visit) -> str:
        return form.zip(visit.run)

    actions = tab.panel.actions
    refilled = wiring.filling(actions.again.click, ONCE, again, [*tab.visit, *tab.form], [], tab.form)
    wiring.script(refilled.then, _TO_THE_FORM)
    file = gr.DownloadButton("Download", visible="hidden", elem_id="download-file")
    seen: dict[str, Any] = {"show_progress": "full", "show_progress_on": actions.download, "concurrency_limit": 1}
    zipped = wiring.queued(actions.download.click, ONCE, download, tab.visit, file, **seen)
    wiring.script(zipped.success, _CLICK_DOWNLOAD)


def _wire_deleting(wiring: Wiring, runs: RunHandlers, tab: FineTuneTab) -> None:
    """A question, and what becomes of it.

    It closes when another run is chosen, so that it is not about that one: by the same answer that shows the other.
    The list also tells of an input when it merely loses the focus, to this very button for example.
    """

    def choose(visit: Visit, run_id: str | None) -> list[Any]:
        same = run_id == visit.watch.run
        return [gr.skip() if same else gr.update(visible=False), *runs.choose(visit, run_id)]

    def delete(visit: Visit) -> list[Any]:
        return [gr.update(visible=False), *runs.delete(visit)]

    def ask() -> dict[str, Any]:
        return gr.update(visible=True)

    def close() -> dict[str, Any]:
        return gr.update(visible=False)

    keeping = tab.panel.housekeeping
    wiring.at_once(keeping.delete.click, LAST, ask, None, keeping.question)
    wiring.at_once(keeping.keep.click, LAST, close, None, keeping.question)
    turned = [tab.looks_at, keeping.question, *tab.shown]
    wiring.at_once(keeping.earlier.input, LAST, turning(choose), [*tab.visit, keeping.earlier], turned)
    wiring.at_once(keeping.confirm.click, ONCE, turning(delete), tab.visit, turned)


def _wire_chooser(wiring: Wiring, tab: FineTuneTab) -> None:
    """The list of bases, the card of the one that is chosen, and the search for others."""
    handlers, chooser, fields = ChooserHandlers(wiring.settings), tab.left.chooser, tab.left.fields
    known = [wiring.demo.load, tab.hub.change]
    on_offer = [chooser.base, chooser.recommended, chooser.not_now]
    wiring.at_once([*known, fields.locale.change], LAST, handlers.offers, [tab.hub, fields.locale], on_offer)
    weighing = [
        fields.max_steps,
        fields.batch_seconds,
        fields.gradient_accumulation,
        fields.frozen_layers,
        fields.freeze_feature_encoder,
    ]
    changes = [component.change for component in (chooser.base, fields.data, *weighing)]
    described = wiring.at_once(
        [*known, *changes], LAST, handlers.describe, [*tab.form, tab.hub], [chooser.fold, chooser.card]
    )
    # After the card, never beside it, and one after another: the later of two answers stays.
    wiring.queued(described.then, LAST, handlers.look_up, [*tab.form, tab.hub], chooser.card)
    wiring.filling(chooser.base.input, LAST, handlers.fill, tab.form, [], tab.form)
    finder = chooser.finder
    wiring.queued(finder.search.click, LAST, searcher(wiring.settings), fields.locale, [finder.found, finder.note])
    wiring.filling(finder.found.input, LAST, handlers.take, [*tab.form, finder.found], [], tab.form)
