"""How things are said: rounded as people say them, and honest where nothing was gained."""

import time

import pytest

from trainer.formatting import about, clock, duration, one_in, percent, sound_length
from trainer.runs.view import DataReport, EvalPoint, Point, RunView
from trainer.speech.locales import LOCALES
from trainer.ui.wording import announcement, ears, result_sentence, summary

ENGLISH, CHINESE = LOCALES["en-US"], LOCALES["zh-CN"]


def ended(state: str, *rates: tuple[int, float], best: int | None = None, seconds: float = 160) -> RunView:
    view = RunView(state=state, max_steps=300, started=1000.0, ended=1000.0 + seconds, best_step=best)  # type: ignore[arg-type]
    view.evaluations = [EvalPoint(step, 1.0, rate, rate / 2) for step, rate in rates]
    view.step = rates[-1][0] if rates else 0
    return view


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (40, "40 s"), (59.6, "1 min"), (160, "2 min 40 s"), (3599.7, "1 h"), (3900, "1 h 5 min")],
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (20, "under a minute"),
        (60, "about a minute"),
        (170, "about 3 minutes"),
        (2350, "about 40 minutes"),
        (3500, "about an hour"),
        (5000, "about an hour"),
        (7000, "about 2 hours"),
        (90_000, "about a day"),
        (260_000, "about 3 days"),
    ],
)
def test_about(seconds: float, words: str) -> None:
    assert about(seconds) == words


@pytest.mark.parametrize(
    ("fraction", "words"),
    [
        (0, "0 %"),
        (0.384, "38 %"),
        (0.0004, "0.1 %"),
        (0.0044, "0.4 %"),
        (0.0099, "1 %"),
        (0.999, "100 %"),
        (1.2, "120 %"),
    ],
)
def test_percent(fraction: float, words: str) -> None:
    assert percent(fraction) == words


def test_clocks_and_sounds() -> None:
    assert [clock(seconds) for seconds in (-1, 7, 750, 3723)] == ["0:00", "0:07", "12:30", "1:02:03"]
    assert [sound_length(seconds) for seconds in (0.31, 4.24, 75, 754)] == ["0.3 s", "4.2 s", "1 min 15 s", "13 min"]


def test_a_finished_run_in_one_sentence() -> None:
    view = ended("finished", (0, 1.0), (300, 0.184), best=300)
    assert result_sentence(view, ENGLISH) == "Word errors fell from 100 % to 18 % in 2 min 40 s."
    assert result_sentence(view, CHINESE) == "Character errors fell from 50 % to 9 % in 2 min 40 s."


DATA = DataReport("Practice voices", "", 180, 34, 600.0, 100.0, {}, 21, 70.0, "practice")


def test_the_result_is_that_of_clips_which_decided_nothing() -> None:
    view = ended("finished", (0, 1.0), (300, 0.184), best=300)
    view.data, view.tested = DATA, EvalPoint(300, 1.0, 0.3, 0.1)
    view.untrained_test = EvalPoint(0, None, 0.9, 0.8)
    by = "on the 34 clips kept aside for the end"
    assert result_sentence(view, ENGLISH) == f"Word errors fell from 90 % to 30 % in 2 min 40 s, {by}."
    assert result_sentence(view, CHINESE) == f"Character errors fell from 80 % to 10 % in 2 min 40 s, {by}."
    assert summary(view, ENGLISH, 0.0).endswith("90 % → 30 %")
    view.untrained_test = None
    assert result_sentence(view, ENGLISH) == f"Word errors are at 30 % after 2 min 40 s, {by}."


def test_a_stop_that_did_not_wait_for_them_says_what_its_figures_are_of() -> None:
    view = ended("stopped", (0, 1.0), (120, 0.6), best=120)
    view.data = DATA
    assert result_sentence(view, ENGLISH) == (
        "Stopped after 120 of 300 steps. Word errors fell from 100 % to 60 % in 2 min 40 s, on the 21 clips it was "
        "watched by. The 34 clips kept aside for the end were not read."
    )


def test_a_run_that_gained_nothing_says_so() -> None:
    flat = ended("finished", (0, 1.0), (300, 0.998), best=300)
    flat.losses = [Point(1, 12.0), Point(300, 3.0)]
    assert "did not fall: 100 % before and after" in result_sentence(flat, ENGLISH)
    assert "The loss did fall" in result_sentence(flat, ENGLISH)
    worse = ended("finished", (0, 0.4), (300, 0.9), best=300)
    assert "rose from 40 % to 90 %" in result_sentence(worse, ENGLISH)
    unmoved = ended("finished", (0, 0.4), best=0)
    assert "stayed at 40 %" in result_sentence(unmoved, ENGLISH)


def test_a_stopped_run_says_how_far_it_came() -> None:
    view = ended("stopped", (0, 1.0), (120, 0.6), best=120)
    expected = "Stopped after 120 of 300 steps. Word errors fell from 100 % to 60 % in 2 min 40 s."
    assert result_sentence(view, ENGLISH) == expected
    early = ended("stopped")
    assert result_sentence(early, ENGLISH) == "Stopped before anything was learnt."
    unchecked = ended("stopped", (0, 1.0), best=2)
    assert "was not checked" in result_sentence(unchecked, ENGLISH)


def test_a_failed_run_says_what_to_do_and_what_is_left() -> None:
    view = ended("failed", (0, 1.0), (50, 0.8), best=50)
    view.what, view.todo = "The memory ran out.", "Choose smaller batches."
    expected = "The memory ran out. Choose smaller batches. What it had learnt by its last check is kept."
    assert result_sentence(view, ENGLISH) == expected


def test_what_is_spoken_changes_with_the_phase_alone() -> None:
    view = RunView(state="running", phase="training", step=10)
    spoken = announcement(view, ENGLISH)
    view.step, view.phase = 50, "evaluating"
    assert announcement(view, ENGLISH) == spoken == "Training"
    view.state = "stopping"
    assert announcement(view, ENGLISH) != spoken


def test_the_list_of_earlier_runs() -> None:
    created = time.mktime((2026, 11, 5, 9, 7, 0, 0, 0, -1))
    done = ended("finished", (0, 1.0), (300, 0.2), best=300)
    assert summary(done, LOCALES["de-DE"], created) == "5 Nov, 09:07 · German · 100 % → 20 %"
    assert summary(RunView(state="running"), ENGLISH, created).endswith("· going on now")
    assert summary(ended("failed"), ENGLISH, created).endswith("· it did not work")


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.0, "about 1 letter in 1000"),
        (0.124, "about 1 letter in 8"),
        (0.33, "about 1 letter in 3"),
        (0.42, "about 4 letters in 10"),
        (1.3, "about 10 letters in 10"),
    ],
)
def test_one_in(rate: float, words: str) -> None:
    assert one_in(rate, "letter") == words


@pytest.mark.parametrize(
    ("kind", "voices"), [("practice", "computer voices"), ("minds14", "call a bank"), ("own", "own")]
)
def test_what_a_model_knows_of_voices_comes_from_its_run(kind: str, voices: str) -> None:
    view = ended("finished", (0, 1.0), (300, 0.5), best=300)
    assert ears(view, ENGLISH) == ""
    view.data = DataReport("a source", "", 180, 34, 600.0, 100.0, {}, 21, 60.0, kind=kind)
    words = ears(view, ENGLISH)
    assert "180 clips" in words and voices in words and "about 1 letter in 4 wrong" in words
    assert ("people it was not measured" in words) == (kind == "practice")
