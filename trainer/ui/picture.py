"""Both curves as one PNG file, for a page elsewhere: the very plots of this page."""

import io
import re
import xml.etree.ElementTree as ET
from html import unescape

from trainer.runs.view import RunView
from trainer.speech.locales import Locale
from trainer.ui.axes import HEIGHT, WIDTH
from trainer.ui.charts import loss_chart, rate_chart

LOSS_POINTS = 240  # as on the page: the plot is some 250 units wide
SCALE = 2  # pixels a unit: sharp on fine screens
_TOP, _LEFT = 34, 14  # units above each plot, where its title stands, and beside it
_PLOT = re.compile(r"<figcaption>(.*?)</figcaption>(<svg .*</svg>)", re.DOTALL)


def picture(view: RunView, locale: Locale) -> bytes:
    """A PNG file of the error rates beside the loss, in light colours on white."""
    from trainer.ui.painting import Canvas  # Pillow is needed only by who shares

    plots = (
        rate_chart(view.evaluations, view.best_step, view.max_steps, locale),
        loss_chart(view.thinned_losses(LOSS_POINTS), view.evaluations, view.max_steps),
    )
    canvas = Canvas.blank(2 * (WIDTH + _LEFT), HEIGHT + _TOP, SCALE)
    for number, plot in enumerate(plots):
        found = _PLOT.search(plot)
        assert found, "charts draw a figure with a caption and one svg"
        left = _LEFT + number * (WIDTH + _LEFT)
        canvas.title(unescape(found[1]), left, _TOP - 12)
        canvas.paint(ET.fromstring(found[2]), left, _TOP)
    file = io.BytesIO()
    canvas.done().quantize(256).save(file, "PNG", optimize=True)  # a tenth of the size, and nothing to be seen of it
    return file.getvalue()
