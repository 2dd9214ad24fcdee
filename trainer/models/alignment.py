"""When each label of a text that is known was said: CTC forced alignment."""

from collections.abc import Sequence

import numpy as np


def align(log_probs: np.ndarray, labels: Sequence[int], blank: int) -> list[tuple[int, int]]:
    """The frames [first, last] of each label on the likeliest path that spells them (Viterbi).

    `log_probs` has shape (frames, labels), `labels` are ids without blanks. Raises ValueError where the frames are too
    few: there must be one a label, and one more between two equal ones.
    """
    if not labels:
        return []
    frames, states = len(log_probs), 2 * len(labels) + 1
    spelt = np.full(states, blank)  # a blank before, between and after the labels
    spelt[1::2] = labels
    emitted = log_probs[:, spelt]
    # A blank may be left out between two labels that differ.
    skips = np.full(states, -np.inf)
    skips[3::2] = np.where(spelt[3::2] != spelt[1:-2:2], 0.0, -np.inf)
    best = np.full(states, -np.inf)
    best[:2] = emitted[0, :2] if frames else -np.inf
    steps = np.zeros((frames, states), np.int8)
    ways = np.full((3, states), -np.inf)
    columns = np.arange(states)
    for frame in range(1, frames):
        ways[0], ways[1, 1:], ways[2, 2:] = best, best[:-1], best[:-2]
        ways[2] += skips
        steps[frame] = ways.argmax(0)
        best = ways[steps[frame], columns] + emitted[frame]
        ways[2] = -np.inf
    state = states - 1 if best[-1] >= best[-2] else states - 2
    if best[state] == -np.inf:
        raise ValueError(f"{frames} frames cannot spell {len(labels)} labels")
    path = np.empty(frames, int)
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state -= int(steps[frame, state])
    edges = np.searchsorted(path, np.arange(states), "left"), np.searchsorted(path, np.arange(states), "right")
    return [(int(edges[0][state]), int(edges[1][state]) - 1) for state in range(1, states, 2)]
