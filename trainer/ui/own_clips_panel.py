"""Your own voice: sentences to read aloud, one after the other, and the list of what was read.

What is recorded is kept as soon as Stop is pressed; recording the same sentence again takes its place.
"""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.settings import Settings
from trainer.speech.own_clips import MOST_TEXT
from trainer.ui.components import fragment
from trainer.ui.events import EACH, LAST, ONCE, Wiring
from trainer.ui.own_clip_handlers import OwnClipHandlers, what_becomes_of_them
from trainer.ui.recipe_form import OWN_AND_OTHERS, OWN_CLIPS, Fields
from trainer.ui.recordings import Recordings

TITLE = "Your own voice"
ASKED = "Its sound and its words are deleted for good."
INTRODUCTION = "Read some sentences aloud, and teach a model your voice. Each is kept as soon as you press Stop."
_RECORD_IF_WISHED = """() => {
  if (document.querySelector('#own-at-once input')?.checked && document.querySelector('#own-sentence .reading'))
    document.dispatchEvent(new CustomEvent('voicetune-record', {detail: '#own-microphone'}));
}"""
_RECORD = "() => document.dispatchEvent(new CustomEvent('voicetune-record', {detail: '#own-microphone'}))"
# Where the keyboard goes on: to what is the usual next thing.
_FOCUS = """() => setTimeout(() => {
  const next = document.querySelector('#own-next'), record = document.querySelector('#own-microphone .record-button');
  (next && !next.disabled ? next : record)?.focus({preventScroll: true});
}, 100)"""
_CHOOSE = """() => {
  document.querySelector('#data-card')?.scrollIntoView({behavior: 'smooth', block: 'center'});
  return '%s';
}"""
_REFUSE = "() => [window.voicetune.refusal, null]"
_CLICK_DOWNLOAD = "() => document.querySelector('#own-download-file')?.click()"


@dataclass(frozen=True)
class OwnClipsPanel:
    """Its components. `changed` is another number whenever the clips are others; what is hidden has no label."""

    fold: gr.Accordion
    sentence: gr.Textbox
    shown: gr.HTML
    audio: gr.Audio
    said: gr.HTML
    heard: gr.HTML
    kept: gr.Textbox
    following: gr.Button
    again: gr.Button
    skip: gr.Button
    status: gr.HTML
    alone: gr.Button
    mixed: gr.Button
    listing: "ClipList"
    refuse: gr.Button
    changed: gr.Number

    @property
    def moved(self) -> list[Any]:
        """The outputs of what goes on to another sentence."""
        return [self.sentence, self.shown, self.kept, self.said, self.following, self.again]


@dataclass(frozen=True)
class ClipList:
    """The list of clips, the editor of the one that is chosen, and the download."""

    clips: gr.Radio
    editor: gr.Column
    play: gr.HTML
    sound: gr.HTML
    text: gr.Textbox
    place: gr.HTML
    save: gr.Button
    delete: gr.Button
    question: gr.Column
    confirm: gr.Button
    keep: gr.Button
    download: gr.Button
    file: gr.DownloadButton

    @property
    def chosen(self) -> list[Any]:
        """The outputs of what opens or closes the editor."""
        return [self.play, self.sound, self.text, self.place, self.editor, self.question]


def build_own_clips(settings: Settings) -> OwnClipsPanel:
    """Lay it out in a fold, which is closed and empty."""
    with gr.Accordion(TITLE, open=False, elem_id="own-clips") as fold:
        fragment(f'<p class="message">{INTRODUCTION}</p>')
        sentence = gr.Textbox("", visible="hidden")
        shown = fragment("", elem_id="own-sentence")
        audio = gr.Audio(
            sources=["microphone"],
            type="filepath",
            format=None,  # kept as it is: decoding happens within limits, in trainer.speech.audio
            label="Your voice",
            show_label=False,
            waveform_options=gr.WaveformOptions(sample_rate=16_000),
            editable=False,
            buttons=[],
            elem_id="own-microphone",
        )
        fragment("<span></span>", elem_id="own-microphone-note")  # script.js says there what is wrong with it
        said, heard = fragment("", elem_id="own-kept"), fragment("", visible="hidden")
        kept = gr.Textbox("", visible="hidden")
        with gr.Row():
            following = gr.Button("Next", variant="primary", interactive=False, min_width=80, elem_id="own-next")
            again = gr.Button("Again", interactive=False, min_width=80, elem_id="own-again")
            skip = gr.Button("Skip", min_width=80, elem_id="own-skip")
        gr.Checkbox(True, label="After Next, record at once", interactive=True, elem_id="own-at-once")
        status = fragment("", elem_id="own-progress")
        with gr.Row():
            alone = gr.Button("Learn from mine alone", size="sm", min_width=140, elem_id="own-alone")
            mixed = gr.Button("From mine and others", size="sm", min_width=140, elem_id="own-mixed")
        listing = _build_list()
        fragment(what_becomes_of_them(settings))
        refuse = gr.Button(visible="hidden", elem_id="own-refuse")  # pressed by script.js
    changed = gr.Number(0, visible="hidden")
    moving = (following, again, skip)
    return OwnClipsPanel(
        *(fold, sentence, shown, audio, said, heard, kept, *moving, status, alone, mixed, listing, refuse, changed)
    )


