"""What stands on the page before the first run: the curves of a typical one, labelled as an example."""

import math

from trainer.runs.view import Evaluation, Point, RunView

STEPS = 300


def example_view() -> RunView:
    """A run as it usually goes. The numbers are drawn from formulas, and the page says that they are an example."""
    view = RunView(max_steps=STEPS, best_step=STEPS)
    for step in range(1, STEPS + 1, 3):
        wiggle = 0.12 * math.sin(step * 1.7) + 0.08 * math.sin(step * 0.61)
        view.losses.append(Point(step, 0.5 + 2.7 * math.exp(-step / 75) + wiggle * math.exp(-step / 200)))
    for step in range(0, STEPS + 1, 50):
        fallen = 1 / (1 + math.exp((step - 120) / 38))
        loss = 0.72 + 2.6 * math.exp(-step / 80)
        view.evaluations.append(Evaluation(step, loss, min(1.0, 0.26 + 0.77 * fallen), 0.09 + 0.85 * fallen))
    return view
