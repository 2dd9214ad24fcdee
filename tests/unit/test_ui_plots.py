"""The plots: what they mark, what they do with values off the scale, and how small they stay."""

import re
import time
import xml.etree.ElementTree as ET

import pytest

from trainer.runs.view import EvalPoint, Point, RunView
from trainer.speech.locales import LOCALES
from trainer.ui.panel_state import example_view
from trainer.ui.plots import HEIGHT, TOP, WIDTH, Frame, loss_chart, nice_top, rate_chart
from trainer.ui.run_panel import LOSS_POINTS

ENGLISH, CHINESE = LOCALES["en-US"], LOCALES["zh-CN"]
FALLING = [EvalPoint(0, 9.0, 1.0, 0.96), EvalPoint(50, 3.0, 0.7, 0.4), EvalPoint(100, 2.0, 0.75, 0.42)]


def texts(chart: str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(chart).iter("text")]


def numbers(chart: str, css: str) -> list[tuple[float, float]]:
    path = re.search(rf'<path class="{css}" d="([^"]*)"', chart)
    assert path
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path[1])]


def test_the_rate_chart_marks_baseline_and_best() -> None:
    chart = rate_chart(FALLING, 50, 300, ENGLISH)
    assert "untrained 100 %" in texts(chart)
    assert "best 70 %" in texts(chart)
    assert "words75 %" in texts(chart)
    assert "characters42 %" in texts(chart)
    assert chart.count('class="mark first"') == 3


def test_the_axis_runs_to_the_last_step_and_to_100_percent() -> None:
    chart = rate_chart(FALLING, 50, 300, ENGLISH)
    assert {"0 %", "50 %", "100 %", "300 steps"} <= set(texts(chart))
    steps = [x for x, _ in numbers(chart, "curve first")]
    frame = Frame(300, 1.0)
    assert steps == pytest.approx([frame.x(0), frame.x(50), frame.x(100)], abs=0.1)


def test_a_rate_above_100_percent_lies_on_the_edge_and_its_value_is_said() -> None:
    chart = rate_chart([EvalPoint(0, 9.0, 1.34, 0.9), EvalPoint(50, 9.0, 1.12, 0.8)], None, 300, ENGLISH)
    assert [y for _, y in numbers(chart, "curve first")] == [TOP, TOP]
    assert "untrained 134 %" in texts(chart)
    assert "words112 %" in texts(chart)


def test_chinese_shows_characters_first() -> None:
    chart = rate_chart(FALLING, 50, 300, CHINESE)
    assert "<figcaption>Character errors on new clips" in chart
    assert "untrained 96 %" in texts(chart)
    assert "best 40 %" in texts(chart)


def test_a_screen_reader_hears_the_figures() -> None:
    svg = ET.fromstring(rate_chart(FALLING, 50, 300, ENGLISH)).find("svg")
    assert svg is not None and svg.get("role") == "img"
    figures = "Untrained: 100 %. At step 100: 75 %, character errors 42 %. Best: 70 % at step 50."
    assert svg.get("aria-label") == f"Word errors by training step. {figures}"


def test_nothing_falls_out_of_the_picture() -> None:
    losses = [Point(step, 40.0 if step < 5 else 2.0) for step in range(1, 301)]
    crowded = [EvalPoint(300, 0.01, 0.001, 0.001)]
    for chart in (loss_chart(losses, FALLING, 300), rate_chart(crowded, None, 300, ENGLISH)):
        for element in ET.fromstring(chart).iter():
            for name, limit in (("x", WIDTH), ("cx", WIDTH), ("y", HEIGHT), ("cy", HEIGHT)):
                assert 0 <= float(element.get(name, 0)) <= limit
        assert "-" not in "".join(re.findall(r'class="curve[^"]*" d="([^"]*)"', chart))


def test_names_of_curves_do_not_cover_each_other() -> None:
    chart = rate_chart([EvalPoint(0, 1.0, 0.5, 0.5), EvalPoint(9, 1.0, 0.03, 0.02)], 9, 9, ENGLISH)
    heights = sorted(float(y) for y in re.findall(r'class="name \w+" x="[\d.]+" y="([\d.]+)"', chart))
    assert heights[1] - heights[0] >= 26


def test_a_loss_that_is_no_number_breaks_the_line() -> None:
    chart = loss_chart([Point(1, 3.0), Point(2, 2.9), Point(3, None), Point(4, 2.7), Point(5, 2.6)], [], 5)
    path = re.search(r'class="curve train" d="([^"]*)"', chart)
    assert path and path[1].count("M") == 2


def test_one_wild_loss_does_not_press_the_curve_flat() -> None:
    losses = [Point(1, 400.0)] + [Point(step, 2.0) for step in range(2, 101)]
    assert numbers(loss_chart(losses, [], 100), "curve train")[-1][1] == pytest.approx(Frame(100, 2.0).y(2.0))


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.03, 0.03), (0.7, 0.8), (2.1, 3), (13.5, 20), (100, 100), (7, 8)])
def test_axes_end_at_round_numbers(value: float, top: float) -> None:
    assert nice_top(value) == pytest.approx(top)


def test_nothing_measured_is_drawn_without_a_fault() -> None:
    assert "nothing measured yet" in rate_chart([], None, 0, ENGLISH)
    assert "nothing measured yet" in loss_chart([], [], 0)


def test_an_example_says_that_it_is_one() -> None:
    view = example_view()
    chart = rate_chart(view.evaluations, view.best_step, view.max_steps, ENGLISH, example=True)
    assert ">Example<" in chart
    assert ">Example<" not in rate_chart(FALLING, 50, 300, ENGLISH)


def test_20000_points_stay_small_and_quick() -> None:
    view = RunView(max_steps=20_000)
    view.losses = [Point(step, 3.0 / step + 0.5 + 0.1 * (step % 7)) for step in range(1, 20_001)]
    started = time.perf_counter()
    chart = loss_chart(view.thinned_losses(LOSS_POINTS), FALLING, view.max_steps)
    assert time.perf_counter() - started < 0.5
    assert len(chart) < 6000
    points = numbers(chart, "curve train")
    frame = Frame(20_000, 1.0)
    assert points[0][0] == pytest.approx(frame.x(1), abs=0.1)
    assert points[-1][0] == pytest.approx(frame.x(20_000), abs=0.1)
