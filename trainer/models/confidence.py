"""From how sure a model seems of a word to how likely the word is right: two numbers, learnt from words that it heard.

Platt's scaling (1999) of the confidence's log odds: `sigmoid(slope * log(c / (1 - c)) + offset)`. Which words are surer
than which others stays as it is. They are fitted on the validation split by maximum likelihood, with a prior towards
no change: a split of some twenty clips has few words that are wrong.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

import numpy as np

CONFIDENCE = "confidence"  # in a model's notes: two of these, by how it was decoded
SPELT, WITH_PHRASES = "spelt", "phrases"  # how words were decoded: by sound alone, or with the model's phrases
FEWEST_WORDS = 20  # to fit by
PRIOR = 1.0  # of a normal distribution's precision
WORTH = 3.0  # nats: of two numbers that mean nothing, one fit in twenty gains as much
LEAST_SLOPE, MOST = 0.05, 20.0
_EDGE = 1e-4  # a confidence nearer to 0 or 1 counts as this far from it


@dataclass(frozen=True)
class Calibration:
    """`slope` is above 0; 1 and an `offset` of 0 change nothing."""

    slope: float
    offset: float

    def __call__(self, confidence: float) -> float:
        """From 0 to 1, both in and out."""
        odds = self.slope * float(log_odds(np.array(confidence))) + self.offset
        return 1 / (1 + math.exp(-odds))


def log_odds(confidences: np.ndarray) -> np.ndarray:
    """Of values from 0 to 1; those at the ends are drawn in a little."""
    inner = np.clip(confidences.astype(np.float64), _EDGE, 1 - _EDGE)
    odds: np.ndarray = np.log(inner / (1 - inner))
    return odds


def fitted(confidences: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray) -> Calibration | None:
    """What makes these words' confidences likeliest; None where they are too few to tell, or it is hardly likelier."""
    if len(confidences) < FEWEST_WORDS:
        return None
    columns = np.stack([log_odds(np.array(confidences)), np.ones(len(confidences))])
    truth, usual = np.array(right, np.float64), np.array([1.0, 0.0])

    def loss(weights: np.ndarray) -> float:
        odds = weights @ columns
        apart = weights - usual
        return float((np.logaddexp(0, odds) - truth * odds).sum() + PRIOR / 2 * (apart @ apart))

    weights = usual
    for _ in range(50):  # Newton's method; the loss is convex
        chance = 1 / (1 + np.exp(-np.clip(weights @ columns, -50, 50)))
        gradient = columns @ (chance - truth) + PRIOR * (weights - usual)
        curvature = (columns * (chance * (1 - chance))) @ columns.T + PRIOR * np.eye(2)
        step, share = np.linalg.solve(curvature, gradient), 1.0
        while share > 1e-6 and loss(weights - share * step) > loss(weights):
            share /= 2
        weights = weights - share * step
        if np.abs(share * step).max() < 1e-7:
            break
    if loss(usual) - loss(weights) < WORTH or weights[0] < LEAST_SLOPE:  # at last: who is surer is not righter
        return None
    slope, offset = (float(np.clip(value, -MOST, MOST)) for value in weights)
    return Calibration(round(slope, 4), round(offset, 4))


def noted(calibrations: Mapping[str, Calibration | None]) -> dict[str, dict[str, float]]:
    """As they are kept in a model's notes."""
    return {name: asdict(found) for name, found in calibrations.items() if found}


def read_calibration(notes: Mapping[str, Any], decoded: str) -> Calibration | None:
    """What the notes say of words `decoded` so (`SPELT` or `WITH_PHRASES`); None where that is nothing sensible."""
    values = notes.get(CONFIDENCE)
    found = values.get(decoded) if isinstance(values, dict) else None
    if not isinstance(found, dict):
        return None
    slope, offset = found.get("slope"), found.get("offset")
    if not _is_number(slope) or not _is_number(offset):
        return None
    if not LEAST_SLOPE <= slope <= MOST or abs(offset) > MOST:
        return None
    return Calibration(float(slope), float(offset))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
