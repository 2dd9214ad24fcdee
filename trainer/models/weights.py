"""The headers of a model's safetensors files, checked before a byte of the weights is read into memory."""

import json
from math import prod
from pathlib import Path

from trainer.errors import UserError
from trainer.hub.inspect import MOST_SHARDS
from trainer.hub.reading import file_in, read_json
from trainer.hub.refusals import FORMAT_THAT_RUNS
from trainer.hub.source import INDEX, PICKLE, SAFETENSORS, is_shard

HEADER_BYTES = 16 * 2**20  # a model of 1 B parameters has some 100 kB
MOST_PARAMETERS = 2_500_000_000  # 10 GB in float32, as they are held on a CPU
BYTES_EACH = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4}  # whole numbers: counts of batch norms
ELSEWHERE = "Choose another model."


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files with a model's weights: one, or the shards that its index names.

    Raises UserError where there are none, where the index is broken, and for what `hub.reading.file_in` refuses.
    """
    if whole := file_in(folder, SAFETENSORS):
        return [whole]
    index = read_json(folder, INDEX)
    if index is None:
        if (folder / PICKLE).exists():
            raise UserError(f"This model has its weights only as {PICKLE}, {FORMAT_THAT_RUNS}.", ELSEWHERE)
        raise UserError(f"This model has no {SAFETENSORS}, so there are no weights to load.", ELSEWHERE)
    where = index.get("weight_map")
    names = set(map(str, where.values())) if isinstance(where, dict) else set()
    if not 0 < len(names) <= MOST_SHARDS or not all(map(is_shard, names)):
        raise UserError("This model's list of parts of its weights is broken.", ELSEWHERE)
    files = [file_in(folder, name) for name in sorted(names)]
    if None in files:
        raise UserError("This model lacks a part of its weights.", ELSEWHERE)
    return [file for file in files if file]


def check_weights(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in the model's weights, by its name.

    Raises UserError where there are no weights, for a header that does not fit its file, for other types than
    `BYTES_EACH`, and for more than `MOST_PARAMETERS`. Layout: the format's page in safetensors' README.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder):
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
    shapes, spans = {}, []
    for name, entry in entries.items():
        shape = tuple(entry["shape"])
        if len(shape) > 8 or not all(type(side) is int and 0 <= side < 2**40 for side in shape):
            raise ValueError("shape")
        begin, end = entry["data_offsets"]
        if end - begin != prod(shape) * BYTES_EACH[entry["dtype"]]:
            raise ValueError("offsets")
        shapes[name] = shape
        spans.append((begin, end))
    place = 0
    for begin, end in sorted(spans):  # one after the other, without gaps: nothing is hidden, nothing read twice
        if begin != place:
            raise ValueError("offsets")
        place = end
    if place != size - 8 - length:
        raise ValueError("file's size")
    return shapes
