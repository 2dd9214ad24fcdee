"""What programs may ask of a running app: three named endpoints with typed answers, for `gradio_client` and, where the
host allows it, for MCP.

A caller is a visitor like any other: the same queues and limits, their own models alone, and no path of the host. A
sound comes as a file that was sent (`gradio_client.handle_file` does that) or, where it is small, as a data: address.
"""

import asyncio
import base64
import binascii
import functools
import importlib.util
import re
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
from typing_extensions import TypedDict

from trainer.errors import UserError
from trainer.hub.connectivity import reachable
from trainer.models.hot_words import MOST_LETTERS
from trainer.settings import Settings
from trainer.speech.locales import LOCALES, Locale
from trainer.transcription.model_list import choice_here, model_choices
from trainer.transcription.service import TranscriptionService
from trainer.transcription.transcribe import Listening, Transcript
from trainer.ui.components import explain
from trainer.ui.recordings import Recordings
from trainer.ui.visitors import Visitor

MOST_COMPARED = 3  # models in one call; each is heard after the other
LONGEST_NAME = 200  # letters of a model's name
MOST_WORDS = 2 * MOST_LETTERS
_DATA = re.compile(r"data:[\w./+-]{0,60}(?:;[\w=./+-]{1,60})*;base64,", re.ASCII)
_CODE = re.compile(r"[a-z]{2,3}")


class SentFile(TypedDict):
    """A file that was sent to the app; `path` is as the upload was answered."""

    path: str


