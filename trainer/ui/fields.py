"""The left side of the Fine-tune tab: language, data, preset, and everything technical folded away."""

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from trainer.models.bases import is_here
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.training.estimate import estimate_seconds
from trainer.training.presets import PRESETS, Preset
from trainer.ui.chooser import Chooser, build_chooser
from trainer.ui.data_card import LOOKING
from trainer.ui.form import OWN_FOLDER, Form, form_of, preset_label
from trainer.ui.fragments import fragment
from trainer.ui.renting import RentingFields, build_renting


@dataclass(frozen=True)
class Fields:
    """The components of the form, named and ordered as the values in `form.Form`."""

    locale: gr.Dropdown
    preset: gr.Radio
    base: gr.Dropdown
    data: gr.Radio
    folder: gr.Textbox
    max_steps: gr.Number
    learning_rate: gr.Number
    batch_seconds: gr.Number
    warmup_steps: gr.Number
    gradient_accumulation: gr.Number
    clips: gr.Number
    precision: gr.Dropdown
    seed: gr.Number
    freeze_feature_encoder: gr.Checkbox

    @property
    def components(self) -> list[Any]:
        """In the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class LeftSide:
    """The form with what stands around it."""

    fields: Fields
    chooser: Chooser
    data_card: gr.HTML
    data_sounds: gr.HTML
    share: gr.Checkbox
    renting: RentingFields
    start: gr.Button
    start_note: gr.HTML


def values(form: Form) -> list[Any]:
    """A form as what to put into the components, in their order."""
    return [getattr(form, field.name) for field in fields(Form)]


def changed_values(form: Form, sent: Form) -> list[Any]:
    """The same, but only what differs from what the page sent: what was typed meanwhile elsewhere stays."""
    return [gr.skip() if new == old else new for new, old in zip(values(form), values(sent), strict=True)]


def preset_choices(settings: Settings, hub: bool | None) -> list[tuple[str, str]]:
    """Label and name of each preset. `hub`: whether it can be reached, None while nobody knows."""
    return [
        (
            preset_label(
                preset, estimate_seconds(preset.recipe, settings), hub is not False or _starts_offline(preset)
            ),
            name,
        )
        for name, preset in PRESETS.items()
    ]


def _starts_offline(preset: Preset) -> bool:
    """Whether its base is here and the practice clips will do."""
    return preset.recipe.data != "minds14" and is_here(preset.recipe.base)


def build_left_side(settings: Settings) -> LeftSide:
    """Lay it out, filled with the first preset."""
    first = form_of(next(iter(PRESETS.values())).recipe)
    fragment('<h2 class="step-title"><b>1</b>Your language</h2>')
    locale = gr.Dropdown(
        [(row.label, code) for code, row in LOCALES.items()], value=first.locale, label="Language", elem_id="locale"
    )
    data_card = fragment(LOOKING, elem_id="data-card")
    data_sounds = fragment("", visible="hidden")
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
        start = gr.Button("Start", variant="primary", size="lg", elem_id="start")
    start_note = fragment("", elem_id="start-note")
    return LeftSide(form, chooser, data_card, data_sounds, share, renting, start, start_note)


def _advanced(first: Form, settings: Settings, locale: gr.Dropdown, preset: gr.Radio, base: gr.Dropdown) -> Fields:
    sources = [("Automatic", "auto"), ("MInDS-14 (Hub)", "minds14"), ("Practice voices", "practice")]
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
        max_steps = gr.Number(first.max_steps, label="Steps", minimum=1, min_width=120, elem_id="steps")
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
    freeze = gr.Checkbox(first.freeze_feature_encoder, label="Freeze the feature encoder")
    return Fields(
        locale, preset, base, data, folder, max_steps, learning_rate, batch_seconds, warmup_steps, accumulation,
        clips, precision, seed, freeze,
    )  # fmt: skip
