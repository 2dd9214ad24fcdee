"""What this machine trains with, decided once and with the reason, so that it can be shown."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch

from trainer.hardware import Gpu, gpus, processor
from trainer.training.recipe import Precision


@dataclass(frozen=True)
class Device:
    """cpu, cuda or mps; the precision of the arithmetic (weights stay fp32); and why."""

    name: str
    precision: str  # fp32 | bf16 | fp16
    reason: str

    @property
    def attention(self) -> str | None:
        """The kind of attention to train with; None: the library's choice.

        Fused attention's backward pass is slow on a CPU: a step of the starter takes 1.5 times as long with it, one of
        wav2vec2-base (clips of 5 s) 1.08 times.
        """
        return "eager" if self.name == "cpu" else None


def choose_device(wanted: Precision = "auto") -> Device:
    """The fastest there is, or the precision that is wanted where the machine has it."""
    if torch.cuda.is_available():
        return _on_cuda(wanted)
    if torch.backends.mps.is_available():
        return Device("mps", "fp32", "Apple's GPU; CTC's gradients need fp32 there.")
    if wanted == "fp16":
        return Device("cpu", "fp32", "fp16 needs a GPU; a processor computes in fp32.")
    if wanted == "auto":
        fast = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # AVX512-bf16 or AMX
        reason = "this processor computes in bf16" if fast else "this processor has no fast bf16"
        return Device("cpu", "bf16" if fast else "fp32", f"No GPU; {reason}.")
    return Device("cpu", wanted, "As asked for.")


def _on_cuda(wanted: Precision) -> Device:
    if wanted != "auto":
        return Device("cuda", wanted, "As asked for.")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Device("cuda", "bf16", "This GPU computes in bf16, which has the range of fp32.")
    return Device("cuda", "fp16", "This GPU has no bf16.")


_LIBRARIES = ("torch", "transformers", "accelerate", "datasets")


def machine_of(device: Device) -> dict[str, Any]:
    """The fields of a `machine` event. Nothing that names the computer or its owner."""
    return {
        "hardware": _hardware(device),
        "precision": device.precision,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }


def _hardware(device: Device) -> str:
    if device.name == "cuda":
        return next(iter(gpus()), Gpu("a GPU", None)).words  # torch's "cuda" is also AMD's
    return f"{processor()}, {_cores()} cores" + (", its GPU" if device.name == "mps" else "")


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
