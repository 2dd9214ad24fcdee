"""Is this a model that may be opened? Asked of config.json before a download, of all its files after it."""

from pathlib import Path
from typing import Any

from trainer.errors import UserError
from trainer.hub.inspect import SMALL_FILES
from trainer.hub.reading import read_json
from trainer.models.architectures import check_kind, frame_stride, read_config
from trainer.models.limits import ELSEWHERE, check_limits, check_values

# Samples at 16 kHz from one CTC frame to the next: 20 to 80 ms in published models. A step of one sample, which no
# weight shows, would make attention's memory take the square of 16,000 frames a second.
STRIDES = range(160, 3201)


def check_config(config: dict[str, Any]) -> None:
    """Raises UserError for a config.json of no known kind, out of bounds, or too large for the memory."""
    from trainer.models.opening import check_builds  # transformers takes seconds, and most refusals need none of it

    _check_cheaply(config)
    check_builds(config)


def check_folder(folder: Path) -> dict[str, Any]:
    """The config.json of a model whose small files may all be read. Raises UserError. The weights are not looked at."""
    config = read_config(folder)
    _check_cheaply(config)
    for name in SMALL_FILES[1:]:
        if name != "vocab.json" and (values := read_json(folder, name)):
            check_values(values, name)
    return config


def _check_cheaply(config: dict[str, Any]) -> None:
    check_kind(config)
    check_limits(config)
    try:
        stride = frame_stride(config)
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError):
        stride = 0
    if stride not in STRIDES:
        raise UserError("This model's config.json cuts sound into pieces that no real model has.", ELSEWHERE)
