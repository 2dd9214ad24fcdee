"""Broken, oversized and odd weights are refused by their header alone; good ones load, also in shards."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from trainer.errors import UserError
from trainer.models.safetensors_header import read_heads, shapes_of


def write(folder: Path, header: Any, data: bytes = b"", length: int | None = None) -> None:
    text = json.dumps(header).encode()
    count = (len(text) if length is None else length).to_bytes(8, "little")
    (folder / "model.safetensors").write_bytes(count + text + data)


def entry(shape: Any = (2,), dtype: str = "F32", end: int = 8) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


@pytest.mark.parametrize(
    ("header", "data", "length"),
    [
        ({}, b"", 2**60),
        ([1], b"", None),
        ("text", b"", None),
        ({"a": 1}, b"", None),
        (entry(), b"1234", None),
        (entry(dtype="I8", end=2), b"12", None),
        (entry(shape=[-2]), b"12345678", None),
        (entry(shape=[2.0]), b"12345678", None),
        (entry(shape=[10**12], end=4 * 10**12), b"", None),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, header: Any, data: bytes, length: int | None) -> None:
    write(tmp_path, header, data, length)
    with pytest.raises(UserError, match="broken") as caught:
        shapes_of(read_heads(tmp_path))
    assert str(tmp_path) not in str(caught.value)


def test_good_files_give_their_shapes(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 3)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": torch.zeros(4, dtype=torch.float16)}, tmp_path / "model-00002-of-00002.safetensors")
    where = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert shapes_of(read_heads(tmp_path)) == {"a": (2, 3), "b": (4,)}
