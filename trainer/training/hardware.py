"""What this computer has for a training, without torch: its memory, and a GPU's."""

import functools
import shutil
import subprocess
from dataclasses import dataclass

from trainer.models.memory import machine_memory

SMALL_GPU = 16 * 2**30  # bytes; what fits here, a laptop's or a free notebook's GPU can train
_SECONDS = 5.0  # a driver that hangs shall not hold the page up


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
    """Asked anew for each estimate: a container's limit may change; the GPU is looked for once."""
    return Machine(machine_memory(), _gpu_memory())


@functools.cache
def _gpu_memory() -> int | None:
    """Bytes of the largest of NVIDIA's GPUs; None where there is none or its driver does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        said = subprocess.run(
            [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        ).stdout
        return max(int(line) for line in said.split()) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
