"""Several recordings at once: heard one after the other, and all their texts in one zip."""

import asyncio
import base64
import io
import zipfile
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from trainer.formatting import sound_length
from trainer.transcription.service import Step
from trainer.transcription.subtitles import WRITERS, write
from trainer.transcription.transcribe import Listening, Transcript
from trainer.ui.components import explain, fragment, note
from trainer.ui.events import EACH, Wiring
from trainer.ui.newest import Failed, Stopped
from trainer.ui.transcribe_handlers import TranscribeHandlers, listening_for
from trainer.ui.transcript_html import NO_WORDS, STOP_BUTTON, said_of
from trainer.ui.visitors import OpenPage

MOST_FILES = 20
ZIP = "transcripts.zip"
_REFUSE = "() => [window.voicetune.refusal, null]"  # by script.js, which knows why


@dataclass(frozen=True)
class SeveralFields:
    """What it consists of; `refuse` is pressed by script.js."""

    files: gr.File
    result: gr.HTML
    refuse: gr.Button


def build_several_files() -> SeveralFields:
    """Lay it out, folded away."""
    with gr.Accordion("Several files", open=False, elem_id="several-files"):
        files = gr.File(
            file_count="multiple",
            label=f"Recordings, {MOST_FILES} at most",
            elem_id="several-picker",
            height=140,
        )
        result = fragment("", elem_id="several-result")
        refuse = gr.Button(visible="hidden", elem_id="several-refuse")
    return SeveralFields(files, result, refuse)


@dataclass(frozen=True)
class Heard:
    """What became of a file so far: its newest step, or what went wrong; None while it waits for those before it."""

    name: str
    step: Step | Failed | None = None


@dataclass(frozen=True)
class SeveralFilesHandlers:
    """Its handlers for all visitors."""

    tab: TranscribeHandlers

    async def hear_several(
        self,
        choice: str | None,
        paths: list[str] | None,
        words: str | None,
        phrases: bool,
        language: str | None,
        request: gr.Request,
    ) -> AsyncGenerator[list[Any], None]:
        """What stands there as they are heard, and the picker, which is emptied first. One that fails says why, and the
        rest goes on; Stop keeps those that are done."""
        if not paths:
            yield [gr.skip(), gr.skip()]  # nothing arrived, and script.js has said so
            return
        page = OpenPage.asking(request, self.tab.settings)
        kept = [path for path in paths[:MOST_FILES] if self.tab.recordings.has(path)]
        picker = None
        with ExitStack() as held:
            for path in kept:
                held.enter_context(self.tab.recordings.held(path))
            files = [Heard(Path(path).name) for path in kept]
            steps = self._each(page.owner, choice or "", kept, listening_for(words, phrases, language))
            async with aclosing(self.tab.several.follow(page, steps)) as told:
                async for each in told:
                    stopped = isinstance(each, Stopped)
                    if isinstance(each, Failed):  # not of a file: it is this program's
                        yield [note(explain(each.error)), picker]
                        return
                    if isinstance(each, tuple):
                        files[each[0]] = Heard(files[each[0]].name, each[1])
                    shown = await asyncio.to_thread(several_html, files, stopped) if each else gr.skip()
                    yield [shown, picker]
                    picker = gr.skip()

    async def _each(
        self, owner: str, choice: str, paths: Sequence[str], listening: Listening
    ) -> AsyncGenerator[tuple[int, Step | Failed], None]:
        """The steps of one after the other, with its place among them."""
        for number, path in enumerate(paths):
            try:
                async with aclosing(self.tab.service.transcribe(owner, choice, path, listening)) as steps:
                    async for step in steps:
                        yield number, step
            except Exception as error:  # whatever it is, the other files are not to blame
                yield number, Failed(error)


def several_html(files: Sequence[Heard], stopped: bool = False) -> str:
    """A line on how far it is, with a button to stop; a row a file; at the end, or once stopped, the zip."""
    over = [isinstance(file.step, Transcript | Failed) for file in files]
    rows = "".join(f"<li>{_row(file, stopped)}</li>" for file in files)
    listed = f'<ol class="several">{rows}</ol>'
    if not (stopped or all(over)):
        now = over.index(False)
        line = f"{now + 1} of {len(files)} · {files[now].name}: {said_of(files[now].step)}"
        return f'<p class="hearing-line"><span>{escape(line)}</span> {STOP_BUTTON}</p>{listed}'
    done = [(file.name, file.step) for file in files if isinstance(file.step, Transcript)]
    ended = "Stopped" if stopped and not all(over) else "Done"
    line = f"{ended}: {len(done)} of {len(files)} written down."
    saved = f' <a download="{ZIP}" href="{_address(zip_of(done))}">Save all as one zip</a>' if done else ""
    return f'<p class="hearing-line" role="status"><span>{line}</span>{saved}</p>{listed}'


def _row(file: Heard, stopped: bool) -> str:
    name = f"<b>{escape(file.name)}</b>"
    match file.step:
        case Transcript() as heard:
            text = heard.text.strip() or NO_WORDS
            seconds = sound_length(heard.audio_seconds)
            return f'<details><summary>{name} · {seconds}</summary><p class="several-text">{escape(text)}</p></details>'
        case Failed(error):
            return f"{name}{note(explain(error))}"
        case None:
            return f"{name} · {'not heard' if stopped else 'waits'}"
        case _:
            return f"{name} · {'not finished' if stopped else 'being heard'}"


def zip_of(heard: Sequence[tuple[str, Transcript]]) -> bytes:
    """Every text as every kind of file, called as its recording is; names that would be the same are numbered."""
    archive, used = io.BytesIO(), Counter[str]()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, transcript in heard:
            stem = Path(name).stem or "recording"
            used[stem.lower()] += 1
            if (times := used[stem.lower()]) > 1:
                stem = f"{stem} ({times})"
            for kind in WRITERS:
                bundle.writestr(f"{stem}.{kind}", write(transcript, kind))
    return archive.getvalue()


def _address(data: bytes) -> str:
    return f"data:application/zip;base64,{base64.b64encode(data).decode()}"


def wire_several_files(
    wiring: Wiring, handlers: SeveralFilesHandlers, fields: SeveralFields, model: Any, listening: Sequence[Any]
) -> None:
    """`listening`: the components of `listening_for`."""
    sent, shown = [model, fields.files, *listening], [fields.result, fields.files]
    wiring.queued(fields.files.upload, EACH, handlers.hear_several, sent, shown, concurrency_limit=None)
    wiring.script(fields.refuse.click, _REFUSE, shown)
