"""Whether models listen in bf16 on this machine: tried once, kept in the data folder, and told with the reason."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch.nn import functional

from trainer.hardware import processor

KEPT = "listening.json"  # in the data folder
WORTH = 1.25  # times as fast as fp32: what is less does not pay for the rounding
ROUNDS = 24  # short ones, of which some are undisturbed on a busy machine
FRAMES, INPUTS, OUTPUTS = 128, 512, 1024  # some ms: as in a layer of the starter


@dataclass(frozen=True)
class ListeningPrecision:
    """Of the products of matrices while a model listens, and why."""

    name: Literal["fp32", "bf16"]
    reason: str


def listening_precision(data_dir: Path) -> ListeningPrecision:
    """What this machine's processor is quickest with: as it was found before with this torch, else tried anew, which
    takes a tenth of a second. Where the processor has no bf16 instructions nothing is tried: emulated, it is slow.
    """
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():  # AVX512-bf16 or AMX
        return ListeningPrecision("fp32", "this processor has no fast bf16.")
    tried_on = {"torch": torch.__version__, "processor": processor(), "threads": torch.get_num_threads()}
    gain = _kept(data_dir / KEPT, tried_on)
    if gain is None:
        gain = _tried()
        _keep(data_dir / KEPT, tried_on | {"gain": gain})
    if gain < WORTH:
        return ListeningPrecision("fp32", f"tried here, bf16 multiplies only {gain:.1f} times as fast.")
    return ListeningPrecision("bf16", f"tried here, it multiplies {gain:.1f} times as fast as fp32.")


def _tried() -> float:
    """How many times as fast bf16 multiplies as fp32, each at its best of some rounds in turn: others use this machine
    too."""
    layers = {
        kind: (torch.ones(FRAMES, INPUTS, dtype=kind), torch.ones(OUTPUTS, INPUTS, dtype=kind))
        for kind in (torch.float32, torch.bfloat16)
    }
    best = dict.fromkeys(layers, float("inf"))
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):  # the first is never the best
            for kind, (values, weights) in layers.items():
                best[kind] = min(best[kind], _seconds(partial(functional.linear, values, weights)))
    return round(best[torch.float32] / max(best[torch.bfloat16], 1e-9), 2)


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _kept(file: Path, tried_on: dict[str, Any]) -> float | None:
    """None where there is no file, or one of another torch or machine, or a broken one."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        gain = values.pop("gain")
    except (OSError, ValueError, AttributeError, KeyError):
        return None
    return gain if values == tried_on and isinstance(gain, float) and 0 < gain < float("inf") else None


def _keep(file: Path, values: dict[str, Any]) -> None:
    """Where the folder is there and can be written; else it is tried anew the next time."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        draft.write_text(json.dumps(values), encoding="utf-8")
        draft.replace(file)
    except OSError:
        pass
