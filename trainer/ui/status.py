"""The line above the plots: what happens now, how far it is, and for how long; and the sentence at the end."""

import time
from html import escape

from trainer.runs.view import RunView
from trainer.speech.locales import Locale
from trainer.ui.wording import (
    about,
    announcement,
    clock,
    errors_of,
    headline_of,
    percent,
    result_sentence,
    state_words,
)

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
        lines.append(f"{data.source}: {data.train_clips} clips to learn from, {data.test_clips} to check with.")
        if data.left_out:
            counts = ", ".join(f"{count} {reason}" for reason, count in data.left_out.items())
            lines.append(f"Left out: {counts}.")
        if data.note:
            lines.append(data.note)
    lines += view.notes
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""
