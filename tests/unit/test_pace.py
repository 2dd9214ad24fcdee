"""What is left of a run, told from when its events came; and what one run teaches the estimates of the next."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trainer.runs.pace import Pace
from trainer.runs.run import create_run
from trainer.runs.train import note_time
from trainer.runs.view import RunView, fold
from trainer.settings import Settings
from trainer.training.estimate import estimate_seconds, work_seconds
from trainer.training.measured import FILE, MOST_KEPT, factor, note
from trainer.training.recipe import Recipe

STEPS, EVERY, LOGGED = 300, 30, 5
BEGUN = 1.8e9  # seconds since the epoch


def lesson(step_seconds: list[float], check: float, first: float, end: float) -> Iterator[tuple[float, dict[str, Any]]]:
    """Events with their times, as a run of STEPS steps tells them; the time of the last is its end."""
    now = BEGUN
    yield now, {"event": "started", "max_steps": STEPS, "eval_steps": EVERY, "pid": 1, "pid_started": 1.0}
    now += 8
    yield now, {"event": "phase", "phase": "training", "done": 0, "total": STEPS}
    now += first
    figures = {"loss": 1.0, "wer": 1.0, "cer": 1.0, "guesses": []}
    yield now, {"event": "evaluated", "step": 0, **figures}
    for step in range(1, STEPS + 1):
        now += step_seconds[step - 1]
        if step % LOGGED == 0:
            yield now, {"event": "log", "step": step, "loss": 1.0}
        if step % EVERY == 0:
            now += check
            yield now, {"event": "evaluated", "step": step, **figures}
            now += 1
            yield now, {"event": "model_saved", "step": step}
    yield now + end, {"event": "finished"}


def guesses(events: list[tuple[float, dict[str, Any]]]) -> dict[float, float]:
    """By the share of steps made: seconds in all, as the view would say it, over those that it takes."""
    view, found = RunView(), dict[float, float]()
    whole = events[-1][0] - events[0][0]
    for number, (now, event) in enumerate(events[:-1]):
        stamped = {
            **event,
            "seq": number,
            "attempt": 1,
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        }
        fold(view, [stamped])
        if (left := view.remaining(now)) is not None:
            found[view.step / STEPS] = (now - events[0][0] + left) / whole
    return found


@pytest.mark.parametrize(
    ("steps", "check", "first", "end"),
    [
        ([1.0] * STEPS, 10.0, 20.0, 20.0),
        ([0.1] * STEPS, 30.0, 60.0, 60.0),  # checks are most of it
        ([3.0] * 15 + [1.0] * (STEPS - 15), 4.0, 40.0, 30.0),  # clips are computed for the first time
        ([20.0, *[1.0] * (STEPS - 1)], 0.1, 1.0, 0.2),  # torch warms up
    ],
)
def test_at_a_tenth_the_end_is_known(steps: list[float], check: float, first: float, end: float) -> None:
    said = guesses([*lesson(steps, check, first, end)])
    assert {share for share in said if share <= 0.1}, "said by then"
    for share, guess in said.items():
        if share >= 0.1:
            assert guess == pytest.approx(1.0, abs=0.15), share
    assert said[max(said)] == pytest.approx(1.0, abs=0.05)


def test_nothing_is_said_before_a_few_steps() -> None:
    pace = Pace()
    assert pace.remaining(5.0, 10, 0) is None
    pace.training(0.0)
    pace.step(1, 3.0)
    pace.step(2, 4.0)
    assert pace.remaining(5.0, 10, 0) is None
    pace.step(3, 5.0)
    assert pace.remaining(5.0, 10, 0) == pytest.approx(7.0)
    assert pace.remaining(6.0, 10, 0) == pytest.approx(6.0), "the clock goes on between two events"
    assert pace.remaining(99.0, 10, 0) == 0


def test_a_long_run_is_remembered_in_little() -> None:
    pace = Pace()
    pace.training(0.0)
    for step in range(1, 5001):
        pace.step(step, 2.0 * step)
    assert len(pace.marks) < 300
    assert pace.remaining(10_000.0, 6000, 0) == pytest.approx(2000.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def test_what_was_measured_corrects_the_guess(settings: Settings) -> None:
    recipe = Recipe(locale="de-DE", max_steps=300)
    before, guess = estimate_seconds(recipe, settings), work_seconds(recipe, settings)
    note(recipe, settings, guess, 2 * guess)
    assert estimate_seconds(recipe, settings) - before == pytest.approx(guess)
    assert factor(recipe.change(max_steps=1000, locale="en-US"), settings) == 2, "of the same base and kind of step"
    other, elsewhere = recipe.change(frozen_layers=4), recipe.change(base="facebook/wav2vec2-base")
    assert factor(other, settings) == factor(elsewhere, settings) == 2, "nothing more alike is known"
    note(other, settings, guess, 0.5 * guess)
    note(elsewhere, settings, guess, 1.5 * guess)
    assert [factor(each, settings) for each in (recipe, other, elsewhere)] == [2, 0.5, 1.5]
    note(recipe, settings, guess, 3 * guess)
    assert factor(recipe, settings) == 3, "the newest"
    assert factor(recipe.change(base="openai/whisper-base"), settings) == 1.5, "the middle of all"
    assert "facebook" not in (settings.data_dir / FILE).read_text()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_run_that_ends_leaves_what_it_took(resumed: bool, settings: Settings) -> None:
    run = create_run(settings.data_dir / "run", Recipe(max_steps=STEPS))
    guess = work_seconds(run.recipe(), settings)
    events = [*lesson([2 * guess / STEPS] * STEPS, 0.0, 30.0, 0.0)]
    if resumed:
        events.insert(1, (BEGUN, {"event": "resumed", "step": 100, "checked": 0}))
    stamped = [
        {
            **event,
            "seq": number,
            "attempt": 1,
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        }
        for number, (now, event) in enumerate(events)
    ]
    run.events.write_text("".join(json.dumps(event) + "\n" for event in stamped), encoding="utf-8")
    note_time(run, settings)
    saves = STEPS // EVERY  # a second each
    assert factor(run.recipe(), settings) == pytest.approx(1.0 if resumed else 2.0 + saves / guess, rel=0.01)


def test_what_cannot_be_is_not_kept(settings: Settings) -> None:
    note(Recipe(), settings, 1.0, 100.0)
    assert factor(Recipe(), settings) == 1
    for number in range(MOST_KEPT + 5):
        note(Recipe(base=f"somebody/{number}"), settings, 1.0, 2.0)
    assert (settings.data_dir / FILE).read_text().count("took") == MOST_KEPT
    for spoilt in ("", "[", '[{"base": 1}]', '[{"base": "a", "recipe": "b", "guessed": 0, "took": 1}]', "7"):
        (settings.data_dir / FILE).write_text(spoilt)
        assert factor(Recipe(), settings) == 1, spoilt
    (settings.data_dir / FILE).unlink()
    (settings.data_dir / FILE).mkdir()
    note(Recipe(), settings, 1.0, 2.0)
    assert factor(Recipe(), settings) == 1
    assert [path.name for path in settings.data_dir.iterdir()] == [FILE], "no draft is left"
