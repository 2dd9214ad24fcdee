"""How long a recipe will take on this computer, before it is started. Needs no torch."""

import functools
import os
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainer.errors import UserError
from trainer.formatting import memory_size
from trainer.hardware import Machine, gpus, this_machine
from trainer.models.base_ref import HubId, read_base
from trainer.models.catalog import STARTER_ID, USUAL, Base
from trainer.models.size import Shape, Sizes, ask_sizes, sizes_of
from trainer.settings import Settings
from trainer.speech.sources import kind_of
from trainer.training.measured import factor
from trainer.training.recipe import PRESETS, Recipe

_MATRIX = 64  # so small that numpy keeps it on one core: on several, other programs disturb the measurement
_TRIES = 3000
_GPU_GFLOPS = 5_000.0  # a guess for a small GPU, meant to be too low; not measured
_START_SECONDS = 12.0  # loading torch, decoding the clips, the first check
_CLIP_SECONDS = 8.6  # mean length of a MInDS-14 clip
_CLIPS, _TRAINED = 560, 0.7  # usual number of them in a locale, and the share that is trained on
_HEAD_LAYERS = 1.0  # what a head of convolutions costs, in layers, where all layers are frozen
_CHECKPOINTING = 1.18  # computing activations a second time; measured with wav2vec2-base's shape
# A billion operations of a training step cost so many seconds times `machine_gflops`: found with wav2vec2-base's shape
# (14.8 a second of audio) and one of 192 hidden units (1.45), whose small layers take more than their arithmetic; that
# one with a browser drawing the page on the same cores, as on a laptop: without one it was 1.1 to 1.3.
_COST, _WIDE, _NARROWER = 0.45, 768, 1.2


def estimate_seconds(recipe: Recipe, settings: Settings, shape: Shape | None = None) -> float:
    """Seconds from Start to the finished model, within a factor of two or so on a processor; nearer where a training
    like it was measured here. `shape` as of `work_seconds`.
    """
    return _START_SECONDS + work_seconds(recipe, settings, shape) * factor(recipe, settings)


def work_seconds(recipe: Recipe, settings: Settings, shape: Shape | None = None) -> float:
    """The same by the base's shape and this processor's speed alone, without what comes before the first step.

    `shape` is the base's where the caller knows it; where nobody does, that of the usual size is taken.
    """
    batch = recipe.batch_seconds or (recipe.batch_clips or 1) * _CLIP_SECONDS
    heard = recipe.max_steps * batch * recipe.gradient_accumulation  # seconds of audio
    sizes = sizes_of(recipe.base_ref) or sizes_of(read_base(USUAL))
    assert sizes is not None  # USUAL is in the table
    shape = shape or sizes.shape
    cost = training_cost(shape, recipe.freeze_feature_encoder, recipe.frozen_layers)
    cost *= _CHECKPOINTING if recipe.gradient_checkpointing else 1.0
    work = heard * cost
    if recipe.frozen_layers:
        own = (recipe.clips or _CLIPS) * _TRAINED * _CLIP_SECONDS
        work += min(heard, own * (1 + recipe.copies * recipe.augment)) * lower_cost(shape, recipe.frozen_layers)
    return work / machine_gflops()


def training_cost(shape: Shape, frozen: bool = True, frozen_layers: int = 0) -> float:
    """What a training step costs for each second of audio: seconds times `machine_gflops`.

    Backwards takes twice as long as forwards; convolutions that are frozen have no backwards. Above `frozen_layers`
    only the other layers are computed: see `lower_cost`.
    """
    layers = shape.forward_gflop(_CLIP_SECONDS) - shape.front_gflop
    gflop = 3 * layers + (1 if frozen else 3) * shape.front_gflop
    if frozen_layers:
        gflop = 3 * layers * max(_HEAD_LAYERS, shape.layers - frozen_layers) / shape.layers
    return _narrow_cost(gflop, shape)


def lower_cost(shape: Shape, frozen_layers: int) -> float:
    """What front end and lowest layers cost forwards for each second of audio, in the same measure."""
    layers = shape.forward_gflop(_CLIP_SECONDS) - shape.front_gflop
    return _narrow_cost(shape.front_gflop + layers * frozen_layers / shape.layers, shape)


def _narrow_cost(gflop: float, shape: Shape) -> float:
    return _COST * gflop * max(1.0, _WIDE / shape.hidden) ** _NARROWER


@functools.cache
def machine_gflops() -> float:
    """Billions of float32 operations a second that all cores reach in small products; measured once, in 50 ms."""
    if gpus():
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


MIB = 2**20
PROGRAM = 700 * MIB  # torch, transformers and datasets, imported and warm
ON_GPU = 500 * MIB  # CUDA's context and its libraries' workspaces; a guess, not measured
PER_PARAMETER = 16  # bytes
PER_FROZEN = 4  # bytes for each of those that are never trained
PER_FRAME = 75.0  # bytes for each hidden value of each layer: attention, two layer norms, a feed-forward four wide
PER_PAIR = 1.0  # bytes for each pair of frames and head: attention's weights, where they are written down ("eager")
PER_CHANNEL = 10.0  # bytes for each value between the convolutions, where they are trained
PASSING = 10.0  # bytes for each value of the widest two convolutions, while a frozen front end computes
KEPT = 4.0  # bytes for each hidden value of each layer with gradient checkpointing, and one layer whole
PADDING = 1.06  # as `training.data` pads in the mean; importing it would import torch
CLIPS = 200 * MIB  # all clips of a training, 16 bits a sample: 100 minutes, more than any locale of MInDS-14 has


