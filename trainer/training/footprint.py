"""How much memory a training takes at its peak, told beforehand from the numbers of its architecture.

What is counted: the program itself; for every parameter the weight, its gradient and AdamW's two averages, in float32;
and for every frame of the largest batch what the backward pass needs of the forward pass. The last are fitted to ten
real runs on a processor (`python -m tests.benchmarks.memory`): `tests/unit/test_footprint.py` has the figures.
"""

from dataclasses import dataclass

from trainer.models.sizes import Sizes
from trainer.training.recipe import Recipe

MIB = 2**20
PROGRAM = 700 * MIB  # torch, transformers and datasets, imported and warm
ON_GPU = 500 * MIB  # CUDA's context and its libraries' workspaces; a guess, not measured
PER_PARAMETER = 16  # bytes
PER_FRAME = 75.0  # bytes for each hidden value of each layer: attention, two layer norms, a feed-forward four wide
PER_PAIR = 1.0  # bytes for each pair of frames and head: attention's weights, where they are written down ("eager")
PER_CHANNEL = 10.0  # bytes for each value between the convolutions, where they are trained
PASSING = 10.0  # bytes for each value of the widest two convolutions, while a frozen front end computes
KEPT = 4.0  # bytes for each hidden value of each layer with gradient checkpointing, and one layer whole
PADDING = 1.06  # as `training.batching` pads in the mean; importing it would import torch
CLIPS = 200 * MIB  # all clips of a training, 16 bits a sample: 100 minutes, more than any locale of MInDS-14 has


@dataclass(frozen=True)
class Footprint:
    """Bytes at the peak: of the computer's memory and, where there is a GPU to train on, of the GPU's."""

    memory: int
    gpu: int | None = None


def footprint(recipe: Recipe, sizes: Sizes, longest_seconds: float, on_gpu: bool) -> Footprint:
    """For a training by this recipe whose longest clip has so many seconds.

    Within 15 % on a processor that computes in bf16; on others, and on GPUs, it was not measured.
    """
    model = PER_PARAMETER * sizes.parameters + int(activations(recipe, sizes, longest_seconds, eager=not on_gpu))
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
    layers = layer * shape.layers
    if recipe.gradient_checkpointing:
        layers = layer + frames * shape.hidden * KEPT * shape.layers
    return max(layers, front) if recipe.freeze_feature_encoder else layers + front
