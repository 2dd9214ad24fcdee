"""Searching the Hub for models of a language: a button, what was found, and a sentence where nothing was."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.formatting import file_size
from trainer.hub.search import HubModel, find_models
from trainer.models.architectures import ARCHITECTURES
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.ui.components import explain, fragment, note

SEARCH = "Search the Hub for this language"
FOUND_FOR = "Found on the Hub for"  # a language, which may be another than is chosen by then
ANY = "Choose a language first; then I can search for its models."
FOUND = "By others, the most downloaded first. What they say of themselves has not been checked."
NOTHING = "I found no model for this language whose weights are safetensors. You can still type the name of one."
NONE: dict[str, Any] = gr.update(choices=[], value=None, visible=False)


@dataclass(frozen=True)
class Finder:
    """Its components."""

    search: gr.Button
    found: gr.Radio
    note: gr.HTML


def build_finder(name: str) -> Finder:
    """Lay it out; `name` makes its ids."""
    search = gr.Button(SEARCH, size="sm", elem_id=f"{name}-search")
    said = fragment("", elem_id=f"{name}-found-note")
    found = gr.Radio([], label=FOUND_FOR, visible=False, elem_id=f"{name}-found", elem_classes="found")
    return Finder(search, found, said)


def searcher(settings: Settings, kinds: Sequence[str] = tuple(ARCHITECTURES)) -> Callable[[str], Iterator[list[Any]]]:
    """The handler: from a locale's code (or another word, for none) to the list and the sentence. Takes seconds.

    `kinds` are model types."""

    def search(locale: str) -> Iterator[list[Any]]:
        row = LOCALES.get(locale)
        if row is None:
            yield [NONE, note(ANY, "quiet")]
            return
        yield [NONE, note(f"Searching for models that write {row.english_language} …", "quiet")]
        try:
            models = find_models(
                row.language,
                kinds,
                settings.hub_endpoint,
                reach_seconds=settings.hub_timeout,
                largest_bytes=settings.max_model_bytes,
            )
        except Exception as error:
            yield [NONE, note(explain(error))]
            return
        choices = [(found_label(model), model.id) for model in models]
        yield [
            gr.update(choices=choices, value=None, visible=bool(choices), label=f"{FOUND_FOR} {row.english_language}"),
            note(FOUND if choices else NOTHING, "quiet"),
        ]

    return search


def found_label(model: HubModel) -> str:
    """ "owner/name · 1.3 GB · apache-2.0 · 12,345 downloads"."""
    licence = model.licence or "no licence said"
    return f"{model.id} · {file_size(model.bytes)} · {licence} · {model.downloads:,} downloads"
