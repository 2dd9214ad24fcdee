"""An invitation to read a sentence aloud to one's own model: what it heard before its training, and hears now."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.runs.follower import view_of
from trainer.runs.run import Run

SENTENCES = 3
FEWEST_WORDS, MOST_WORDS = 3, 16  # of a sentence that is read in one breath
MOST_LETTERS = 120
READ = "Read one of these aloud"
OWN_WORDS = ("Something of my own", "")
BOTH = "Choose it, then record: you see what the model heard before its training, and what it hears now"
NOW = "Choose it, then record: you see how many of its words the model gets right"


@dataclass(frozen=True)
class ReadingFields:
    """Its components."""

    sentence: gr.Radio
    chosen: gr.State  # the sentence, or "": unlike the list, it is no error once the server has forgotten the page


def build_reading() -> ReadingFields:
    """Lay it out; it shows once there is something to read."""
    sentence = gr.Radio([], label=READ, visible=False, elem_id="read-aloud", elem_classes="found")
    return ReadingFields(sentence, gr.State(""))


def sentences_of(run: Run | None) -> list[str]:
    """What a run's model can be tried with: transcripts of clips that it was watched by, and has not learnt from."""
    texts = [guess.reference.strip() for guess in view_of(run).guesses] if run else []
    fitting = [text for text in dict.fromkeys(texts) if _fits(text)]
    return fitting[:SENTENCES]


def _fits(text: str) -> bool:
    words = text.split()
    spaced = FEWEST_WORDS <= len(words) <= MOST_WORDS
    return len(text) <= MOST_LETTERS and (
        spaced or (len(words) == 1 and len(text) > FEWEST_WORDS)
    )  # no spaces: Chinese


def invitation(run: Run | None, before: bool) -> dict[str, Any]:
    """The update of the sentences. `before`: what the model was before its training can be heard too."""
    sentences = sentences_of(run)
    update: dict[str, Any] = gr.update(
        choices=[*((text, text) for text in sentences), OWN_WORDS],
        value=None,
        visible=bool(sentences),
        info=BOTH if before else NOW,
    )
    return update
