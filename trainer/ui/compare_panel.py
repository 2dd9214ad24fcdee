"""The last recording through two models, side by side: the fields, and what becomes of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.errors import UserError
from trainer.models.base_ref import STARTER_ID
from trainer.models.resolve import starter_of
from trainer.speech.locales import LOCALES, locale_of
from trainer.transcription.model_list import READY, RUN, model_choices, name_of
from trainer.transcription.service import Step
from trainer.transcription.transcribe import Listening, Transcript
from trainer.ui.comparison_html import Compared, comparison_html
from trainer.ui.components import explain, fragment, note
from trainer.ui.newest import Failed, Newest, Stopped
from trainer.ui.reading import invitation
from trainer.ui.transcribe_handlers import GONE, TranscribeHandlers, listening_for
from trainer.ui.transcript_html import comparing_html
from trainer.ui.visitors import OpenPage, Visitor

MOST_SAID = 4_000  # letters
SAME = UserError("That is the same model twice.", "Choose another one to compare with.")
TOO_LONG = UserError(f"That is more than {MOST_SAID} letters.", "Type less of what was said, or leave it out.")


@dataclass(frozen=True)
class CompareFields:
    """Its components."""

    fold: gr.Accordion
    other: gr.Dropdown
    said: gr.Textbox
    compare: gr.Button
    result: gr.HTML


def build_compare() -> CompareFields:
    """Lay them out; script.js shows them once there is a recording."""
    with gr.Accordion("Compare with another model", open=False, elem_id="compare") as fold:
        other = gr.Dropdown(
            [],
            label="Compare with",
            info="The practice model is what a model fine-tuned from it was before its training",
            allow_custom_value=True,
            elem_id="other-model",
        )
        said = gr.Textbox(
            "",
            label="What was said, if you know",
            info="Then both are held against it",
            max_length=MOST_SAID,
            lines=2,
            elem_id="said",
        )
        compare = gr.Button("Compare", size="md")
        result = fragment("", elem_id="comparison")
    return CompareFields(fold, other, said, compare, result)


@dataclass(frozen=True)
class CompareHandlers:
    """Its handlers for all visitors."""

    tab: TranscribeHandlers

    @property
    def _newest(self) -> Newest:
        return self.tab.comparing

    def others(self, visitor: Visitor, language: str, model: str | None, current: str | None) -> list[Any]:
        """What a model can be compared with, and which one to choose: what is chosen, else what `model` was before."""
        offered = model_choices(self.tab.settings, visitor.owner, LOCALES.get(language))
        values = [choice.value for choice in offered]
        kept = current if current and (current in values or not current.startswith((RUN, READY))) else None
        first = next((value for value in values if value != model), None)
        before = self.before(visitor, model)
        wanted = kept if kept and kept != model else before if before in values else first
        listed = gr.update(choices=[(choice.label, choice.value) for choice in offered])
        return [listed, [[current, wanted]]]

    def before(self, visitor: Visitor, model: str | None) -> str | None:
        """What a model of the visitor's was before its training; None where that is not known."""
        run = visitor.find((model or "").removeprefix(RUN)) if (model or "").startswith(RUN) else None
        if run is None or run.recipe().base != STARTER_ID:
            return None
        language = locale_of(run.recipe().locale).language
        return f"{READY}{language}" if starter_of(language) else None

    def of_run(self, visitor: Visitor, run_id: str | None) -> dict[str, Any]:
        """What can be read aloud to a run's model."""
        return invitation(visitor.find(run_id), self.before(visitor, f"{RUN}{run_id}") is not None)

    def take_sentence(self, sentence: str | None) -> list[Any]:
        """One was chosen to be read: it is what will have been said."""
        return [sentence or "", sentence or "", gr.update(open=bool(sentence))]

    async def compare(
        self,
        choices: tuple[str, str],
        said: str,
        listening: Listening,
        page: OpenPage,
    ) -> AsyncGenerator[str, None]:
        """What stands there, until both have heard the page's last recording. "" for what may stay as it is."""
        path = self.tab.recordings.last_of(page)
        refusal = GONE if path is None else SAME if choices[0] == choices[1] else None
        if path is None or refusal or len(said) > MOST_SAID:
            yield note(explain(refusal or TOO_LONG))
            return
        with self.tab.recordings.held(path):
            async with aclosing(self._newest.follow(page, self._both(choices, path, listening, page))) as steps:
                async for step in steps:
                    yield await asyncio.to_thread(self._shown, step, said)

    async def compare_now(
        self,
        model: str | None,
        other: str | None,
        said: str | None,
        words: str | None,
        phrases: bool,
        language: str | None,
        request: gr.Request,
    ) -> AsyncGenerator[Any, None]:
        """Compare was pressed."""
        page = OpenPage.asking(request, self.tab.settings)
        chosen = [(model or "").strip(), (other or "").strip()]
        first, second = sorted(chosen, key=lambda choice: choice.startswith(RUN))  # what it was, then what it is now
        listening = listening_for(words, phrases, language)
        async with aclosing(self.compare((first, second), said or "", listening, page)) as shown:
            async for text in shown:
                yield text or gr.skip()

    async def compare_read(
        self,
        sentence: str | None,
        model: str | None,
        other: str | None,
        said: str | None,
        words: str | None,
        phrases: bool,
        language: str | None,
        request: gr.Request,
    ) -> AsyncGenerator[Any, None]:
        """The same by itself, once a sentence that was chosen to be read is written down."""
        page = OpenPage.asking(request, self.tab.settings)
        if not sentence or sentence != said or self.tab.newest.busy(page) or self.tab.recordings.last_of(page) is None:
            yield gr.skip()
            return
        async with aclosing(self.compare_now(model, other, said, words, phrases, language, request)) as shown:
            async for text in shown:
                yield text

    async def _both(
        self, choices: tuple[str, str], path: str, listening: Listening, page: OpenPage
    ) -> AsyncGenerator[tuple[str, Step] | Compared, None]:
        """One after the other: the steps of each with the name of its model, then both transcripts."""
        heard: list[Transcript] = []
        for choice in choices:
            name = name_of(choice, self.tab.settings, page.owner)
            async with aclosing(self.tab.service.transcribe(page.owner, choice, path, listening)) as steps:
                async for step in steps:
                    if isinstance(step, Transcript):
                        heard.append(step)
                    else:
                        yield name, step
        yield Compared(heard[0], heard[1])

    def _shown(self, step: tuple[str, Step] | Compared | Failed | Stopped | None, said: str) -> str:
        match step:
            case None:
                return ""
            case Compared():
                return comparison_html(Compared(step.first, step.second, said))
            case Failed():
                return note(explain(step.error))
            case Stopped():
                return note("Stopped.", "quiet")
            case (name, waiting):
                return comparing_html(name, waiting)
