"""What becomes of a visitor's words in the Transcribe tab: a function for each event."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.hub.connectivity import reachable
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.transcription.model_list import (
    HUB,
    READY,
    RUN,
    Choice,
    fetched_before,
    folder_here,
    model_choices,
    name_of,
    own_models,
)
from trainer.transcription.service import SoundError, TranscriptionService
from trainer.transcription.transcribe import Listening, Transcript
from trainer.ui.components import note
from trainer.ui.model_note import away, model_note, unusable
from trainer.ui.newest import Failed, Newest, Stopped
from trainer.ui.recordings import Recordings
from trainer.ui.transcript_html import INSTEAD, LISTENING, Screen, waiting_html
from trainer.ui.visitors import OpenPage, Visitor

GONE = SoundError("Your recording is not here any more.", "Record or upload it again.")


@dataclass(frozen=True)
class TranscribeHandlers:
    """The tab's handlers for all visitors, and what is being written down for each open page."""

    settings: Settings
    service: TranscriptionService
    recordings: Recordings = field(default_factory=Recordings)
    newest: Newest = field(default_factory=Newest)
    comparing: Newest = field(default_factory=Newest)
    several: Newest = field(default_factory=Newest)  # files at once

    def choices(self, visitor: Visitor, language: str, current: str | None, newest: str | None) -> list[Any]:
        """The models for a language, the id of the person's newest one, and which one to choose.

        That is a model of their own that is new since `newest`; else what is chosen, where it is still on offer or was
        typed.
        """
        now = self._newest(visitor)
        wanted = f"{RUN}{now}" if now and now != newest else current
        offered = model_choices(self.settings, visitor.owner, LOCALES.get(language))
        return [_listed(offered), now, [[current, _chosen(offered, wanted)]]]

    def mark(self, visitor: Visitor, language: str) -> dict[str, Any]:
        """The list again once it is known whether the Hub is there, which may take seconds: what has to be downloaded
        says that it needs the internet where it is not."""
        return _listed(model_choices(self.settings, visitor.owner, LOCALES.get(language), self._reachable()))

    def of_run(self, visitor: Visitor, run_id: str | None) -> list[Any]:
        """The list with one run chosen, and the id of the newest."""
        offered = model_choices(self.settings, visitor.owner)
        return [{**_listed(offered), "value": _chosen(offered, f"{RUN}{run_id}")}, self._newest(visitor)]

    def about(self, visitor: Visitor, choice: str | None) -> str:
        """A sentence on the chosen model, and whether it can be talked to now. Asks whether the Hub is there where
        that matters, which may take seconds."""
        choice = (choice or "").strip()
        if not choice:  # yet: the list is on its way, and keeps nobody from talking
            return ""
        try:
            own = folder_here(choice, self.settings, visitor.owner)
            missing = own is None and not fetched_before(choice, self.settings)
        except UserError as error:
            return unusable(str(error))
        if not missing and not choice.startswith(READY):
            return ""
        hub = self._reachable()
        if missing and not hub:
            return unusable(away(name_of(choice, self.settings, visitor.owner)))
        return note(model_note(choice, bool(own_models(self.settings, visitor.owner)), hub), "quiet")

    def _reachable(self) -> bool:
        return reachable(self.settings.hub_endpoint, self.settings.hub_timeout)

    def _newest(self, visitor: Visitor) -> str | None:
        return next((run.id for run in own_models(self.settings, visitor.owner)), None)

    def wake(self, visitor: Visitor, choice: str | None) -> None:
        """Load what a transcription needs while the person still talks."""
        self.service.warm_up(visitor.owner, choice or "")

    async def hear(
        self,
        choice: str | None,
        path: str | None,
        words: str | None,
        phrases: bool,
        language: str | None,
        request: gr.Request,
    ) -> AsyncGenerator[list[Any], None]:
        """The transcript; before it, the place in line and, of a long recording, the words so far.

        `words`, `phrases` and `language` are as `listening_for` takes them. The recording is the page's last one from
        now on, unless there is no sound in it.

        The newest recording of a page is the one whose words are shown: it takes the place of one before it that is
        not written down yet. The recorder is emptied first: it is ready for the next words at once, and its player,
        which would fetch the file to draw it, is gone before the file is.
        """
        if not path:
            yield [gr.skip(), gr.skip()]  # nothing arrived, and script.js has said so
            return
        page = OpenPage.asking(request, self.settings)
        recorder, listening = None, listening_for(words, phrases, language)
        self.recordings.keep(page, path)
        before = INSTEAD if self.newest.busy(page) else ""
        async with aclosing(self._written(page, choice, path, listening, before)) as shown:
            async for text in shown:
                yield [text, recorder]
                recorder = gr.skip()

    async def hear_again(
        self, choice: str | None, words: str | None, phrases: bool, language: str | None, request: gr.Request
    ) -> AsyncGenerator[Any, None]:
        """The page's last recording once more: with another model, or listening for other words."""
        page = OpenPage.asking(request, self.settings)
        path = self.recordings.last_of(page)
        if path is None:
            yield Screen().show(Failed(GONE))
            return
        async with aclosing(self._written(page, choice, path, listening_for(words, phrases, language))) as shown:
            async for text in shown:
                yield text

    async def hear_with(
        self, choice: str | None, words: str | None, phrases: bool, language: str | None, request: gr.Request
    ) -> AsyncGenerator[Any, None]:
        """The same by itself when another model was chosen, where there is a recording, and the model is here."""
        page = OpenPage.asking(request, self.settings)
        if self.recordings.last_of(page) is None or not self._here(choice or "", page.owner):
            yield gr.skip()
            return
        async with aclosing(self.hear_again(choice, words, phrases, language, request)) as shown:
            async for text in shown:
                yield text

    async def _written(
        self, page: OpenPage, choice: str | None, path: str, listening: Listening, before: str = ""
    ) -> AsyncGenerator[Any, None]:
        """What stands where the text will, as it changes."""
        screen = Screen(before)
        with self.recordings.held(path):  # until the end, also where the visitor leaves meanwhile
            steps = self.service.transcribe(page.owner, choice or "", path, listening)
            yield waiting_html(before + LISTENING)
            async with aclosing(self.newest.follow(page, steps)) as said:
                async for step in said:
                    if isinstance(step, Failed) and isinstance(step.error, SoundError):
                        self.recordings.forget(page)
                    if isinstance(step, Stopped) and screen.last:
                        self.recordings.wrote_down(page, screen.last.transcript)
                    if isinstance(step, Transcript):
                        self.recordings.wrote_down(page, step)
                    # In a thread: of an hour's words it takes a second, in which nobody else would be answered.
                    yield (await asyncio.to_thread(screen.show, step) if step else "") or gr.skip()

    def stop_hearing(self, page: OpenPage) -> None:
        """Stop was pressed while a recording was being written down, or compared."""
        self.newest.stop(page)
        self.comparing.stop(page)
        self.several.stop(page)

    def forget(self, page: OpenPage) -> None:
        """The page's last recording is not wanted any more; what was written down of it may stay."""
        self.stop_hearing(page)
        self.recordings.forget(page)

    def _here(self, choice: str, owner: str) -> bool:
        """Whether a model can be used without a download."""
        try:
            return folder_here(choice, self.settings, owner) is not None or fetched_before(choice, self.settings)
        except UserError:
            return False


def listening_for(words: str | None, phrases: bool, language: str | None) -> Listening:
    """`words` are listened for, and with `phrases` those that the model was taught. A model of many languages is told
    which one is spoken, where a locale's code is chosen."""
    return Listening(words or "", bool(phrases), LOCALES[language].language if language in LOCALES else "")


def _listed(offered: list[Choice]) -> dict[str, Any]:
    update: dict[str, Any] = gr.update(choices=[(choice.label, choice.value) for choice in offered])
    return update


def _chosen(offered: list[Choice], wanted: str | None) -> str | None:
    """What is wanted, where it is on offer or was typed, else the first that may be chosen by itself."""
    values = [choice.value for choice in offered]
    typed = bool(wanted) and not str(wanted).startswith((RUN, READY, HUB))
    return wanted if typed or wanted in values else next((choice.value for choice in offered if not choice.aside), None)
