"""The Transcribe tab: talk or upload, and read what the chosen model heard. Its layout, and which event asks whom."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.models.architectures import ARCHITECTURES
from trainer.models.hot_words import MOST_LETTERS
from trainer.models.model_config import WHISPER
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.transcription.live_streams import LiveStreams
from trainer.transcription.service import TranscriptionService
from trainer.ui.compare_panel import CompareFields, CompareHandlers, build_compare
from trainer.ui.components import fragment, note
from trainer.ui.correction_panel import (
    CorrectionFields,
    CorrectionHandlers,
    build_correction,
    take_words,
    wire_correction,
)
from trainer.ui.events import EACH, LAST, Wiring
from trainer.ui.hub_search import Finder, build_finder, searcher
from trainer.ui.live_captions import LiveCaptions, lay_out_live_captions, wire_live_captions
from trainer.ui.own_clip_handlers import OwnClipHandlers
from trainer.ui.reading import ReadingFields, build_reading
from trainer.ui.recordings import SECONDS_KEPT_ON_SPACE, Recordings, how_long_kept
from trainer.ui.several_files_panel import (
    SeveralFields,
    SeveralFilesHandlers,
    build_several_files,
    wire_several_files,
)
from trainer.ui.transcribe_handlers import TranscribeHandlers
from trainer.ui.transcript_html import NOTHING_YET

ANY_LANGUAGE = "any"
MOST_TYPED = 2 * MOST_LETTERS
# Both are shown once there is a recording. The player plays the browser's own copy of it.
PLAYER = '<audio controls preload="metadata" aria-label="Your last recording"></audio>'
LAST_RECORDING = """<p class="keep">
<button type="button" class="copy" data-press="hear-again">Hear it again</button>
<button type="button" class="copy" data-press="forget">Forget it now</button>
<label class="switch"><input type="checkbox" id="show-unsure" checked> Underline unsure words</label>
</p>
<p class="message quiet">Click a word to hear it, or go from word to word with the arrow keys and press Enter. Choose
another model above, and it hears the same recording.</p>"""


@dataclass(frozen=True)
class TranscribeTab:
    """What other parts of the page need of this tab."""

    handlers: TranscribeHandlers
    model: gr.Dropdown
    newest: gr.State  # the id of the person's newest model when the list was last made
    about: gr.HTML  # what is said of the model that is chosen
    comparing: CompareHandlers
    reading: ReadingFields


@dataclass(frozen=True)
class _Parts:
    """The tab's components."""

    model: gr.Dropdown
    language: gr.Dropdown
    finder: Finder
    newest: gr.State
    about: gr.HTML
    audio: gr.Audio
    words: gr.Textbox
    phrases: gr.Checkbox
    result: gr.HTML
    comparing: CompareFields
    correcting: CorrectionFields
    reading: ReadingFields
    live: LiveCaptions
    several: SeveralFields

    @property
    def listening(self) -> list[Any]:
        """What is listened for."""
        return [self.words, self.phrases, self.language]


def build_transcribe_tab(
    wiring: Wiring, tab: gr.Tab, recordings: Recordings, service: TranscriptionService, own_changed: gr.Number
) -> TranscribeTab:
    """Lay it out and wire it. `own_changed` is told when the visitor's own clips have changed."""
    settings = wiring.settings
    handlers = TranscribeHandlers(settings, service, recordings)
    comparing = CompareHandlers(handlers)
    with gr.Column(elem_id="transcribe"):
        parts = _lay_out(settings)
        _wire_models(wiring, handlers, parts, tab)
        heard = _wire_words(wiring, handlers, parts)
        _wire_comparing(wiring, comparing, parts, tab, heard)
        correcting = CorrectionHandlers(OwnClipHandlers(settings, recordings))
        several = SeveralFilesHandlers(handlers)
        wire_several_files(wiring, several, parts.several, parts.model, parts.listening)
        asked = (parts.model, parts.language)
        wire_correction(wiring, correcting, parts.correcting, asked, parts.result, own_changed)
    return TranscribeTab(handlers, parts.model, parts.newest, parts.about, comparing, parts.reading)


def _lay_out(settings: Settings) -> _Parts:
    languages = [("Any language", ANY_LANGUAGE), *((row.label, code) for code, row in LOCALES.items())]
    with gr.Row(elem_id="which-model"):
        model = gr.Dropdown(
            [], label="Model", info="Or type the name of one on the Hub", allow_custom_value=True, min_width=120
        )
        language = gr.Dropdown(
            languages,
            value=ANY_LANGUAGE,
            label="Language",
            info="What is spoken, and which models to list",
            min_width=120,
        )
    newest = gr.State(None)
    about = fragment("", elem_id="model-note")
    reading = build_reading()
    audio = gr.Audio(
        sources=["microphone", "upload"],
        type="filepath",
        format=None,  # kept as it is: decoding happens within limits, in trainer.speech.audio
        label="Talk, or upload a recording",
        waveform_options=gr.WaveformOptions(sample_rate=16_000),  # what the models hear; a third of the upload
        editable=False,
        buttons=[],
        elem_id="microphone",
    )
    live = lay_out_live_captions()
    result = fragment(NOTHING_YET, elem_id="result")
    fragment(PLAYER, elem_id="last-sound")
    fragment(LAST_RECORDING, elem_id="last-recording")
    fragment(below_microphone(settings), elem_id="microphone-note")
    correcting, comparing, several = build_correction(), build_compare(), build_several_files()
    with gr.Accordion("Advanced", open=False, elem_id="listening"):
        words = gr.Textbox(
            "",
            label="Names and words to listen for",
            info="Between commas. It still has to hear them: a name that sounds otherwise is left alone",
            placeholder="Anneliese, Kopenhagen, Voicetune",
            max_length=MOST_TYPED,
            elem_id="words",
        )
        phrases = gr.Checkbox(
            True,
            label="Use the words and phrases it knows",
            info="It expects common words of its language, and sentences like those it learnt. Without, it spells by "
            "ear alone",
            elem_id="phrases",
        )
    with gr.Accordion("Find more models on the Hub", open=False, elem_id="find-models"):
        finder = build_finder("models")
    heard = (model, language, finder, newest, about, audio, words, phrases, result)
    return _Parts(*heard, comparing, correcting, reading, live, several)