@dataclass(frozen=True)
class Footprint:
    """Bytes at the peak: of the computer's memory and, where there is a GPU to train on, of the GPU's."""

    memory: int
    gpu: int | None = None


def footprint(recipe: Recipe, sizes: Sizes, longest_seconds: float, on_gpu: bool) -> Footprint:
    """For a training by this recipe whose longest clip has so many seconds.

    Within a fifth on a processor that computes in bf16; on others, and on GPUs, it was not measured.
    """
    shape = sizes.shape
    frozen = shape.layer_weights * min(recipe.frozen_layers, shape.layers) // shape.layers
    model = PER_PARAMETER * (sizes.parameters - frozen) + PER_FROZEN * frozen
    model += int(activations(recipe, sizes, longest_seconds, eager=not on_gpu))
    if not on_gpu:
        return Footprint(PROGRAM + CLIPS + model)
    # The weights pass through the computer's memory on their way.
    return Footprint(2 * PROGRAM + CLIPS + 4 * sizes.parameters, ON_GPU + model)


def activations(recipe: Recipe, sizes: Sizes, longest_seconds: float, eager: bool) -> float:
    """Bytes that the largest batch leaves for the backward pass."""
    clip = min(longest_seconds, recipe.batch_seconds or longest_seconds) if recipe.batch_seconds else longest_seconds
    batch = max(recipe.batch_seconds or 0, longest_seconds) if recipe.batch_clips is None else recipe.batch_clips * clip
    batch *= PADDING
    shape = sizes.shape
    frames = batch * shape.frames_per_second
    pairs = frames * clip * shape.frames_per_second * shape.heads
    layer = frames * shape.hidden * PER_FRAME * (1.6 if shape.conformer else 1.0) + (pairs * PER_PAIR if eager else 0.0)
    front = batch * (
        shape.widest_per_second * PASSING if recipe.freeze_feature_encoder else shape.channels_per_second * PER_CHANNEL
    )
    trained = max(_HEAD_LAYERS, shape.layers - recipe.frozen_layers)
    layers = layer * trained
    if recipe.gradient_checkpointing:
        layers = layer + frames * shape.hidden * KEPT * trained
    if recipe.frozen_layers:  # clip by clip, and never in a batch
        return layers
    return max(layers, front) if recipe.freeze_feature_encoder else layers + front


PRACTICE_SECONDS = 6.0  # the longest of the practice clips
TIGHT = 0.8  # of what there is: other programs want memory too, and the estimate is no better


@dataclass(frozen=True)
class Fit:
    """Bytes that a training needs, and that there are. `where` says of which memory."""

    needed: int
    available: int
    where: Literal["memory", "GPU memory"]

    @property
    def fits(self) -> bool:
        """Whether it can be started at all."""
        return self.needed <= self.available

    @property
    def tight(self) -> bool:
        """It fits, with little to spare."""
        return self.fits and self.needed > TIGHT * self.available


def longest_clip(data: str, settings: Settings, hub: bool | None) -> float:
    """Seconds that the longest clip of this data may have; `hub` None: not known whether it can be reached."""
    practice = data == "practice" or (data == "auto" and hub is False)
    return PRACTICE_SECONDS if practice else settings.max_clip_seconds


def fit_of(recipe: Recipe, sizes: Sizes, longest_seconds: float, machine: Machine) -> Fit:
    """The memory that is scarcer for it."""
    needed = footprint(recipe, sizes, longest_seconds, machine.gpu is not None)
    fits = [Fit(needed.memory, machine.memory, "memory")]
    if machine.gpu is not None and needed.gpu is not None:
        fits.append(Fit(needed.gpu, machine.gpu, "GPU memory"))
    return max(fits, key=lambda fit: fit.needed / max(1, fit.available))


def check_memory(recipe: Recipe, settings: Settings, hub: bool | None = None, ask: bool = True) -> None:
    """Raises UserError where the training cannot fit this machine's memory.

    With `ask`, the Hub is asked for the sizes of a base that nobody here knows, which takes seconds and may raise
    UserError too; without, such a base passes.
    """
    base = recipe.base_ref
    sizes = sizes_of(base)
    if sizes is None:
        if not ask or not isinstance(base, HubId):  # a folder without a model: opening it will say so
            return
        sizes = ask_sizes(base, settings)
    if hub is None and ask:
        hub = kind_of(recipe.data, settings) != "practice"
    fit = fit_of(recipe, sizes, longest_clip(recipe.data, settings, hub), this_machine())
    if not fit.fits:
        raise UserError(
            f"This training needs about {memory_size(fit.needed)} of {fit.where}, and this computer has "
            f"{memory_size(fit.available)}.",
            "Choose a smaller base model, or a smaller batch under Advanced.",
        )


LONGEST_SECONDS = Settings.max_clip_seconds


def recipe_for(row: Base) -> Recipe:
    """How it would be trained: the starter by the quick look, all others as a real model."""
    preset = PRESETS["quick" if row.id == STARTER_ID else "full"]
    return preset.recipe.change(base=row.id, preset=preset.name)


def fit_of_row(row: Base, machine: Machine, longest_seconds: float = LONGEST_SECONDS) -> Fit:
    """Whether it can be trained here with its own recipe."""
    sizes = sizes_of(read_base(row.id))
    assert sizes is not None  # it is in the table
    return fit_of(recipe_for(row), sizes, longest_seconds, machine)
