"""What the left side of the Fine-tune tab asks for: data to look at, presets to fill in, a model to take away."""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from trainer.errors import UserError
from trainer.hub.reach import reachable
from trainer.runs.archive import zip_model
from trainer.runs.run import Run
from trainer.settings import Settings
from trainer.speech.locales import locale_of
from trainer.speech.preview import glance, preview
from trainer.training.presets import preset_of
from trainer.ui.data_card import banner, data_card, data_sounds
from trainer.ui.faults import explain, note
from trainer.ui.fields import changed_values, preset_choices, values
from trainer.ui.form import OWN_FOLDER, Form, fill_from_preset, form_of, source_of

LOST = "This Space forgets its models when it restarts, so download what you want to keep."
_DOWNLOADS = secrets.token_bytes(16)  # makes the folders of downloads impossible to guess


@dataclass(frozen=True)
class FormHandlers:
    """Answers for all visitors; holds nothing but the settings."""

    settings: Settings

    def look(self, locale: str, data: str, folder: str) -> Iterator[list[Any]]:
        """Card, sounds and banner: what can be said at once, then with clips to play, which may be a download."""
        try:
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

    def _banner(self, about_data: str) -> str:
        """What a visitor should know before starting: where the data comes from, and that nothing lasts here."""
        return banner(" ".join(filter(None, [about_data, "" if self.settings.lasting else LOST])))

    def fill(self, form: Form) -> list[Any]:
        """The fields for the preset that was chosen."""
        filled = fill_from_preset(preset_of(form.preset), form.locale, form.data, form.folder)
        return changed_values(filled, form)

    def again(self, run: Run | None) -> list[Any]:
        """The fields as they were for a run."""
        if run is None:
            raise UserError("That run is not there any more.", "Choose another one.")
        return values(form_of(run.recipe()))

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
        name = hashlib.sha256(_DOWNLOADS + f"{run.id}{changed}".encode()).hexdigest()
        folder = Path(get_upload_folder()) / name
        made = list(folder.glob("*.zip"))
        file = made[0] if made else zip_model(run, folder)
        file.touch()  # it is swept away when nobody has asked for it for a while
        return str(file)
