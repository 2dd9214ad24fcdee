"""Correct it: the last recording with the words that were really said, as one of the visitor's own clips."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.runs.run import find_run
from trainer.speech.locales import LOCALES, locale_of
from trainer.speech.own_clips import MOST_TEXT, own_clips, splits_of
from trainer.transcription.corrected import corrected
from trainer.transcription.model_list import READY, RUN
from trainer.ui.components import explain, fragment, note
from trainer.ui.events import LAST, ONCE, Wiring
from trainer.ui.own_clip_handlers import OwnClipHandlers, changed_now
from trainer.ui.transcribe_handlers import GONE
from trainer.ui.transcript_html import transcript_html
from trainer.ui.visitors import OpenPage, Visitor

NO_WORDS = UserError("There are no words to show.", "Write down what was said.")
SHOWN = "They stand above, to play, copy and save. Changed ones take their times from the words around them."
SHOWN_PLAIN = "They stand above, to copy and save."
# What is written down is drawn a moment after its event.
_WORDS = """async () => {
  await new Promise((drawn) => setTimeout(drawn, 200));
  const typed = document.querySelector('#correct-text textarea');
  if (typed && typed === document.activeElement) return typed.value; // somebody is at it already
  const found = document.querySelector('#result #transcript');
  const parts = [...(found?.querySelectorAll('p') ?? [])].map((part) => part.textContent);
  return (parts.length ? parts.join(' ') : found?.textContent ?? '').trim();
}"""


@dataclass(frozen=True)
class CorrectionFields:
    """Its components."""

    fold: gr.Accordion
    text: gr.Textbox
    locale: gr.Dropdown
    show: gr.Button
    add: gr.Button
    said: gr.HTML


def build_correction() -> CorrectionFields:
    """Lay it out in a fold; the style shows it once there is a recording."""
    with gr.Accordion("Correct it, teach it", open=False, elem_id="correct") as fold:
        text = gr.Textbox(
            "",
            label="What was really said",
            info="Correct the words; the sound and these words become one of your own clips to train on",
            lines=2,
            max_length=MOST_TEXT,
            elem_id="correct-text",
        )
        languages = [(row.label, code) for code, row in LOCALES.items()]
        locale = gr.Dropdown(languages, value="en-US", label="Spoken in", elem_id="correct-locale")
        with gr.Row():
            show = gr.Button("Use these words above", elem_id="correct-show")
            add = gr.Button("Add to my training clips", elem_id="correct-add")
        said = fragment("", elem_id="correct-said")
    return CorrectionFields(fold, text, locale, show, add, said)


@dataclass(frozen=True)
class CorrectionHandlers:
    """Its handlers for all visitors."""

    clips: OwnClipHandlers

    def language_of_model(self, visitor: Visitor, model: str | None, language: str | None, now: str) -> str:
        """The language that is chosen, else the model's, else as it is."""
        if language in LOCALES:
            return str(language)
        choice = (model or "").strip()
        if choice.startswith(RUN):
            run = find_run(self.clips.settings.runs_dir, choice.removeprefix(RUN), visitor.owner)
            found = str(run.recipe_values.get("locale")) if run else ""
            return found if found in LOCALES else now
        if choice.startswith(READY) and not now.startswith(f"{choice.removeprefix(READY)}-"):
            spoken = choice.removeprefix(READY)
            return next((code for code, row in LOCALES.items() if row.language == spoken), now)
        return now

    def show_correction(self, page: OpenPage, text: str | None) -> list[Any]:
        """The transcript of the page's last recording with these words, to play, copy and save."""
        heard, text = self.clips.recordings.transcript_of(page), (text or "").strip()
        if heard is None or not text:
            why = GONE if heard is None else NO_WORDS
            return [gr.skip(), note(explain(why))]
        return [transcript_html(corrected(heard, text)), note(SHOWN if heard.words else SHOWN_PLAIN, "quiet")]

    def add_correction(self, visitor: Visitor, page: OpenPage, text: str | None, locale: str) -> list[Any]:
        """Keep the page's last recording with these words, in place of any that were kept with it before."""
        recordings = self.clips.recordings
        try:
            path = recordings.last_of(page)
            if path is None:
                raise GONE
            with recordings.held(path):
                self.clips.add_sound(visitor, locale, path, text or "")
            clips = own_clips(self.clips.settings, visitor.owner, locale).clips()
        except Exception as error:
            return [note(explain(error)), gr.skip()]
        row = locale_of(locale)
        count = splits_of(clips, row).total()
        kept = f"Added: you have {count} sentence{'' if count == 1 else 's'} of your own in {row.english}."
        return [note(f"{kept} Find them under “Your own voice” on the Fine-tune tab.", "quiet"), changed_now()]


def wire_correction(
    wiring: Wiring,
    handlers: CorrectionHandlers,
    fields: CorrectionFields,
    asked: tuple[gr.Dropdown, gr.Dropdown],
    result: gr.HTML,
    changed: gr.Number,
) -> None:
    """Connect its events. `asked`: the tab's model and language; `result`: where the transcript stands; `changed` tells
    the panel of one's own clips."""
    wiring.script(fields.fold.expand, _WORDS, fields.text)
    wiring.at_once(fields.fold.expand, LAST, handlers.language_of_model, [*asked, fields.locale], fields.locale)
    wiring.queued(fields.show.click, ONCE, handlers.show_correction, fields.text, [result, fields.said])
    wiring.queued(fields.add.click, ONCE, handlers.add_correction, [fields.text, fields.locale], [fields.said, changed])


def take_words(wiring: Wiring, heard: Any, fields: CorrectionFields) -> None:
    """When something was heard anew, its words are those to correct."""
    wiring.script(heard.then, f"async () => [await ({_WORDS})(), '']", [fields.text, fields.said])
