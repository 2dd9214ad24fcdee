"""The two plots, drawn as SVG text: pure functions of a run's curves.

Why not gr.LinePlot: it cannot draw the dashed baseline, the mark on the best point, or names beside the curves; it
rebuilds itself whenever a limit changes, as the axis of a growing run does; and it downloads Vega (800 kB) before it
draws anything. Gradio's HTML component changes only the nodes that differ, so an SVG grows without a flicker, and its
colours come from the page's CSS variables, which makes dark mode free.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from trainer.formatting import percent
from trainer.runs.view import EvalPoint, Point
from trainer.speech.locales import Locale
from trainer.ui.wording import errors_of, headline_of

WIDTH, HEIGHT = 360, 230  # units of the viewBox; a plot is 300 to 500 pixels wide, so a unit is about a pixel
LEFT, RIGHT, TOP, BOTTOM = 40, 88, 26, 34  # RIGHT holds the names of the curves
LABEL_HEIGHT = 27  # two lines of text


@dataclass(frozen=True)
class Frame:
    """Maps steps 0 … `last_step` and values 0 … `top` to the viewBox. Values above `top` lie on its edge."""

    last_step: int
    top: float

    def x(self, step: float) -> float:
        """Units from the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, step / self.last_step)

    def y(self, value: float) -> float:
        """Units from the upper edge."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.0, max(0.0, value / self.top))

    def line(self, points: Sequence[tuple[float, float | None]], css: str) -> str:
        """A curve through (step, value); a missing value breaks it."""
        parts: list[str] = []
        pen_up = True
        for step, value in points:
            if value is not None:
                parts.append(f"{'M' if pen_up else 'L'}{self.x(step):.1f} {self.y(value):.1f}")
            pen_up = value is None
        return f'<path class="{css}" d="{"".join(parts)}"/>'

    def grid(self, ticks: Sequence[tuple[float, str]]) -> str:
        """Horizontal lines at these values with their names, and the steps below."""
        lines = [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(value):.1f}" y2="{self.y(value):.1f}"/>'
            f'<text class="tick end" x="{LEFT - 6}" y="{self.y(value) + 4:.1f}">{escape(name)}</text>'
            for value, name in ticks
        ]
        return "".join(lines) + self._steps()

    def _steps(self) -> str:
        places = sorted({0, self.last_step // 2, self.last_step})
        names = [f"{place:,}".replace(",", " ") for place in places]
        names[-1] += " steps"
        return "".join(
            f'<text class="tick mid" x="{self.x(place):.1f}" y="{HEIGHT - BOTTOM + 18}">{name}</text>'
            for place, name in zip(places, names, strict=True)
        )


@dataclass(frozen=True)
class EndLabel:
    """The name of a curve and its newest value, beside its last point."""

    step: float
    value: float
    name: str
    figure: str
    css: str


def end_labels(frame: Frame, labels: Sequence[EndLabel]) -> str:
    """The names right of all curves, at the height of their ends, moved apart where they would cover each other."""
    x = frame.x(max((label.step for label in labels), default=0)) + 9
    lowest = HEIGHT - BOTTOM - 6.0
    placed: list[tuple[EndLabel, float]] = []
    for label in sorted(labels, key=lambda label: frame.y(label.value)):
        y = max(frame.y(label.value) - 2, TOP + 4.0)
        if placed:
            y = max(y, placed[-1][1] + LABEL_HEIGHT)
        placed.append((label, y))
    for number in range(len(placed) - 1, -1, -1):  # pushed below the axis: push back up
        limit = lowest - (len(placed) - 1 - number) * LABEL_HEIGHT
        placed[number] = (placed[number][0], min(placed[number][1], limit))
    return "".join(
        f'<text class="name {label.css}" x="{x:.1f}" y="{y:.1f}">{escape(label.name)}'
        f'<tspan class="figure" x="{x:.1f}" dy="13">{escape(label.figure)}</tspan></text>'
        for label, y in placed
    )


def nice_top(value: float) -> float:
    """The next of 1, 2, 3, 4, 5, 6, 8 times a power of ten that is not below the value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * (1 - 1e-9))


def drawing(title: str, spoken: str, body: str, example: bool) -> str:
    """The whole figure: a heading, and a picture that a screen reader hears as one sentence."""
    badge = '<span class="example-badge">Example</span>' if example else ""
    return (
        f'<figure class="chart{" example" if example else ""}"><figcaption>{escape(title)}{badge}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(spoken)}">{body}</svg></figure>'
    )


NAMES = {"wer": "words", "cer": "characters"}
NORMAL_SHARE = 0.97  # of the losses lies within the axis; the first of a new CTC head may be ten times the rest