def below_microphone(settings: Settings) -> str:
    """What script.js needs to know of uploads, and what becomes of them."""
    kept = f' data-kept-seconds="{SECONDS_KEPT_ON_SPACE:g}"' if settings.on_space else ""
    facts = f'<span data-most-bytes="{settings.max_audio_bytes}"{kept}></span>'
    return facts + note(how_long_kept(settings.on_space), "quiet")


def _pressed_by_script(name: str) -> gr.Button:
    """A button that script.js presses."""
    return gr.Button(visible="hidden", elem_id=name)


def _wire_models(wiring: Wiring, handlers: TranscribeHandlers, parts: _Parts, tab: gr.Tab) -> None:
    """Which models there are, and what is said of the one that is chosen."""
    model, finder, audio = parts.model, parts.finder, parts.audio
    look_again = _pressed_by_script("look-again")
    listing = [wiring.demo.load, tab.select, parts.language.input]
    sent = [parts.language, model, parts.newest]
    offered = wiring.filling(listing, LAST, handlers.choices, sent, [model, parts.newest], [model])
    wiring.queued(offered.then, LAST, handlers.mark, parts.language, model)
    found, kinds = [finder.found, finder.note], (*ARCHITECTURES, WHISPER)
    wiring.queued(finder.search.click, LAST, searcher(wiring.settings, kinds), parts.language, found)
    wiring.at_once(finder.found.input, LAST, lambda found: found, finder.found, model)
    # One event for all: of two, the answer for the model before could come last.
    asking = [model.change, tab.select, audio.start_recording, look_again.click]
    wiring.queued(asking, LAST, handlers.about, model, parts.about)
    wiring.at_once([tab.select, audio.start_recording], LAST, handlers.wake, model, None)


def _wire_words(wiring: Wiring, handlers: TranscribeHandlers, parts: _Parts) -> Any:
    """What becomes of a recording. Returns the event of a new one."""
    audio, result = parts.audio, parts.result
    refuse, again, stop, forget = map(_pressed_by_script, ("refuse", "hear-again", "stop-hearing", "forget"))
    unlimited: dict[str, Any] = {"concurrency_limit": None}  # the service has its own limits
    wiring.script(refuse.click, _REFUSE, [result, audio])
    # In 6.31 a recording is uploaded first, then stop_recording fires, once; upload fires for uploads alone.
    sent = [parts.model, audio, *parts.listening]
    heard = wiring.queued([audio.stop_recording, audio.upload], EACH, handlers.hear, sent, [result, audio], **unlimited)
    anew = [parts.model, *parts.listening]
    heard_again = wiring.queued(again.click, EACH, handlers.hear_again, anew, result, **unlimited)
    heard_with = wiring.queued(parts.model.input, EACH, handlers.hear_with, anew, result, **unlimited)
    for event in (heard, heard_again, heard_with):
        take_words(wiring, event, parts.correcting)
    wiring.at_once(stop.click, EACH, handlers.stop_hearing, None, None)
    wiring.at_once(forget.click, EACH, handlers.forget, None, None)
    streams = LiveStreams(wiring.settings, handlers.service.line)
    wire_live_captions(wiring, streams, parts.live, [parts.model, parts.words, parts.phrases])
    return heard


def _wire_comparing(wiring: Wiring, handlers: CompareHandlers, parts: _Parts, tab: gr.Tab, heard: Any) -> None:
    """The last recording through two models: `heard` by the one, it is compared by itself where it was to be read."""
    fields = parts.comparing
    listing = [tab.select, parts.language.input, parts.model.change]
    sent = [parts.language, parts.model, fields.other]
    wiring.filling(listing, LAST, handlers.others, sent, [fields.other], [fields.other])
    compared = [parts.model, fields.other, fields.said, *parts.listening]
    asking = [fields.compare.click, fields.said.submit]
    wiring.queued(asking, EACH, handlers.compare_now, compared, fields.result, concurrency_limit=None)
    sentence, chosen = parts.reading.sentence, parts.reading.chosen
    wiring.at_once(sentence.input, LAST, handlers.take_sentence, sentence, [chosen, fields.said, fields.fold])
    read = [chosen, *compared]
    wiring.queued(heard.then, EACH, handlers.compare_read, read, fields.result, concurrency_limit=None)


_REFUSE = "() => [window.voicetune.refusal, null]"
