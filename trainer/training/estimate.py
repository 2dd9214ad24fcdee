"""How long a recipe will take on this computer, before it is started. Needs no torch."""

import functools
import os
import time

import numpy as np

from trainer.models.bases import gflop_of
from trainer.settings import Settings
from trainer.training.recipe import Recipe

_MATRIX = 128  # small enough to stay on one core and in its cache
_TRIES = 200
_PASSES = 3.0  # a training step is a forward pass and a backward pass of twice its work
_PASSES_FROZEN = 2.2  # without the backward pass through the convolutions
# The share of a plain matrix product's speed that training reaches, measured with the starter and with a model of
# wav2vec2-base's shape on two cores.
_REACHED = 0.35
_START_SECONDS = 15.0  # loading torch, decoding the clips, the first check
_CLIP_SECONDS = 8.6  # mean length of a MInDS-14 clip


def estimate_seconds(recipe: Recipe, settings: Settings) -> float:
    """Seconds from Start to the finished model, within a factor of two or so."""
    batch = recipe.batch_seconds or (recipe.batch_clips or 1) * _CLIP_SECONDS
    heard = recipe.max_steps * batch * recipe.gradient_accumulation  # seconds of audio
    passes = _PASSES_FROZEN if recipe.freeze_feature_encoder else _PASSES
    return _START_SECONDS + heard * gflop_of(recipe.base) * passes / (machine_gflops() * _REACHED)


@functools.cache
def machine_gflops() -> float:
    """Billions of multiplications and additions a second in float32 on all cores; measured once, in some 20 ms.

    On one core and times their number: a product large enough to be shared out would measure what else runs now.
    """
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((_MATRIX, _MATRIX), dtype=np.float32) for _ in range(2))
    best = float("inf")
    for _ in range(_TRIES):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores * 2 * _MATRIX**3 / best / 1e9