def rate_chart(
    evaluations: Sequence[EvalPoint], best_step: int | None, max_steps: int, locale: Locale, example: bool = False
) -> str:
    """Word and character error rates by step, 0 to 100 %; a rate above lies on the upper edge, its value beside it."""
    frame = Frame(max(1, max_steps, *(e.step for e in evaluations), 0), 1.0)
    body = frame.grid([(value / 100, f"{value} %" if value % 50 == 0 else "") for value in (0, 25, 50, 75, 100)])
    title = f"{errors_of(locale)} on new clips"
    if not evaluations:
        return drawing(title, f"{errors_of(locale)}: nothing measured yet.", body, example)
    first = locale.headline
    second = "cer" if first == "wer" else "wer"
    body += _baseline(frame, evaluations[0], locale)
    body += _rate_curve(frame, evaluations, second, "second") + _rate_curve(frame, evaluations, first, "first")
    body += _best(frame, evaluations, best_step, locale)
    last = evaluations[-1]
    body += end_labels(
        frame,
        [
            EndLabel(last.step, getattr(last, rate), NAMES[rate], percent(getattr(last, rate)), css)
            for rate, css in ((first, "first"), (second, "second"))
        ],
    )
    return drawing(title, _spoken_rates(evaluations, best_step, locale), body, example)


def _rate_curve(frame: Frame, evaluations: Sequence[EvalPoint], rate: str, css: str) -> str:
    """A line with a mark at each check: round for the first figure, a diamond for the second."""
    points = [(evaluation.step, float(getattr(evaluation, rate))) for evaluation in evaluations]
    marks = []
    for step, value in points if len(points) <= 60 else points[-1:]:
        x, y = frame.x(step), frame.y(value)
        if css == "first":
            marks.append(f'<circle class="mark first" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        else:
            marks.append(f'<path class="mark second" d="M{x:.1f} {y - 3.6:.1f}l3.6 3.6l-3.6 3.6l-3.6 -3.6z"/>')
    return frame.line(points, f"curve {css}") + "".join(marks)


def _baseline(frame: Frame, baseline: EvalPoint, locale: Locale) -> str:
    """The untrained model's figure as a dashed line, named at its right end."""
    value = headline_of(baseline, locale)
    y = frame.y(value)
    return (
        f'<line class="baseline" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="note end" x="{WIDTH - RIGHT}" y="{y - 6:.1f}">untrained {percent(value)}</text>'
    )


def _best(frame: Frame, evaluations: Sequence[EvalPoint], best_step: int | None, locale: Locale) -> str:
    """A ring around the point whose model is kept, with its value unless the curve's end says it already."""
    best = next((e for e in reversed(evaluations) if e.step == best_step), None)
    if best is None or headline_of(best, locale) >= headline_of(evaluations[0], locale):
        return ""
    value = headline_of(best, locale)
    x, y = frame.x(best.step), frame.y(value)
    words = "best" if best is evaluations[-1] else f"best {percent(value)}"
    below = y < TOP + 24
    return (
        f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'
        f'<text class="note mid" x="{x:.1f}" y="{y + 20 if below else y - 12:.1f}">{words}</text>'
    )


def _spoken_rates(evaluations: Sequence[EvalPoint], best_step: int | None, locale: Locale) -> str:
    start, last = evaluations[0], evaluations[-1]
    other = "word" if locale.headline == "cer" else "character"
    other_rate = last.wer if locale.headline == "cer" else last.cer
    spoken = f"{errors_of(locale)} by training step. Untrained: {percent(headline_of(start, locale))}."
    if last is not start:
        spoken += f" At step {last.step}: {percent(headline_of(last, locale))}, {other} errors {percent(other_rate)}."
    best = next((e for e in evaluations if e.step == best_step and e.step), None)
    if best:
        spoken += f" Best: {percent(headline_of(best, locale))} at step {best.step}."
    return spoken


def loss_chart(losses: Sequence[Point], evaluations: Sequence[EvalPoint], max_steps: int, example: bool = False) -> str:
    """The loss on training clips (line) and on clips never trained on (dashed, with squares)."""
    title = "Loss"
    train = [(point.step, point.value) for point in losses]
    unseen = [(evaluation.step, evaluation.loss) for evaluation in evaluations]
    values = [value for _, value in train + unseen if value is not None]
    steps = [step for step, _ in train + unseen]
    top = nice_top(_usual(values)) if values else 4.0
    frame = Frame(max([1, max_steps, *steps]), top)
    body = frame.grid([(top * part / 4, f"{top * part / 4:g}" if part % 2 == 0 else "") for part in range(5)])
    body += frame.line(train, "curve train") + frame.line(unseen, "curve unseen")
    for step, value in unseen if len(unseen) <= 60 else unseen[-1:]:
        if value is not None:
            x, y = frame.x(step), frame.y(value)
            body += f'<rect class="mark unseen" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>'
    labels = []
    for points, name, css in ((train, "training", "train"), (unseen, "new clips", "unseen")):
        known = [(step, value) for step, value in points if value is not None]
        if known:
            labels.append(EndLabel(known[-1][0], known[-1][1], name, _figure(known[-1][1]), css))
    spoken = "Loss by training step. " + " ".join(f"{label.name}: {label.figure}." for label in labels)
    return drawing(
        title, spoken if labels else "Loss: nothing measured yet.", body + end_labels(frame, labels), example
    )


def _usual(values: Sequence[float]) -> float:
    """The value that nearly all stay below, so that one wild loss does not press the curve flat."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(NORMAL_SHARE * len(ordered)))]


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
