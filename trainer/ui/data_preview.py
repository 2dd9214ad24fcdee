"""What the left side of the Fine-tune tab asks for: data to look at, presets to fill in, a model to take away."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from trainer.errors import UserError
from trainer.formatting import sound_length
from trainer.hub.connectivity import reachable
from trainer.publishing.archive import zip_model
from trainer.runs.run import Run
from trainer.settings import Settings
from trainer.speech.locales import Locale, locale_of
from trainer.speech.own_clips import OwnClip, check_enough, own_clips, splits_of
from trainer.speech.preview import DataPreview, Sample, glance, preview
from trainer.speech.sources import TITLES, kind_of
from trainer.training.recipe import preset_of
from trainer.ui.components import explain, note, play_button, sounds
from trainer.ui.recipe_form import (
    OWN,
    OWN_AND_OTHERS,
    OWN_FOLDER,
    Form,
    fill_from_preset,
    filling,
    form_of,
    preset_choices,
    source_of,
)
from trainer.ui.recordings import DOWNLOAD
from trainer.ui.visitors import Visitor


def download_folder(of: str) -> Path:
    """Where a file to download is made, in Gradio's cache: nobody can guess it, and the same `of` has the same."""
    name = hashlib.sha256(_DOWNLOADS + of.encode()).hexdigest()
    return Path(get_upload_folder()) / f"{DOWNLOAD}{name}"


LOST = "This Space forgets its models when it restarts, so download what you want to keep."
_DOWNLOADS = secrets.token_bytes(16)  # makes the folders of downloads impossible to guess


@dataclass(frozen=True)
class FormHandlers:
    """Answers for all visitors; holds nothing but the settings."""

    settings: Settings

    def look(self, locale: str, data: str, folder: str, request: gr.Request) -> Iterator[list[Any]]:
        """Card, sounds and banner: what can be said at once, then with clips to play, which may be a download."""
        try:
            if data in OWN:
                yield [*self._own(Visitor.asking(request, self.settings), locale, data), self._banner("")]
                return
            row = locale_of(locale)
            source = source_of(data, folder, self.settings)
            quick = glance(source, row, self.settings)
            yield [data_card(quick, row, more_coming=True), data_sounds(quick), self._banner(quick.note)]
            if quick.samples:
                return
            full = preview(source, row, self.settings)
            yield [data_card(full, row), data_sounds(full), self._banner(full.note)]
        except Exception as error:
            yield [note(explain(error)), "", self._banner("")]

    def look_at_own(self, visitor: Visitor, locale: str, data: str) -> list[Any]:
        """Card and sounds once more after the visitor's own clips have changed, where it is about them."""
        return self._own(visitor, locale, data) if data in OWN else [gr.skip(), gr.skip()]

    def _own(self, visitor: Visitor, locale: str, data: str) -> list[Any]:
        try:
            store = own_clips(self.settings, visitor.owner, locale)
            clips, mixed = store.clips(), data == OWN_AND_OTHERS
            if not clips:
                check_enough(clips, store.locale, mixed)
            seen = preview(str(store.folder), store.locale, self.settings)
            beside = TITLES[kind_of("auto", self.settings)] if mixed else ""
            seen = replace(seen, title=OWN_TITLE, details=own_details(clips, store.locale, beside))
            return [data_card(seen, store.locale), data_sounds(seen)]
        except UserError as error:  # none yet, for example
            return [note(str(error), "quiet"), ""]

    def _banner(self, about_data: str) -> str:
        """What a visitor should know before starting: where the data comes from, and that nothing lasts here."""
        return banner(" ".join(filter(None, [about_data, "" if self.settings.lasting else LOST])))

    def fill(self, form: Form) -> list[Any]:
        """The fields for the preset that was chosen."""
        filled = fill_from_preset(preset_of(form.preset), form.locale, form.data, form.folder)
        return filling(filled, form)

    def again(self, run: Run | None, form: Form) -> list[Any]:
        """The fields as they were for a run."""
        if run is None:
            raise UserError("That run is not there any more.", "Choose another one.")
        return filling(form_of(run.recipe()), form)

    def ask_hub(self, known: bool | None) -> list[Any]:
        """Whether the Hub can be reached, and the presets marked accordingly. Takes seconds where it cannot."""
        hub = reachable(self.settings.hub_endpoint, self.settings.hub_timeout)
        if hub == known:
            return [gr.skip(), gr.skip()]
        return [hub, gr.update(choices=preset_choices(self.settings, hub))]

    def own_folder(self, data: str) -> dict[str, Any]:
        """The field for the folder, where it is needed."""
        return gr.update(visible=data == OWN_FOLDER)

    def zip(self, run: Run | None) -> str:
        """The model as a file in Gradio's cache, from where it may be sent; made once."""
        if run is None or not run.has_model:
            raise UserError("This run has no model to download.", "Let it train for at least one check.")
        changed = (run.model / "config.json").stat().st_mtime_ns
        folder = download_folder(f"{run.id}{changed}")
        made = list(folder.glob("*.zip"))
        file = made[0] if made else zip_model(run, folder)
        file.touch()  # it is swept away when nobody has asked for it for a while
        return str(file)


OWN_TITLE = "Your own clips"


def own_details(clips: Sequence[OwnClip], locale: Locale, beside: str) -> tuple[str, ...]:
    """How a person's own clips are used: what is learnt from, what it is judged by, and what else is learnt from
    (`beside`, "" for nothing). Or how many are missing."""
    try:
        check_enough(clips, locale, mixed=bool(beside))
    except UserError as error:
        return (str(error),)
    counts = splits_of(clips, locale)
    lines = [
        f"Of {counts.total()} sentences {counts['train']} are learnt from, {counts['validation']} choose the best "
        f"model and {counts['test']} are kept for the test at the end. No sentence is in two of them."
    ]
    if beside:
        lines.append(f"Besides, it learns from: {beside}. It is judged by your voice alone.")
    return tuple(lines)


LOOKING = '<p class="data-line">Looking for clips …</p>'


def data_card(preview: DataPreview, locale: Locale, more_coming: bool = False) -> str:
    """ "123 clips · 6 min · Practice voices" and, once they are there, samples to play."""
    facts = [f"{preview.clips:,} clips".replace(",", " ")]
    if preview.seconds:
        facts.append(sound_length(preview.seconds))
    facts.append(preview.title)
    lines = [" · ".join(facts), *preview.details]
    line = "".join(f'<p class="data-line">{escape(text)}</p>' for text in lines)
    if not preview.samples and more_coming:
        return line + '<p class="data-line">Fetching a few to play …</p>'
    rows = "".join(_row(number, sample, locale) for number, sample in enumerate(preview.samples))
    return line + (f'<ul class="samples">{rows}</ul>' if rows else "")


def data_sounds(preview: DataPreview) -> str:
    """The samples' sounds, to be sent beside the card."""
    return sounds("sample", [sample.wav for sample in preview.samples])


def banner(text: str) -> str:
    """One sentence above the tabs, where it matters; "" for none."""
    return f'<p class="banner">{escape(text)}</p>' if text else ""


def _row(number: int, sample: Sample, locale: Locale) -> str:
    words = escape(sample.text)
    return f'<li>{play_button(f"sample-{number}", sample.text)}<span lang="{locale.code}">{words}</span></li>'
