"""The headers of a model's safetensors files, checked before a byte of the weights is read into memory."""

import json
from math import prod
from pathlib import Path

from trainer.errors import UserError

HEADER_BYTES = 16 * 2**20  # a model of 1 B parameters has some 100 kB
MOST_PARAMETERS = 2_500_000_000  # 10 GB in float32, as they are held on a CPU
BYTES_EACH = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}  # I64: batch norms count their batches
ELSEWHERE = "Choose another model."


def check_weights(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in the folder's *.safetensors files, by its name.

    Raises UserError for a header that does not fit its file, for other types than these, and for more
    than `MOST_PARAMETERS`. A folder without such files gives {}. Layout: the format's page in safetensors' README.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            shapes |= _header(file)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError("This model's weights are broken or of a kind I cannot read.", ELSEWHERE) from error
    if sum(map(prod, shapes.values())) > MOST_PARAMETERS:
        raise UserError("This model is too large for this computer's memory.", "Choose a smaller model.")
    return shapes


def _header(file: Path) -> dict[str, tuple[int, ...]]:
    """Raises ValueError, TypeError, KeyError or AttributeError for a file that is not as its header says."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= min(HEADER_BYTES, size - 8):
            raise ValueError("header's length")
        entries = json.loads(opened.read(length))
    entries.pop("__metadata__", None)
    shapes, taken = {}, 0
    for name, entry in entries.items():
        shape = tuple(entry["shape"])
        if len(shape) > 8 or not all(type(side) is int and 0 <= side < 2**40 for side in shape):
            raise ValueError("shape")
        begin, end = entry["data_offsets"]
        if end - begin != prod(shape) * BYTES_EACH[entry["dtype"]]:
            raise ValueError("offsets")
        shapes[name], taken = shape, taken + end - begin
    if taken != size - 8 - length:
        raise ValueError("file's size")
    return shapes
