"""Every generator that a training draws from, so that it can be kept and put back.

Python's own; numpy's global one (SpecAugment's spans, changed speed and noise); torch's (dropout, layers left out) on
the processor and on each GPU. The order of the clips comes from the seed alone: see `training.batching`.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Generators:
    """The states of all of them at one moment."""

    python: tuple[Any, ...]
    numpy: dict[str, Any]
    torch: Tensor
    gpus: tuple[Tensor, ...]  # one for each CUDA device, or the one of Apple's

    @classmethod
    def now(cls) -> "Generators":
        """Look at them; none is changed."""
        state: Any = np.random.get_state(legacy=False)
        return cls(random.getstate(), state, torch.get_rng_state(), tuple(_gpu_states()))

    def put_back(self) -> None:
        """From here on the same numbers are drawn again."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(list(self.gpus))
        elif torch.backends.mps.is_available():
            torch.mps.set_rng_state(self.gpus[0])

    def as_json(self) -> dict[str, Any]:
        """What is not a tensor."""
        version, numbers, spare = self.python
        numpy = self.numpy | {"state": {**self.numpy["state"], "key": self.numpy["state"]["key"].tolist()}}
        return {"python": [version, list(numbers), spare], "numpy": numpy}

    def tensors(self) -> dict[str, Tensor]:
        """The rest, by name."""
        return {"torch": self.torch, **{f"gpu/{number}": state for number, state in enumerate(self.gpus)}}

    @classmethod
    def read(cls, values: dict[str, Any], tensors: dict[str, Tensor]) -> "Generators":
        """The inverse of the two above; other tensors among them are passed over."""
        version, numbers, spare = values["python"]
        inner = values["numpy"]["state"]
        numpy = values["numpy"] | {"state": {**inner, "key": np.array(inner["key"], dtype=np.uint32)}}
        gpus = [tensors[f"gpu/{number}"] for number in range(sum(name.startswith("gpu/") for name in tensors))]
        return cls((version, tuple(numbers), spare), numpy, tensors["torch"], tuple(gpus))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever is drawn inside, outside nothing of it is noticed."""
    before = Generators.now()
    try:
        yield
    finally:
        before.put_back()


def _gpu_states() -> list[Tensor]:
    if torch.cuda.is_available():
        return torch.cuda.get_rng_state_all()
    return [torch.mps.get_rng_state()] if torch.backends.mps.is_available() else []
