"""How the page says things: times, rates, states and results, as a person would say them."""

import time

from trainer.runs.view import Evaluation, RunView
from trainer.speech.locales import Locale

PHASES = {
    "starting": "Getting ready",
    "downloading": "Downloading",
    "preparing": "Preparing the clips",
    "training": "Training",
    "evaluating": "Checking on clips it has never heard",
    "saving": "Saving",
}
STATES = {
    "waiting": "Waiting in line",
    "stopping": "Stopping, and keeping what it learnt",
    "finished": "Finished",
    "stopped": "Stopped",
    "failed": "It did not work",
    "interrupted": "Interrupted",
}


def duration(seconds: float) -> str:
    """A length of time: "40 s", "2 min 40 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def sound_length(seconds: float) -> str:
    """The length of a sound: tenths below a minute, then as `duration`; minutes alone from ten minutes on."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return duration(seconds) if seconds < 600 else f"{round(seconds / 60)} min"


def clock(seconds: float) -> str:
    """A running clock: "0:07", "12:30", "1:02:03"."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def about(seconds: float) -> str:
    """An estimate, no more exact than it is: "under a minute", "about 3 minutes", "about 2 hours"."""
    minutes = seconds / 60
    if minutes < 0.75:
        return "under a minute"
    if minutes < 55:
        rounded = round(minutes) if minutes < 12 else 5 * round(minutes / 5)
        return "about a minute" if rounded == 1 else f"about {rounded} minutes"
    hours = minutes / 60
    if hours < 1.25:
        return "about an hour"
    if hours < 20:
        return f"about {round(hours)} hours"
    days = round(hours / 24)
    return "about a day" if days <= 1 else f"about {days} days"


def percent(fraction: float) -> str:
    """A rate as people say it: "38 %"; tenths only below 1 %."""
    if 0 < fraction < 0.0095:
        return f"{max(fraction, 0.001) * 100:.1f} %"
    return f"{round(fraction * 100)} %"


def headline_of(evaluation: Evaluation, locale: Locale) -> float:
    """The figure that is shown first for this locale."""
    return evaluation.cer if locale.headline == "cer" else evaluation.wer


def errors_of(locale: Locale) -> str:
    """What that figure counts."""
    return "Character errors" if locale.headline == "cer" else "Word errors"


def state_words(view: RunView) -> str:
    """The state or, while running, the phase, in words."""
    if view.state == "running":
        return PHASES[view.phase]
    if view.state == "waiting" and view.place == 0:
        return PHASES["starting"]
    if view.state == "stopping" and view.saved_step == view.step > 0:
        return f"Stopping… saved at step {view.step}"
    return STATES[view.state]


def announcement(view: RunView, locale: Locale) -> str:
    """What a screen reader hears; changes with the phase alone. The many checks while training say nothing new."""
    if view.over:
        return f"{state_words(view)}. {result_sentence(view, locale)}"
    if view.state == "running" and view.phase in ("evaluating", "saving") and view.step > 0:
        return PHASES["training"]
    if view.state == "waiting" and view.place:
        return f"{STATES['waiting']}, place {view.place}"
    return state_words(view)


def result_sentence(view: RunView, locale: Locale) -> str:
    """What came of a run that is over, in one to three honest sentences."""
    if view.state in ("failed", "interrupted"):
        kept = " What it had learnt by its last check is kept." if view.best_step else ""
        return f"{view.what} {view.todo}".strip() + kept + _from_where(view)
    took = duration(view.elapsed(time.time()))
    if view.state == "stopped":
        if view.best_step is None:
            return view.what or "Stopped before anything was learnt."
        done = f"Stopped after {view.step} of {view.max_steps} steps. " if view.max_steps else "Stopped. "
        done += f"{view.what} " if view.what else ""
        return done + _change(view, locale, took) + _from_where(view)
    return _change(view, locale, took)


def _from_where(view: RunView) -> str:
    return f" Resume goes on from step {view.saved_step}." if view.resumable and view.saved_step else ""


def _change(view: RunView, locale: Locale, took: str) -> str:
    """How the errors changed from the untrained model to the one that was kept."""
    before, after = view.baseline, view.best
    if after is None:
        return f"It took {took}, and was not checked before it ended."
    if after.blank:
        return (
            f"It writes nothing yet, in {took}: every clip came out empty. That is how they all begin: give it more "
            "steps, or a higher learning rate."
        )
    errors, end = errors_of(locale), percent(headline_of(after, locale))
    if before is None or before is after:
        return f"{errors} stayed at {end} in {took}. Nothing was better than the untrained model."
    start = percent(headline_of(before, locale))
    if start == end:
        return f"{errors} did not fall: {end} before and after, in {took}. {_advice(view)}"
    if headline_of(after, locale) > headline_of(before, locale):
        return f"{errors} rose from {start} to {end} in {took}. A lower learning rate may help."
    return f"{errors} fell from {start} to {end} in {took}."


def _advice(view: RunView) -> str:
    losses = [point.value for point in view.losses if point.value is not None]
    if len(losses) > 1 and losses[-1] < 0.8 * losses[0]:
        return "The loss did fall, so more steps should show in the words too."
    return "More steps, or a higher learning rate, usually help."


def summary(view: RunView, locale: Locale, created: float) -> str:
    """One line for the list of earlier runs: when, which language, and what came of it."""
    local = time.localtime(created)
    when = f"{local.tm_mday} {time.strftime('%b, %H:%M', local)}"
    before, after = view.baseline, view.best
    if not view.over:
        came = "going on now" if view.state != "waiting" else "waiting in line"
    elif before and after:
        came = f"{percent(headline_of(before, locale))} → {percent(headline_of(after, locale))}"
    else:
        came = state_words(view).lower()
    return f"{when} · {locale.english} · {came}"


def file_size(count: int) -> str:
    """A download: "94 MB", "1.3 GB"; counted as the Hub does, in powers of 1000."""
    if count < 10**6:
        return f"{max(1, round(count / 1000))} kB"
    return f"{round(count / 10**6)} MB" if count < 0.9995 * 10**9 else f"{count / 10**9:.1f} GB"
