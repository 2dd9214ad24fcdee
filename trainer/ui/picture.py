"""Both curves as one SVG file that stands alone: for a page elsewhere, with no stylesheet of ours."""

import re

from trainer.runs.view import RunView
from trainer.speech.locales import Locale
from trainer.ui.axes import HEIGHT, WIDTH
from trainer.ui.charts import loss_chart, rate_chart

LOSS_POINTS = 240  # as on the page: the plot is some 250 units wide
_TITLE, _MARGIN = 34, 14  # units above each plot and left of it
# style.css's own, with its light colours: the picture brings its own ground, so that it can be read on any.
_STYLE = """
  svg { background: #ffffff; font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  .ground { fill: #ffffff; } .title { font-size: 15px; font-weight: 600; fill: #1e293b; }
  text { font-size: 12px; fill: #475569; font-variant-numeric: tabular-nums; }
  .end { text-anchor: end; } .mid { text-anchor: middle; }
  .grid { stroke: #e2e8f0; stroke-width: 1; }
  .baseline { stroke: #475569; stroke-width: 1.5; stroke-dasharray: 5 4; }
  .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
  .curve.first, .curve.train { stroke: FIRST; } .curve.train { stroke-width: 1.8; }
  .curve.second, .curve.unseen { stroke: SECOND; stroke-dasharray: 6 4; stroke-width: 2; }
  .mark.first { fill: FIRST; } .mark.second, .mark.unseen { fill: SECOND; }
  .best { fill: none; stroke: FIRST; stroke-width: 1.8; }
  .name { font-weight: 600; } .name.first, .name.train { fill: FIRST; } .name.second, .name.unseen { fill: SECOND; }
"""
_PLOT = re.compile(r'<figcaption>(.*?)</figcaption><svg [^>]*aria-label="(.*?)">(.*)</svg></figure>', re.DOTALL)


def picture(view: RunView, locale: Locale) -> str:
    """An SVG file of the error rates beside the loss, in light colours on white."""
    plots = (
        rate_chart(view.evaluations, view.best_step, view.max_steps, locale),
        loss_chart(view.thinned_losses(LOSS_POINTS), view.evaluations, view.max_steps),
    )
    parts, spoken = [], []
    for number, plot in enumerate(plots):
        found = _PLOT.search(plot)
        assert found, "charts draw a figure with a caption and one svg"
        spoken.append(found[2])
        title = f'<text class="title" x="0" y="-12">{found[1]}</text>'
        left = _MARGIN + number * (WIDTH + _MARGIN)
        parts.append(f'<g transform="translate({left} {_TITLE})">{title}{found[3]}</g>')
    width, height = 2 * (WIDTH + _MARGIN), HEIGHT + _TITLE
    style = _STYLE.replace("FIRST", "#0072b2").replace("SECOND", "#b35900")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{" ".join(spoken)}"><style>{style}</style>'
        f'<rect class="ground" width="{width}" height="{height}"/>{"".join(parts)}</svg>\n'
    )