class HeardWord(TypedDict):
    """Seconds from the start of the sound; the confidence from 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


class Heard(TypedDict):
    """What a model heard. `spelt`: by its sound alone, where phrases or words have changed the text."""

    model: str
    text: str
    spelt: str
    words: list[HeardWord]
    audio_seconds: float
    took_seconds: float


class OfferedModel(TypedDict):
    """`model` is what the other endpoints take; `here`: nothing has to be downloaded for it."""

    model: str
    label: str
    here: bool


@dataclass(frozen=True)
class Endpoints:
    """The three, for all callers."""

    settings: Settings
    service: TranscriptionService
    recordings: Recordings

    async def transcribe(
        self,
        sound: SentFile | str,
        request: gr.Request,
        model: str = "",
        language: str = "",
        words: str = "",
        phrases: bool = True,
    ) -> Heard:
        """Write down what is said in a recording.

        Args:
            sound: A file that was sent to the app, or a small sound as a data: address in base64.
            model: As models() lists it, or the name of one on the Hugging Face Hub; empty for the one that is here.
            language: What is spoken, as en or de, for a model of many languages; empty lets it find out.
            words: Names and words to listen for, between commas.
            phrases: Whether to use the common words and the phrases that the model knows.
        """
        return (await self._heard(sound, [model], Listening(words, phrases, language), request))[0]

    async def compare(
        self, sound: SentFile | str, models: list[str], request: gr.Request, language: str = ""
    ) -> list[Heard]:
        """Write down a recording with two or three models, one after the other.

        Args:
            sound: A file that was sent to the app, or a small sound as a data: address in base64.
            models: Two or three, as models() lists them, or names of some on the Hugging Face Hub.
            language: What is spoken, as en or de, for models of many languages; empty lets them find out.
        """
        if not isinstance(models, list) or not 2 <= len(models) <= MOST_COMPARED:
            raise UserError(f"I compare two to {MOST_COMPARED} models.", "Send their names as a list.")
        return await self._heard(sound, models, Listening(language=language), request)

    async def models(self, request: gr.Request, language: str = "") -> list[OfferedModel]:
        """The models that can write down a recording: your own first, the newest of them first.

        Args:
            language: Only those for this language, as en or en-US; empty for all.
        """
        spoken = _locale(_text(language, "language", LONGEST_NAME))
        owner = Visitor.asking(request, self.settings).owner
        hub = await asyncio.to_thread(reachable, self.settings.hub_endpoint, self.settings.hub_timeout)
        return [
            OfferedModel(model=choice.value, label=choice.label, here=choice.here)
            for choice in model_choices(self.settings, owner, spoken, hub)
        ]

    async def _heard(self, sound: Any, models: list[Any], asked: Listening, request: gr.Request) -> list[Heard]:
        owner = Visitor.asking(request, self.settings).owner
        listening = _checked(asked)
        names = [_text(model, "model", LONGEST_NAME).strip() for model in models]
        with ExitStack() as stack:
            path = self._path_of(sound)
            stack.enter_context(self.recordings.held(path))
            return [
                await self._with_model(owner, name or choice_here(self.settings, owner).value, path, listening)
                for name in names
            ]

    async def _with_model(self, owner: str, model: str, path: str, listening: Listening) -> Heard:
        async for step in self.service.transcribe(owner, model, path, listening):
            if isinstance(step, Transcript):
                return _answer(model, step)
        raise RuntimeError("a transcription ended without words or an error")

    def _path_of(self, sound: Any) -> str:
        """Where the sound lies, among what was sent to this app and nowhere else."""
        if isinstance(sound, str):
            return self.recordings.write(_decoded(sound, self.settings.max_audio_bytes))
        path = sound.get("path") if isinstance(sound, dict) else None
        if not isinstance(path, str) or not self.recordings.has(path):
            raise UserError("No sound was sent.", "Send a file with gradio_client's handle_file.")
        return path


def offer_endpoints(settings: Settings, service: TranscriptionService, recordings: Recordings) -> None:
    """Make them a part of the page that is being built. Nothing on it shows them."""
    endpoints = Endpoints(settings, service, recordings)
    for handler in (endpoints.transcribe, endpoints.compare, endpoints.models):
        gr.api(
            _explained(handler),
            api_name=handler.__name__,
            api_visibility="public",
            concurrency_limit=None,  # the service has its own limits
        )


def check_mcp(settings: Settings) -> None:
    """Raises UserError where MCP is asked for and what it needs is not installed."""
    if settings.mcp and importlib.util.find_spec("mcp") is None:
        raise UserError(
            "VOICETUNE_MCP is set, but the package for MCP is not installed.",
            "Run pip install 'gradio[mcp]', or leave VOICETUNE_MCP out.",
        )


def _explained(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """A handler whose errors reach a program as sentences."""

    @functools.wraps(handler)
    async def answering(*values: Any) -> Any:
        try:
            return await handler(*values)
        except Exception as error:
            raise gr.Error(explain(error), print_exception=False) from None

    return answering


def _answer(model: str, heard: Transcript) -> Heard:
    words = [HeardWord(**asdict(word)) for word in heard.words]  # type: ignore[typeddict-item]  # the same four
    return Heard(
        model=model,
        text=heard.text,
        spelt=heard.spelt,
        words=words,
        audio_seconds=round(heard.audio_seconds, 3),
        took_seconds=round(heard.took_seconds, 3),
    )


def _checked(asked: Listening) -> Listening:
    """What was sent, which may be anything."""
    if not isinstance(asked.phrases, bool):
        raise UserError("“phrases” is true or false.", "Send one of them, or leave it out.")
    language = _text(asked.language, "language", LONGEST_NAME).strip()
    spoken = LOCALES[language].language if language in LOCALES else language
    if spoken and not _CODE.fullmatch(spoken):
        raise _no_language()
    return Listening(_text(asked.words, "words", MOST_WORDS), asked.phrases, spoken)


def _locale(language: str) -> Locale | None:
    """The first of a language where no country is named. Raises UserError for one that is not in the table."""
    language = language.strip()
    if not language:
        return None
    found = LOCALES.get(language) or next((row for row in LOCALES.values() if row.language == language), None)
    if found is None:
        raise _no_language()
    return found


def _text(value: Any, name: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise UserError(f"“{name}” is a text of at most {most} letters.", "Send it so, or leave it out.")
    return value


def _decoded(address: str, most: int) -> bytes:
    """The bytes of a data: address. Raises UserError."""
    head = _DATA.match(address[:500])
    try:
        data = base64.b64decode(address[head.end() :], validate=True) if head else b""
    except (binascii.Error, ValueError):
        data = b""
    if not 0 < len(data) <= most:
        raise UserError("No sound was sent.", "Send a file, or a small sound as data:audio/wav;base64, and its bytes.")
    return data


def _no_language() -> UserError:
    return UserError("I do not know that language.", "Send a code such as en, de or zh, or leave it out.")
