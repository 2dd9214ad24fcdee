"""Two models side by side: what each heard of the same recording, and what differs."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from trainer.formatting import percent
from trainer.speech.locales import LOCALES
from trainer.speech.text import has_han, normalise
from trainer.transcription.transcribe import Transcript
from trainer.ui.run_status import marked_piece

NO_WORDS = '<span class="nothing">no words</span>'
ALIKE = "Both heard the same words."
DIFFERENT = "Underlined: what only one of them heard."
AGAINST = "Underlined is what is wrong, struck out what was not said, and a gap stands for a missing word."


@dataclass(frozen=True)
class Compared:
    """What two models heard of the same recording, and what was said, where somebody has typed it."""

    first: Transcript
    second: Transcript
    said: str = ""


def comparison_html(compared: Compared) -> str:
    """Two columns, each under its model's name, and a sentence. All text is escaped."""
    first, second = compared.first, compared.second
    han = has_han(compared.said or first.text + second.text)
    locale = LOCALES["zh-CN" if han else "en-US"]  # what is normalised depends on the script alone
    said = normalise(compared.said, locale)
    if said:
        columns = [_judged(heard, said, normalise(heard.text, locale), han) for heard in (first, second)]
        return _columns(columns, AGAINST)
    # Capitals and punctuation, which some models write and others do not, are no difference in what was heard.
    texts = [normalise(heard.text, locale) for heard in (first, second)]
    columns = [
        _column(first.model, _different(texts[1], texts[0], han)),
        _column(second.model, _different(texts[0], texts[1], han)),
    ]
    return _columns(columns, ALIKE if texts[0] == texts[1] else DIFFERENT)


def _judged(heard: Transcript, said: str, text: str, by_character: bool) -> str:
    """A column in which the words are held against what was said."""
    from trainer.speech.metrics import error_rates  # jiwer is needed only once there is something to compare

    rates = error_rates([said], [text])
    rate, what = (rates.cer, "Characters wrong") if by_character else (rates.wer, "Words wrong")
    marked = _marked(said, text, by_character, marked_piece)
    return _column(heard.model, marked, f"{what}: {percent(rate)}")


def _different(other: str, text: str, by_character: bool) -> str:
    """A text in which the words that the other one lacks are underlined."""

    def piece(kind: str, word: str, expected: str | None) -> str:
        if kind == "same":
            return escape(word)
        if kind == "missing":  # stands in the other column
            return ""
        title = f"the other heard: {expected}" if expected else "only heard here"
        return f'<u class="differs" title="{escape(title)}">{escape(word)}</u>'

    return _marked(other, text, by_character, piece)


def _marked(said: str, text: str, by_character: bool, piece: Callable[[str, str, str | None], str]) -> str:
    from trainer.speech.metrics import marked_words

    if not text:
        return ""
    pieces = marked_words(said, text, by_character) if said else []
    if not pieces:
        return escape(text)
    parts = [piece(part.kind, part.text, part.expected) for part in pieces]
    return ("" if by_character else " ").join(part for part in parts if part)


def _column(name: str, words: str, figure: str = "") -> str:
    line = f'<p class="figure">{escape(figure)}</p>' if figure else ""
    return (
        f'<div class="column" role="group" aria-label="{escape(name)}"><p><strong>{escape(name)}</strong></p>'
        f'<p class="heard">{words or NO_WORDS}</p>{line}</div>'
    )


def _columns(columns: list[str], sentence: str) -> str:
    return f'<div class="columns">{"".join(columns)}</div><p class="transcript-details">{escape(sentence)}</p>'
