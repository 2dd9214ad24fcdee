"""How the trainer is started: by itself, or on several GPUs through accelerate. Needs no torch."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache


@cache
def gpu_count() -> int:
    """NVIDIA GPUs that a process started from here sees; 0 where their driver's tool is not there."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    here = sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0
    return visible(here)


def visible(here: int, env: Mapping[str, str] = os.environ) -> int:
    """How many of the machine's GPUs CUDA_VISIBLE_DEVICES leaves."""
    chosen = env.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return here
    return min(here, len([name for name in chosen.split(",") if name.strip() not in ("", "-1")]))


def trainer_command(arguments: Sequence[str], gpus: int) -> list[str]:
    """`python -m trainer …`, with a process for each GPU where there are several.

    Precision is left to the recipe: accelerate's own would wrap the model's forward, evaluations included.
    """
    if gpus < 2:
        return [sys.executable, "-m", "trainer", *arguments]
    options = {"num_processes": gpus, "num_machines": 1, "mixed_precision": "no", "dynamo_backend": "no"}
    named = [f"--{name}={value}" for name, value in options.items()]
    port = "--main_process_port=0"  # one that is free
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", *named, port]
    return [*launch, "-m", "trainer", *arguments]
