"""The line above the plots: what happens now, how far it is, and for how long; and the sentence at the end."""

import time
from collections.abc import Sequence
from html import escape

from trainer.formatting import about, clock, percent
from trainer.runs.view import DataReport, Guess, RunView
from trainer.speech.locales import Locale
from trainer.ui.components import play_button
from trainer.ui.wording import announcement, errors_of, headline_of, result_sentence, state_words

NOTHING_YET = (
    '<div class="status"><p class="status-line"><strong>Nothing here yet.</strong></p>'
    '<p class="status-detail">Choose a language and press Start. The two curves below show how it usually goes: '
    "the errors fall while the model learns to write down what it hears.</p></div>"
)


def progress(view: RunView) -> float | None:
    """How much is done, 0 to 1: of all steps once training began, else of the phase; None where it is not known."""
    if view.max_steps and view.step:
        return min(1.0, view.step / view.max_steps)
    return min(1.0, view.done / view.total) if view.total else None


def status_line(view: RunView, locale: Locale, wait: float | None) -> str:
    """The status as HTML. `wait` is the estimated seconds until this run's turn.

    Clocks carry their seconds in data attributes, from which script.js counts on: no message is needed for a tick.
    """
    spoken = escape(announcement(view, locale))
    if view.over:
        return _ended(view, locale, spoken)
    now = time.time()
    share = progress(view)
    figures = "" if share is None else f" · {percent(share)}"
    if view.state == "waiting" and view.place:
        figures = f" · place {view.place}" + (f", {about(wait)}" if wait else "")
    left = view.remaining(now)
    clocks = []
    if view.started:
        elapsed = view.elapsed(now)
        clocks.append(f'<span data-elapsed="{elapsed:.0f}">{clock(elapsed)}</span> so far')
    if left is not None:
        clocks.append(f'<span data-left="{left:.0f}">{clock(left)}</span> left')
    return (
        f'<div class="status" data-say="{spoken}"><p class="status-line"><strong>{escape(state_words(view))}</strong>'
        f'<span>{escape(figures)}</span> <span class="quiet">· {escape(locale.english)}</span>'
        f'<span class="clocks">{" · ".join(clocks)}</span></p>{_bar(share)}{_headline(view, locale)}</div>'
    )


def _bar(share: float | None) -> str:
    """A progress bar; one that only moves where there is no figure."""
    if share is None:
        return '<div class="bar unknown" role="progressbar" aria-label="Progress"><span></span></div>'
    whole = round(share * 100)
    return (
        f'<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{whole}"><span style="width:{share * 100:.1f}%"></span></div>'
    )


def _headline(view: RunView, locale: Locale) -> str:
    """ "Word errors 96 % → 38 %", from the first check to the newest."""
    if not view.evaluations:
        return '<p class="headline">&nbsp;</p>'
    first, last = view.evaluations[0], view.evaluations[-1]
    figures = f"<b>{percent(headline_of(last, locale))}</b>"
    if last is not first:
        figures = f"{percent(headline_of(first, locale))} → {figures}"
    return f'<p class="headline">{errors_of(locale)} {figures}</p>'


def _ended(view: RunView, locale: Locale, spoken: str) -> str:
    good = view.state in ("finished", "stopped")
    first, *rest = result_sentence(view, locale).partition(". ")
    more = f'<p class="status-detail">{escape(rest[1])}</p>' if rest[1] else ""
    first += "." if rest[1] else ""
    return (
        f'<div class="status over {"good" if good else "bad"}" data-say="{spoken}"><p class="status-line">'
        f'<strong>{escape(state_words(view))}</strong><span class="quiet">· {escape(locale.english)}</span></p>'
        f'<p class="result">{escape(first)}</p>{more}</div>'
    )


def notes(view: RunView) -> str:
    """What the run said on its way, and the data that it used, for who wants to know."""
    lines = []
    if view.data:
        data = view.data
        lines.append(f"{data.source}: {data.train_clips} clips to learn from, {_held_out(data)}.")
        if data.left_out:
            counts = ", ".join(f"{count} {reason}" for reason, count in data.left_out.items())
            lines.append(f"Left out: {counts}.")
        if data.note:
            lines.append(data.note)
    lines += view.notes
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""


def _held_out(data: DataReport) -> str:
    """What becomes of the other clips; runs from before there was a validation split have one kind of them."""
    if not data.validation_clips:
        return f"{data.test_clips} to check with"
    return f"{data.validation_clips} to watch it by, {data.test_clips} kept aside for the end"


NOTHING_HEARD = '<span class="nothing">nothing yet</span>'


def learning_table(guesses: Sequence[Guess], locale: Locale, playable: bool) -> str:
    """The table as HTML. All text comes from recordings and models, so every bit of it is escaped."""
    rows = "".join(_row(guess, locale, playable) for guess in guesses)
    return (
        '<table class="learning"><caption>Clips it is watched by, never trained on</caption>'
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
    return ("" if by_character else " ").join(marked_piece(piece.kind, piece.text, piece.expected) for piece in pieces)


def marked_piece(kind: str, text: str, expected: str | None) -> str:
    """A word of a comparison (see `speech.metrics.Piece`), marked by more than colour."""
    if kind == "wrong":
        return f'<u class="wrong" title="{escape(f"should be: {expected}")}">{escape(text)}</u>'
    if kind == "extra":
        return f'<s class="extra" title="was not said">{escape(text)}</s>'
    if kind == "missing":
        said = escape(expected or "")
        return f'<span class="missing" title="missing: {said}"><span class="only-spoken">missing: {said}</span></span>'
    return escape(text)
