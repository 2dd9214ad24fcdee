"""How the page says things: times, rates, states and results, as a person would say them."""

import time
from dataclasses import dataclass

from trainer.formatting import duration, moment, one_in, percent
from trainer.runs.view import EvalPoint, RunView
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


def headline_of(evaluation: EvalPoint, locale: Locale) -> float:
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


_SPEAKERS = {
    "practice": "read by computer voices",
    "minds14": "of people who call a bank",
    "own": "of your own",
}


def ears(view: RunView, locale: Locale) -> str:
    """What the model was taught on and what to expect of a voice that it has not heard, from the run's own figures."""
    if view.data is None:
        return ""
    taught = f"It was taught on {_clips(view.data.train_clips)} {_SPEAKERS.get(view.data.kind, '')}".rstrip()
    judged = judgement_of(view).after
    if judged is None:
        return f"{taught}. How well it hears others was not measured."
    wrong = one_in(judged.cer, "letter")
    if view.data.kind == "practice":
        return (
            f"{taught}, and gets {wrong} wrong in others like them. With people it was not measured: expect more, and "
            f"fewer once it has learnt from recordings of people who speak {locale.english_language}."
        )
    return f"{taught}, and gets {wrong} wrong in others like them. With other voices, rooms and words expect more."


def _from_where(view: RunView) -> str:
    return f" Resume goes on from step {view.saved_step}." if view.resumable and view.saved_step else ""


@dataclass(frozen=True)
class Judgement:
    """The untrained model's figures and those of the model that was kept, by the same clips; `by` says by which."""

    before: EvalPoint | None
    after: EvalPoint | None
    by: str


def judgement_of(view: RunView) -> Judgement:
    """By the test split where it was read, else by the clips that it was watched by while it learnt."""
    data = view.data
    if view.test:
        clips = f"the {_clips(data.test_clips)}" if data else "clips"
        return Judgement(view.untrained_test, view.test, f", on {clips} kept aside for the end")
    watched = data.validation_clips if data else 0  # 0 in runs from before there were two kinds of them
    by = f", on the {_clips(watched)} it was watched by" if watched else ""
    return Judgement(view.baseline, view.best, by)


def _clips(count: int) -> str:
    return f"{count} clip{'' if count == 1 else 's'}"


def _change(view: RunView, locale: Locale, took: str) -> str:
    """How the errors changed from the untrained model to the one that was kept, and by what that was judged."""
    judged = judgement_of(view)
    changed = _compared(view, judged, locale, took)
    if view.test is None and judged.after and view.data and view.data.validation_clips:
        changed += f" The {_clips(view.data.test_clips)} kept aside for the end were not read."
    return changed


def _compared(view: RunView, judged: Judgement, locale: Locale, took: str) -> str:
    before, after, by = judged.before, judged.after, judged.by
    if after is None:
        return f"It took {took}, and was not checked before it ended."
    if after.blank:
        return (
            f"It writes nothing yet, in {took}: every clip came out empty. That is how they all begin: give it more "
            "steps, or a higher learning rate."
        )
    errors, end = errors_of(locale), percent(headline_of(after, locale))
    by += _with_phrases(after, locale)
    if before is None and view.test:
        return f"{errors} are at {end} after {took}{by}."
    if before is None or before is after:
        return f"{errors} stayed at {end} in {took}. Nothing was better than the untrained model."
    start = percent(headline_of(before, locale))
    if start == end:
        return f"{errors} did not fall: {end} before and after, in {took}{by}. {_advice(view)}"
    if headline_of(after, locale) > headline_of(before, locale):
        return f"{errors} rose from {start} to {end} in {took}{by}. A lower learning rate may help."
    return f"{errors} fell from {start} to {end} in {took}{by}."


def _with_phrases(after: EvalPoint, locale: Locale) -> str:
    rate = after.phrases_cer if locale.headline == "cer" else after.phrases_wer
    if rate is None or percent(rate) == percent(headline_of(after, locale)):
        return ""
    return f"; {percent(rate)} with the words and phrases it knows"


def _advice(view: RunView) -> str:
    losses = [point.value for point in view.losses if point.value is not None]
    if len(losses) > 1 and losses[-1] < 0.8 * losses[0]:
        return "The loss did fall, so more steps should show in the words too."
    return "More steps, or a higher learning rate, usually help."


def summary(view: RunView, locale: Locale, created: float) -> str:
    """One line for the list of earlier runs: when, which language, and what came of it."""
    judged = judgement_of(view)
    before, after = judged.before, judged.after
    if not view.over:
        came = "going on now" if view.state != "waiting" else "waiting in line"
    elif before and after:
        came = f"{percent(headline_of(before, locale))} → {percent(headline_of(after, locale))}"
    else:
        came = state_words(view).lower()
    return f"{moment(created)} · {locale.english} · {came}"
