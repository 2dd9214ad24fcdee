"""What this machine has: memory (a container's where that has less), processor, NVIDIA GPUs. Imports no torch."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import psutil

from trainer.formatting import memory_size

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
SMALL_GPU = 16 * 2**30  # bytes; what fits here, a laptop's or a free notebook's GPU can train
_SECONDS = 10.0  # a driver that hangs shall not hold the page up
T = TypeVar("T")
# A group's limit, what it uses, and the names in its memory.stat of what it gives back when asked: version 2, then 1.
_FILES = (
    ("memory.max", "memory.current", ("inactive_file", "slab_reclaimable")),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file",)),
)


def machine_memory() -> int:
    """Bytes that programs here may use in all, whether taken or not."""
    return min(psutil.virtual_memory().total, *(limit for limit, _ in _limits()))


def processor() -> str:
    """Its model where Linux tells it, else its kind ("arm64")."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())


def free_memory() -> int:
    """Bytes that can still be taken without swapping and without being killed for it."""
    return max(0, min(psutil.virtual_memory().available, *(limit - used for limit, used in _limits())))


def _limits() -> Iterator[tuple[int, int]]:
    """Limit and bytes in use of each control group that this process is in; a pair that binds nobody comes first."""
    yield 2**63, 0
    for folder in _groups():
        for limit_file, used_file, reclaimable in _FILES:
            limit, used = _number(folder / limit_file), _number(folder / used_file)
            if limit is not None and used is not None:
                yield limit, max(0, used - _reclaimable(folder, reclaimable))


def _groups() -> Iterator[Path]:
    """Folders of this process's groups and of those around them. A container may see its own as the root."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)  # "0::/a/b" or "4:memory:/a/b"
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CGROUPS / "memory" if controllers else CGROUPS
        inner = Path(path.strip("/"))
        if ".." in inner.parts:  # a group outside what this container sees
            inner = Path()
        yield from (root / folder for folder in (inner, *inner.parents))


def _number(file: Path) -> int | None:
    """None where the file is not there or says "max"."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _reclaimable(folder: Path, names: tuple[str, ...]) -> int:
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(count) for name, _, count in (line.partition(" ") for line in lines) if name in names)


@dataclass(frozen=True)
class Gpu:
    """One of NVIDIA's: its name, and bytes of its memory; None where the driver does not say, as it shares ours."""

    name: str
    memory: int | None

    @property
    def words(self) -> str:
        """Its name with its memory: "NVIDIA A10G (24 GB)"."""
        return f"{self.name} ({memory_size(self.memory)})" if self.memory else self.name


@dataclass(frozen=True)
class Machine:
    """Bytes of memory that programs here may use (a container's limit included), and of the largest GPU's."""

    memory: int
    gpu: int | None = None

    @property
    def words(self) -> str:
        """What a recommendation calls it. Apple's GPUs share the computer's memory and are not looked for."""
        if self.gpu is None:
            return "this computer, which has no NVIDIA GPU"
        return f"this computer's {'' if self.gpu > SMALL_GPU else 'small '}GPU"


def this_machine() -> Machine:
    """Asked anew for each estimate: a container's limit may change; GPUs are looked for once."""
    return Machine(machine_memory(), max((gpu.memory for gpu in gpus() if gpu.memory), default=None))


@cache
def gpus() -> tuple[Gpu, ...]:
    """NVIDIA GPUs that a process started from here sees; () also where their driver's tool is not there or does not
    answer. Whether a training uses them, torch decides."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        said = subprocess.run(
            [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(visible([_gpu_in(line) for line in said.splitlines() if line.strip()]))


def _gpu_in(line: str) -> Gpu:
    name, _, mib = line.rpartition(",")
    return Gpu(name.strip(), int(mib) * 2**20 if mib.strip().isdecimal() else None)


def visible(here: Sequence[T], env: Mapping[str, str] = os.environ) -> list[T]:
    """Those of a machine's GPUs that CUDA_VISIBLE_DEVICES leaves; where it names them not by number, the first ones."""
    chosen = env.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(here)
    names = [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    if all(name.isdecimal() for name in names):
        return [here[int(name)] for name in names if int(name) < len(here)]
    return list(here[: len(names)])
