"""The page's SVG plots in pixels, for places that show no SVG, as the Hub's model pages. Only what `charts` draws."""

import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]

FINER = 2  # pixels are painted finer and averaged, since Pillow draws hard edges
# style.css's light colours; the picture brings its own white ground.
_COLOURS = {
    "first": "#0072b2", "train": "#0072b2", "second": "#b35900", "unseen": "#b35900", "best": "#0072b2",
    "grid": "#e2e8f0", "baseline": "#475569", "title": "#1e293b",
}  # fmt: skip
_QUIET = "#475569"
_WIDTHS = {"grid": 1.0, "baseline": 1.5, "train": 1.8, "best": 1.8, "second": 2.0, "unseen": 2.0, "first": 2.5}
_DASHES = {"baseline": (5.0, 4.0), "second": (6.0, 4.0), "unseen": (6.0, 4.0)}
_TEXT, _TITLE = 12, 15  # units high
_COMMAND = re.compile(r"([MLlz])([^MLlz]*)")


@dataclass(frozen=True)
class Canvas:
    """An image that is `scale` pixels a unit wide when it is done."""

    image: Image.Image
    scale: float

    @classmethod
    def blank(cls, width: float, height: float, scale: float) -> "Canvas":
        """White, in units."""
        fine = scale * FINER
        return cls(Image.new("RGB", (round(width * fine), round(height * fine)), "white"), scale)

    def done(self) -> Image.Image:
        """At its own size."""
        width, height = self.image.size
        return self.image.resize((width // FINER, height // FINER), Image.Resampling.BOX)

    def paint(self, plot: ET.Element, left: float, top: float) -> None:
        """All elements of a plot, its upper left corner at these units."""
        painter = _Painter(ImageDraw.Draw(self.image), self.scale * FINER, left, top)
        for element in plot:
            painter.paint(element)

    def title(self, words: str, left: float, top: float) -> None:
        """A heading; `top` is its baseline."""
        painter = _Painter(ImageDraw.Draw(self.image), self.scale * FINER, 0, 0)
        painter.write(words, (left, top), ["title"])


@dataclass(frozen=True)
class _Painter:
    draw: ImageDraw.ImageDraw
    fine: float  # pixels a unit
    left: float
    top: float

    def paint(self, element: ET.Element) -> None:
        css = element.get("class", "").split()
        match element.tag:
            case "line":
                ends = [(_at(element, "x1"), _at(element, "y1")), (_at(element, "x2"), _at(element, "y2"))]
                self._stroke(ends, css)
            case "path":
                for points in _polylines(element.get("d", "")):
                    self._fill(points, css) if "mark" in css else self._stroke(points, css)
            case "circle":
                self._circle((_at(element, "cx"), _at(element, "cy")), _at(element, "r"), css)
            case "rect":
                x, y, width, height = (_at(element, name) for name in ("x", "y", "width", "height"))
                self._fill([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], css)
            case "text":
                self._texts(element, css)

    def write(self, words: str, at: Point, css: list[str]) -> None:
        """`at` is a point of the baseline: the left end, the middle or the right end, as the class says."""
        anchor = "m" if "mid" in css else "r" if "end" in css else "l"
        halo = {"stroke_width": round(2 * self.fine), "stroke_fill": "white"} if {"name", "note"} & set(css) else {}
        font = ImageFont.load_default((_TITLE if "title" in css else _TEXT) * self.fine)
        words = re.sub(r"\s", " ", words)
        self.draw.text(self._pixel(at), words, _colour(css), font, f"{anchor}s", **halo)  # type: ignore[arg-type]

    def _texts(self, element: ET.Element, css: list[str]) -> None:
        x, y = _at(element, "x"), _at(element, "y")
        self.write(element.text or "", (x, y), css)
        for part in element:
            y += _at(part, "dy")
            self.write(part.text or "", (_at(part, "x"), y), css)

    def _stroke(self, points: Sequence[Point], css: list[str]) -> None:
        width = max(1, round(next((_WIDTHS[name] for name in css if name in _WIDTHS), 1.0) * self.fine))
        dash = next((_DASHES[name] for name in css if name in _DASHES), None)
        for piece in _dashed(points, *dash) if dash else [points]:
            self.draw.line([self._pixel(point) for point in piece], _colour(css), width, joint="curve")

    def _fill(self, points: Sequence[Point], css: list[str]) -> None:
        self.draw.polygon([self._pixel(point) for point in points], _colour(css))

    def _circle(self, centre: Point, radius: float, css: list[str]) -> None:
        x, y = self._pixel(centre)
        r = radius * self.fine
        if "mark" in css:
            self.draw.ellipse((x - r, y - r, x + r, y + r), _colour(css))
        else:
            self.draw.ellipse((x - r, y - r, x + r, y + r), outline=_colour(css), width=round(1.8 * self.fine))

    def _pixel(self, point: Point) -> Point:
        return (point[0] + self.left) * self.fine, (point[1] + self.top) * self.fine


def _at(element: ET.Element, name: str) -> float:
    return float(element.get(name, "0"))


def _colour(css: Sequence[str]) -> str:
    return next((_COLOURS[name] for name in css if name in _COLOURS), _QUIET)


def _polylines(path: str) -> Iterator[list[Point]]:
    """The stretches of a path of M, L, l and z."""
    points: list[Point] = []
    for command, numbers in _COMMAND.findall(path):
        if command == "z":
            continue
        dx, dy = map(float, re.findall(r"-?\d+(?:\.\d+)?", numbers))
        if command == "M" and points:
            yield points
            points = []
        points.append((points[-1][0] + dx, points[-1][1] + dy) if command == "l" else (dx, dy))
    if points:
        yield points


def _dashed(points: Sequence[Point], on: float, off: float) -> Iterator[list[Point]]:
    """The painted pieces of a line that is painted for `on` units and left out for `off`."""
    painting, left = True, on
    piece = [points[0]]
    for start, end in itertools.pairwise(points):
        length, gone = math.dist(start, end), 0.0
        while length - gone > left:
            gone += left
            share = gone / length
            corner = (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]))
            if painting:
                yield [*piece, corner]
            painting, left, piece = not painting, off if painting else on, [corner]
        left -= length - gone
        piece.append(end)
    if painting and len(piece) > 1:
        yield piece
