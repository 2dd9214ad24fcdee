"""What a training ran on, told as an event: the hardware and the versions that a reader needs to repeat it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from trainer.training.device import Device

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
        return f"{torch.cuda.get_device_name()} ({torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB)"
    return f"{_processor()}, {_cores()} cores" + (", its GPU" if device.name == "mps" else "")


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    """Its model where Linux tells it, else its kind ("arm64")."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
