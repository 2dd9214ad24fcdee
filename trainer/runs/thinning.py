"""Fewer points for the same curve: what 20,000 logged losses look like at the width of a screen."""

from typing import Protocol, TypeVar


class HasValue(Protocol):
    """Anything with a value that may be missing."""

    @property
    def value(self) -> float | None:
        """The height of the curve."""


PointT = TypeVar("PointT", bound=HasValue)


def thin(points: list[PointT], most: int) -> list[PointT]:
    """At most `most` (>= 4) of the points, in order: both ends exactly, and each stretch's lowest and highest."""
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    stretches = (most - 2) // 2
    kept = [points[0]]
    for number in range(stretches):
        stretch = range(number * len(inner) // stretches, (number + 1) * len(inner) // stretches)
        heights = [(value, index) for index in stretch if (value := inner[index].value) is not None]
        if heights:
            kept += [inner[index] for index in sorted({min(heights)[1], max(heights)[1]})]
    return [*kept, points[-1]]
