"""How long a recipe will take on this computer, before it is started. Needs no torch."""

import functools
import os
import shutil
import time

import numpy as np

from trainer.models.bases import training_cost_of
from trainer.settings import Settings
from trainer.training.recipe import Recipe

_MATRIX = 64  # so small that numpy keeps it on one core: on several, other programs disturb the measurement
_TRIES = 3000
_GPU_GFLOPS = 5_000.0  # a guess for a small GPU, meant to be too low; not measured
_START_SECONDS = 12.0  # loading torch, decoding the clips, the first check
_CLIP_SECONDS = 8.6  # mean length of a MInDS-14 clip
_WHOLE_FRONT_END = 1.33  # training the convolutions too; measured with wav2vec2-base's shape
_CHECKPOINTING = 1.18  # computing activations a second time; likewise


def estimate_seconds(recipe: Recipe, settings: Settings) -> float:
    """Seconds from Start to the finished model, within a factor of two or so on a processor."""
    batch = recipe.batch_seconds or (recipe.batch_clips or 1) * _CLIP_SECONDS
    heard = recipe.max_steps * batch * recipe.gradient_accumulation  # seconds of audio
    cost = training_cost_of(recipe.base)
    cost *= 1.0 if recipe.freeze_feature_encoder else _WHOLE_FRONT_END
    cost *= _CHECKPOINTING if recipe.gradient_checkpointing else 1.0
    return _START_SECONDS + heard * cost / machine_gflops()


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
