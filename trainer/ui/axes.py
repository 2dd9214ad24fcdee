"""The frame of a plot: from values to places in an SVG, with grid lines, ticks and labels that keep apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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
