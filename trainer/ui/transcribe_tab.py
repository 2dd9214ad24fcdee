"""The Transcribe tab: talk or upload, and read what the chosen model heard."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from html import escape
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.hub.reach import reachable
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.transcription.choices import (
    HUB,
    READY,
    RUN,
    Choice,
    folder_of_choice,
    model_choices,
    own_models,
    remember_choice,
)
from trainer.transcription.lane import Lane
from trainer.transcription.session import Transcript, name_of, transcribe_with, warm_up
from trainer.ui.faults import explain, note
from trainer.ui.finder import build_finder, searcher
from trainer.ui.fragments import fragment
from trainer.ui.model_note import model_note
from trainer.ui.uploads import Recordings
from trainer.ui.visitors import owner_of
from trainer.ui.wording import sound_length

log = logging.getLogger("voicetune.page")

ANY_LANGUAGE = "any"
SECONDS_BETWEEN_LOOKS = 0.2  # at the line
WAITING = '<p class="transcript waiting">Your words will stand here.</p>'
LISTENING = '<p class="transcript waiting">Listening … The first time, the model has to wake up.</p>'
DELETED = "A recording stays here until it is written down, and is deleted within seconds after that."


@dataclass(frozen=True)
class TranscribeTab:
    """What other parts of the page need of this tab."""

    model: gr.Dropdown
    newest: gr.State  # the id of the person's newest model when the list was last made


@dataclass(frozen=True)
class Listener:
    """The tab's handlers, and the line in which all visitors' recordings wait."""

    settings: Settings
    lane: Lane = field(default_factory=Lane)
    recordings: Recordings = field(default_factory=Recordings)

    def choices(self, secret: object, language: str, current: str | None, newest: str | None) -> list[Any]:
        """The models for a language, and the id of the person's newest one.

        A model of their own that is new since `newest` is chosen; else what is chosen stays, where it is still on
        offer or was typed.
        """
        owner = owner_of(secret, self.settings)
        now = self._newest(owner)
        wanted = f"{RUN}{now}" if now and now != newest else current
        return [_offer(model_choices(self.settings, owner, LOCALES.get(language)), wanted), now]

    def of_run(self, secret: object, run_id: str | None) -> list[Any]:
        """The list with one run chosen, and the id of the newest."""
        owner = owner_of(secret, self.settings)
        return [_offer(model_choices(self.settings, owner), f"{RUN}{run_id}"), self._newest(owner)]

    def about(self, secret: object, choice: str | None) -> str:
        """A sentence on the chosen model. Asks whether the Hub is there, which may take seconds where it is not."""
        own = bool(own_models(self.settings, owner_of(secret, self.settings)))
        ready = (choice or "").startswith(READY)
        hub = ready and reachable(self.settings.hub_endpoint, self.settings.hub_timeout)
        return note(model_note(choice or "", own, hub), "quiet")

    def _newest(self, owner: str) -> str | None:
        return next((run.id for run in own_models(self.settings, owner)), None)

    def wake(self, secret: object, choice: str | None) -> None:
        """Load what a transcription needs while the person still talks."""
        owner = owner_of(secret, self.settings)
        threading.Thread(target=_warm_up, args=(choice or "", self.settings, owner), daemon=True).start()

    async def hear(self, secret: object, choice: str | None, path: str | None) -> AsyncIterator[list[Any]]:
        """The transcript; before it, the place in line. The recording is deleted whatever comes of it.

        The recorder is emptied first: it is ready for the next words at once, and its player, which would fetch the
        file to draw it, is gone before the file is.
        """
        if not path:
            yield [WAITING, gr.skip()]
            return
        with self.recordings.held(path):  # until the end, also where the visitor leaves meanwhile
            yield [LISTENING, None]
            async with aclosing(self._words(owner_of(secret, self.settings), choice or "", path)) as said:
                async for words in said:
                    yield [words, gr.skip()]

    async def _words(self, owner: str, choice: str, path: str) -> AsyncGenerator[str, None]:
        spot = None
        try:
            # What may be a download does not keep others waiting.
            folder = await asyncio.to_thread(folder_of_choice, choice, self.settings, owner)
            spot = self.lane.join(owner, self.settings.limits.waiting_recordings)
            told = 0
            while place := self.lane.place(spot):
                if place != told:
                    yield _in_line(place)
                    told = place
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            if told:
                yield LISTENING
            heard = await asyncio.to_thread(transcribe_with, path, folder, self.settings, name_of(choice))
            yield transcript_html(heard)
            remember_choice(choice, self.settings, owner)
        except FileNotFoundError:
            yield note(explain(UserError("That recording is gone already.", "Please record it again.")))
        except Exception as error:
            yield note(explain(error))
        finally:
            if spot:
                self.lane.leave(spot)


def _offer(offered: list[Choice], wanted: str | None) -> dict[str, Any]:
    """The list, with what is wanted chosen where it is on it or was typed, else its first."""
    values = [choice.value for choice in offered]
    typed = bool(wanted) and not str(wanted).startswith((RUN, READY, HUB))
    value = wanted if typed or wanted in values else next(iter(values), None)
    update: dict[str, Any] = gr.update(choices=[(choice.label, choice.value) for choice in offered], value=value)
    return update


def _in_line(place: int) -> str:
    others = "One other recording comes" if place == 1 else f"{place} other recordings come"
    return f'<p class="transcript waiting">{others} before yours …</p>'


def transcript_html(heard: Transcript) -> str:
    """The words, large, with a button to copy them; below them, small, how it went."""
    took = f"{sound_length(heard.audio_seconds)} of sound · took {sound_length(heard.took_seconds)} · {heard.model}"
    details = f'<p class="transcript-details">{escape(took)}</p>'
    if not heard.text.strip():
        nothing = "There was sound, but the model heard no words in it. Try to speak a little louder, or closer."
        return note(nothing) + details
    return (
        f'<p class="transcript" id="transcript">{escape(heard.text)}</p>{details}'
        '<button type="button" class="copy" data-copy="transcript">Copy</button>'
    )


def _below_microphone(settings: Settings) -> str:
    """What script.js needs to know of uploads, and what becomes of them."""
    return f'<span data-most-bytes="{settings.max_audio_bytes}"></span>' + note(DELETED, "quiet")


def _warm_up(choice: str, settings: Settings, owner: str) -> None:
    try:
        warm_up(choice, settings, owner)
    except Exception:  # it will show again, and be told, when the model is used
        log.exception("Warming up failed")


def build_transcribe_tab(
    demo: gr.Blocks, settings: Settings, secret: gr.BrowserState, tab: gr.Tab, hidden: dict[str, Any]
) -> TranscribeTab:
    """Lay it out and wire it. `hidden`: the options of events that answer at once."""
    listener = Listener(settings)
    languages = [("Any language", ANY_LANGUAGE), *((row.label, code) for code, row in LOCALES.items())]
    with gr.Column(elem_id="transcribe"):
        with gr.Row():
            model = gr.Dropdown(
                [], label="Model", info="Or type the name of one on the Hub", allow_custom_value=True, min_width=260
            )
            language = gr.Dropdown(languages, value=ANY_LANGUAGE, label="Language", info="Which models to list")
        with gr.Accordion("Find more models on the Hub", open=False, elem_id="find-models"):
            finder = build_finder("models")
        newest = gr.State(None)
        about = fragment("", elem_id="model-note")
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
        fragment(_below_microphone(settings), elem_id="microphone-note")
        result = fragment(WAITING, elem_id="result")
    offered = gr.on(
        [demo.load, tab.select, language.input],
        listener.choices,
        [secret, language, model, newest],
        [model, newest],
        **hidden,
    )
    finder.search.click(
        searcher(settings),
        language,
        [finder.found, finder.note],
        show_progress="hidden",
        api_visibility="private",
    )
    finder.found.input(lambda found: found, finder.found, model, **hidden)
    for event in (offered.then, model.change):
        event(listener.about, [secret, model], about, show_progress="hidden", api_visibility="private")
    gr.on([tab.select, audio.start_recording], listener.wake, [secret, model], None, **hidden)
    # In 6.31 a recording is uploaded first, then stop_recording fires, once; upload fires for uploads alone.
    gr.on(
        [audio.stop_recording, audio.upload],
        listener.hear,
        [secret, model, audio],
        [result, audio],
        concurrency_limit=None,  # the lane has its own limit
        show_progress="hidden",  # it says itself that it listens
        api_visibility="private",
    )
    return TranscribeTab(model, newest)
