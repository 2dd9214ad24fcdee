"""How long a recipe will take on this computer, before it is started. Needs no torch."""

import functools
import os
import shutil
import time

import numpy as np

from trainer.models.bases import USUAL
from trainer.models.shape import Shape
from trainer.models.sizes import sizes_of
from trainer.settings import Settings
from trainer.training.recipe import Recipe

_MATRIX = 64  # so small that numpy keeps it on one core: on several, other programs disturb the measurement
_TRIES = 3000
_GPU_GFLOPS = 5_000.0  # a guess for a small GPU, meant to be too low; not measured
_START_SECONDS = 12.0  # loading torch, decoding the clips, the first check
_CLIP_SECONDS = 8.6  # mean length of a MInDS-14 clip
_CHECKPOINTING = 1.18  # computing activations a second time; measured with wav2vec2-base's shape
# A billion operations of a training step cost so many seconds times `machine_gflops`: found with wav2vec2-base's shape
# (14.8 a second of audio) and the starter's (1.45), whose small layers take more than their arithmetic. The starter's
# is with a browser drawing the page on the same cores, as on a laptop; without one it was 1.1 to 1.3.
_COST, _WIDE, _NARROWER = 0.45, 768, 1.2


def estimate_seconds(recipe: Recipe, settings: Settings, shape: Shape | None = None) -> float:
    """Seconds from Start to the finished model, within a factor of two or so on a processor.

    `shape` is the base's where the caller knows it; where nobody does, that of the usual size is taken.
    """
    batch = recipe.batch_seconds or (recipe.batch_clips or 1) * _CLIP_SECONDS
    heard = recipe.max_steps * batch * recipe.gradient_accumulation  # seconds of audio
    sizes = sizes_of(recipe.base) or sizes_of(USUAL)
    assert sizes is not None  # USUAL is in the table
    cost = training_cost(shape or sizes.shape, recipe.freeze_feature_encoder)
    cost *= _CHECKPOINTING if recipe.gradient_checkpointing else 1.0
    return _START_SECONDS + heard * cost / machine_gflops()


def training_cost(shape: Shape, frozen: bool = True) -> float:
    """What a training step costs for each second of audio: seconds times `machine_gflops`.

    Backwards takes twice as long as forwards; convolutions that are frozen have no backwards.
    """
    layers = shape.forward_gflop(_CLIP_SECONDS) - shape.front_gflop
    gflop = 3 * layers + (1 if frozen else 3) * shape.front_gflop
    return _COST * gflop * max(1.0, _WIDE / shape.hidden) ** _NARROWER


@functools.cache
def machine_gflops() -> float:
    """Billions of float32 operations a second that all cores reach in small products; measured once, in 50 ms."""
    if shutil.which("nvidia-smi"):
        return _GPU_GFLOPS
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((_MATRIX, _MATRIX), dtype=np.float32) for _ in range(2))
    best = float("inf")
    for _ in range(_TRIES):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores * 2 * _MATRIX**3 / best / 1e9
