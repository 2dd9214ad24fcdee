"""The headers of a model's safetensors files, checked before a byte of the weights is read into memory."""

import json
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

from trainer.errors import UserError
from trainer.hub.errors import FORMAT_THAT_RUNS
from trainer.hub.inspect import HEAD_BYTES, MOST_SHARDS, Head
from trainer.hub.repo import INDEX, PICKLE, SAFETENSORS, is_shard, shards_named
from trainer.hub.safe_json import file_in, read_json

BYTES_EACH = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4}  # whole numbers: counts of batch norms
ELSEWHERE = "Choose another model."
Shapes = dict[str, tuple[int, ...]]  # of tensors, by name


def weight_files(folder: Path, decoder: bool = False) -> list[Path]:
    """The safetensors files with a model's weights: one, or the shards that its index names, as `shards_named`.

    Raises UserError where there are none, where the index is broken, and for what `hub.safe_json.file_in` refuses.
    """
    if whole := file_in(folder, SAFETENSORS):
        return [whole]
    index = read_json(folder, INDEX)
    if index is None:
        if (folder / PICKLE).exists():
            raise UserError(f"This model has its weights only as {PICKLE}, {FORMAT_THAT_RUNS}.", ELSEWHERE)
        raise UserError(f"This model has no {SAFETENSORS}, so there are no weights to load.", ELSEWHERE)
    names = shards_named(index, decoder)
    if not 0 < len(names) <= MOST_SHARDS or not all(map(is_shard, names)):
        raise UserError("This model's list of parts of its weights is broken.", ELSEWHERE)
    files = [file_in(folder, name) for name in sorted(names)]
    if None in files:
        raise UserError("This model lacks a part of its weights.", ELSEWHERE)
    return [file for file in files if file]


def read_heads(folder: Path, decoder: bool = False) -> dict[str, Head]:
    """The beginnings of a model's weights, by the files' names. Raises UserError where there are no weights."""
    return heads_of(weight_files(folder, decoder))


def heads_of(files: Iterable[Path]) -> dict[str, Head]:
    """The beginnings of these safetensors files, by their names. Raises UserError for one that cannot be read."""
    try:
        return {file.name: _head(file) for file in files}
    except OSError as error:
        raise _broken() from error


def shapes_of(heads: Mapping[str, Head]) -> Shapes:
    """The shape of each tensor in the weights that begin so, by its name.

    Raises UserError for a header that does not fit its file, and for other types than `BYTES_EACH`. Layout: the
    format's page in safetensors' README.
    """
    shapes: Shapes = {}
    try:
        for head in heads.values():
            shapes |= _header(head)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _broken() from error
    return shapes


def same_heads(some: Mapping[str, Head], others: Mapping[str, Head]) -> bool:
    """Whether files of the same names and sizes have the same headers, byte by byte."""
    return some.keys() == others.keys() and all(
        head.size == others[name].size and head.header == others[name].header for name, head in some.items()
    )


def _head(file: Path) -> Head:
    with file.open("rb") as opened:
        begin = opened.read(8)
        return Head(begin + opened.read(min(int.from_bytes(begin, "little"), HEAD_BYTES - 8)), file.stat().st_size)


def _broken() -> UserError:
    return UserError("This model's weights are broken or of a kind I cannot read.", ELSEWHERE)


def _header(head: Head) -> Shapes:
    """Raises ValueError, TypeError, KeyError or AttributeError for a file that is not as its header says."""
    length = head.length
    if not 2 <= length <= min(HEAD_BYTES, head.size) - 8 or len(head.data) < 8 + length:
        raise ValueError("header's length")
    entries = json.loads(head.header)
    entries.pop("__metadata__", None)
    shapes: Shapes = {}
    spans = []
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
    if place != head.size - 8 - length:
        raise ValueError("file's size")
    return shapes