def _build_list() -> ClipList:
    clips = gr.Radio([], label="Your clips", visible=False, elem_id="own-list")
    with gr.Column(visible=False, elem_id="own-editor") as editor:
        play, sound = fragment(""), fragment("", visible="hidden")
        text = gr.Textbox("", label="What is said", lines=2, max_length=MOST_TEXT, elem_id="own-text")
        place = fragment("", elem_id="own-place")
        with gr.Row():
            save = gr.Button("Save", size="sm", min_width=80, elem_id="own-save")
            delete = gr.Button("Delete this clip", size="sm", min_width=80, elem_id="own-delete")
        with gr.Column(visible=False, elem_id="own-delete-question") as question:
            fragment(f'<p class="message">{ASKED}</p>')
            with gr.Row():
                confirm = gr.Button("Delete for good", size="sm", variant="stop", elem_id="own-delete-confirm")
                keep = gr.Button("Keep it", size="sm")
    download = gr.Button("Download my clips", size="sm", elem_id="own-download")
    file = gr.DownloadButton("Download", visible="hidden", elem_id="own-download-file")
    asking = (delete, question, confirm, keep)
    return ClipList(clips, editor, play, sound, text, place, save, *asking, download, file)


def wire_own_clips(wiring: Wiring, panel: OwnClipsPanel, fields: Fields, recordings: Recordings) -> None:
    """Connect its events. The language is the form's."""
    handlers, locale, listing = OwnClipHandlers(wiring.settings, recordings), fields.locale, panel.listing
    about = [panel.status, listing.clips]
    everything = [*panel.moved, *about, *listing.chosen, panel.changed]
    wiring.queued([panel.fold.expand, locale.change], LAST, handlers.open_own_voice, locale, everything)
    stopped = wiring.queued(
        panel.audio.stop_recording,
        EACH,
        handlers.keep_clip,
        [panel.audio, locale, panel.sentence, panel.kept],
        [panel.audio, panel.said, panel.heard, panel.kept, panel.following, panel.again, *about, panel.changed],
    )
    wiring.script(stopped.then, _FOCUS)
    wiring.at_once(panel.changed.change, LAST, handlers.look_over, [locale, listing.clips], about)
    wiring.script(panel.refuse.click, _REFUSE, [panel.said, panel.audio])
    onward = [panel.following.click, panel.skip.click]
    moved = wiring.at_once(onward, LAST, handlers.next_sentence, [locale, panel.sentence], panel.moved)
    wiring.script(moved.success, _RECORD_IF_WISHED)
    wiring.script(panel.again.click, _RECORD)
    for button, data in ((panel.alone, OWN_CLIPS), (panel.mixed, OWN_AND_OTHERS)):
        wiring.script(button.click, _CHOOSE % data, fields.data)
    _wire_list(wiring, panel, handlers, locale)


def _wire_list(wiring: Wiring, panel: OwnClipsPanel, handlers: OwnClipHandlers, locale: gr.Dropdown) -> None:
    listing = panel.listing
    clips, about = listing.clips, [panel.status, listing.clips]
    wiring.at_once(clips.input, LAST, handlers.choose_clip, [locale, clips], listing.chosen)
    saved = [*about, listing.place, panel.changed]
    wiring.at_once(listing.save.click, LAST, handlers.save_clip, [locale, clips, listing.text], saved)
    deleted = [*about, *listing.chosen, panel.changed]
    wiring.at_once(listing.delete.click, LAST, _ask, None, listing.question)
    wiring.at_once(listing.keep.click, LAST, _close, None, listing.question)
    wiring.at_once(listing.confirm.click, ONCE, handlers.delete_clip, [locale, clips], deleted)
    seen: dict[str, Any] = {"show_progress": "full", "show_progress_on": listing.download}
    zipped = wiring.queued(listing.download.click, ONCE, handlers.download_clips, locale, listing.file, **seen)
    wiring.script(zipped.success, _CLICK_DOWNLOAD)


def _ask() -> dict[str, Any]:
    return gr.update(visible=True)


def _close() -> dict[str, Any]:
    return gr.update(visible=False)
