"""The table "Watch it learn": a few fixed clips, what was said in each, and what the model hears now."""

from collections.abc import Sequence
from html import escape

from trainer.runs.view import Guess
from trainer.speech.locales import Locale
from trainer.ui.clips import play_button

NOTHING_HEARD = '<span class="nothing">nothing yet</span>'


def learning_table(guesses: Sequence[Guess], locale: Locale, playable: bool) -> str:
    """The table as HTML. All text comes from recordings and models, so every bit of it is escaped."""
    rows = "".join(_row(guess, locale, playable) for guess in guesses)
    return (
        '<table class="learning"><caption>Clips it is tested on, never trained on</caption>'
        '<thead><tr><th scope="col"><span class="only-spoken">Play</span></th>'
        '<th scope="col">Said</th><th scope="col">Heard now</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _row(guess: Guess, locale: Locale, playable: bool) -> str:
    button = play_button(f"clip-{guess.clip}", guess.reference) if playable else ""
    said = f'<span lang="{locale.code}">{escape(guess.reference)}</span>'
    heard = f'<span lang="{locale.code}">{marked(guess, locale)}</span>' if guess.hypothesis.strip() else NOTHING_HEARD
    return f'<tr><td class="listen">{button}</td><td class="said">{said}</td><td class="heard">{heard}</td></tr>'


def marked(guess: Guess, locale: Locale) -> str:
    """The guess with what differs marked: wrong words underlined, missing ones as a gap, extra ones struck out."""
    from trainer.speech.metrics import marked_words  # jiwer is needed only once there is something to compare

    by_character = locale.headline == "cer"
    pieces = marked_words(guess.reference, guess.hypothesis, by_character)
    return ("" if by_character else " ").join(_piece(piece.kind, piece.text, piece.expected) for piece in pieces)


def _piece(kind: str, text: str, expected: str | None) -> str:
    if kind == "wrong":
        return f'<u class="wrong" title="{escape(f"should be: {expected}")}">{escape(text)}</u>'
    if kind == "extra":
        return f'<s class="extra" title="was not said">{escape(text)}</s>'
    if kind == "missing":
        said = escape(expected or "")
        return f'<span class="missing" title="missing: {said}"><span class="only-spoken">missing: {said}</span></span>'
    return escape(text)
