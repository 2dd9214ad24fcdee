"""What did it learn: the mistakes that a model makes most, and the clips kept aside for the end, the worst first."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from trainer.formatting import percent
from trainer.runs.run import Run
from trainer.runs.view import Guess, RunView
from trainer.speech.locales import Locale
from trainer.ui.run_status import NOTHING_HEARD, marked

if TYPE_CHECKING:  # jiwer is needed only once there is something to compare
    from trainer.speech.mistakes import Mistake, TestedClip

MOST_MISTAKES = 8
MOST_ROWS = 60  # some 30 kB


def learnt_html(run: Run | None, view: RunView, locale: Locale) -> str:
    """One fold; "" while it learns, and for runs that kept nothing of it. All text is escaped."""
    if run is None or not view.over or view.tested is None or not run.tested.is_file():
        return ""
    from trainer.speech.mistakes import read_tested

    clips = read_tested(run.tested)
    if not clips:
        return ""
    return (
        f'<details class="learnt"><summary>What did it learn?</summary>{_mistakes(clips, locale)}'
        f"{_lengths(clips, locale)}{_table(clips, locale)}</details>"
    )


def _mistakes(clips: Sequence["TestedClip"], locale: Locale) -> str:
    from trainer.speech.mistakes import common_mistakes

    letters = common_mistakes([(clip.reference, clip.by_sound) for clip in clips], True, MOST_MISTAKES)
    lists = [_list("Letters it hears wrong most, by sound alone", letters, locale)]
    if locale.headline != "cer":
        words = common_mistakes([(clip.reference, clip.heard) for clip in clips], False, MOST_MISTAKES)
        lists.insert(0, _list("Words it gets wrong most", words, locale))
    return f'<div class="mistakes">{"".join(lists)}</div>'


def _list(title: str, mistakes: Sequence["Mistake"], locale: Locale) -> str:
    rows = "".join(f"<li>{_mistake(mistake, locale)}</li>" for mistake in mistakes)
    return f"<section><h3>{title}</h3>{f'<ul>{rows}</ul>' if rows else '<p>None.</p>'}</section>"


def _mistake(mistake: "Mistake", locale: Locale) -> str:
    heard = f'<span lang="{locale.code}">{escape(mistake.heard)}</span>' if mistake.heard.strip() else "nothing"
    times = "once" if mistake.times == 1 else f"{mistake.times} times"
    return f'<b lang="{locale.code}">{escape(mistake.said)}</b> → {heard}, {times}'


def _lengths(clips: Sequence["TestedClip"], locale: Locale) -> str:
    from trainer.speech.mistakes import by_length

    found = by_length(clips, locale.headline == "cer")
    if found is None:
        return ""
    middle, short, long = found
    unit = "characters" if locale.headline == "cer" else "words"
    return (
        f'<p class="lengths">In clips up to {middle:.1f} seconds ({short.clips}), {percent(short.rate)} of the {unit} '
        f"are wrong; in longer ones ({long.clips}), {percent(long.rate)}.</p>"
    )


def _table(clips: Sequence["TestedClip"], locale: Locale) -> str:
    from trainer.speech.mistakes import worst_first

    ranked = worst_first(clips, locale.headline == "cer")[:MOST_ROWS]
    some = f" ({len(ranked)} of {len(clips)})" if len(ranked) < len(clips) else ""
    rows = "".join(_row(clip, rate, locale) for clip, rate in ranked)
    return (
        f'<table class="learning aside"><caption>Clips kept aside for the end, the worst first{some}</caption><thead>'
        '<tr><th scope="col">Wrong</th><th scope="col">Said</th><th scope="col">Heard</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _row(clip: "TestedClip", rate: float, locale: Locale) -> str:
    lang = f'lang="{locale.code}"'
    guess = Guess(0, clip.reference, clip.heard)
    heard = f"<span {lang}>{marked(guess, locale)}</span>" if clip.heard.strip() else NOTHING_HEARD
    return (
        f'<tr><td class="rate">{percent(rate)}</td><td class="said"><span {lang}>{escape(clip.reference)}</span></td>'
        f'<td class="heard">{heard}</td></tr>'
    )
