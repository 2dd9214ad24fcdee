"""Both curves of a run as one PNG file, for a model's page: what the app's own charts show, on white."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.formatting import percent
from trainer.runs.view import EvalPoint, Point, RunView
from trainer.speech.locales import Locale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
LOSS_POINTS = 400
NORMAL_SHARE = 0.97  # of the losses lies within the axis; the first of a new CTC head may be ten times the rest
_BLUE, _ORANGE = "#0072b2", "#b35900"  # told apart by the colour-blind (Okabe and Ito), both 4.5 : 1 on white or better
_QUIET = "#475569"
_RATES = {"wer": "words", "cer": "characters"}


def picture(view: RunView, locale: Locale) -> bytes:
    """A PNG file of 1500 x 560 pixels: the error rates in % beside the loss, by training step.

    May be called in any thread: no pyplot, which keeps its figures in a global list.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second; the page must be up before
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 560 / 150), dpi=150, layout="constrained")
    rates, losses = figure.subplots(1, 2)
    _draw_rates(rates, view.evaluations, view.best, locale)
    _draw_losses(losses, view.thinned_losses(LOSS_POINTS), view.evaluations)
    last = max([1, view.max_steps, view.step, *(check.step for check in view.evaluations)])
    for axes in (rates, losses):
        axes.set(xlim=(0, 1.02 * last), xlabel="steps")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.xaxis.label.set_color(_QUIET)
        axes.tick_params(colors=_QUIET)
        axes.grid(axis="y", color="#e2e8f0")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="best", framealpha=0.9, edgecolor="none")
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


def _draw_rates(axes: "Axes", checks: Sequence[EvalPoint], best: EvalPoint | None, locale: Locale) -> None:
    """The locale's first figure solid, the other dashed. A rate above 100 % lies on the upper edge."""
    first = locale.headline
    second = "cer" if first == "wer" else "wer"
    axes.set(title="Errors on clips it was not trained on", ylabel="error rate, %", ylim=(0, 104))
    if not checks:
        return

    def height(check: EvalPoint, rate: str = first) -> float:
        return min(100.0, 100 * float(getattr(check, rate)))

    steps = [check.step for check in checks]
    for rate, colour, style in ((first, _BLUE, "o-"), (second, _ORANGE, "D--")):
        label = f"{_RATES[rate]}, now {percent(getattr(checks[-1], rate))}"
        axes.plot(steps, [height(check, rate) for check in checks], style, color=colour, markersize=4, label=label)
    if checks[0].step == 0:
        untrained = f"untrained {percent(getattr(checks[0], first))}"
        axes.axhline(height(checks[0]), color=_QUIET, linestyle=(0, (5, 4)), linewidth=1.2, label=untrained)
    if best and getattr(best, first) < getattr(checks[0], first):
        label = f"kept: {percent(getattr(best, first))} at step {best.step:,}"
        axes.plot([best.step], [height(best)], "o", color=_BLUE, label=label, ms=12, mfc="none", mew=1.8)


def _draw_losses(axes: "Axes", losses: Sequence[Point], checks: Sequence[EvalPoint]) -> None:
    """On training clips (solid) and on clips never trained on (dashed). A missing value breaks its line."""
    axes.set(title="Loss", ylabel="CTC loss")
    train = [(point.step, point.value) for point in losses]
    unseen = [(check.step, check.loss) for check in checks]
    for points, name, colour, style in ((train, "training", _BLUE, "-"), (unseen, "new clips", _ORANGE, "s--")):
        known = [value for _, value in points if value is not None]
        if known:
            heights = [float("nan") if value is None else value for _, value in points]
            label = f"{name}, now {known[-1]:.2f}"
            axes.plot([step for step, _ in points], heights, style, color=colour, markersize=4, label=label)
    ordered = sorted(value for _, value in train + unseen if value is not None)
    usual = ordered[min(len(ordered) - 1, int(NORMAL_SHARE * len(ordered)))] if ordered else 4.0
    axes.set_ylim(0, 1.15 * usual or 1.0)
