"""What a base knew before, mixed into what it learns: a model that gets used to new words and forgets fewer old ones.

The average of the weights before and after a fine-tune does nearly as well on the new clips, and on all others nearly
as well as before (Wortsman et al. 2021, arXiv 2109.01903). What is checked, kept and tested is the average; what learns
on are the weights themselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Averaging:
    """Of a model's weights now and when this was made; `share` of the average are those of then, from 0 to 1.

    With a share of 0 nothing is kept of then, and nothing averaged.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self._model, self._share = model, share
        self._then = {name: weight.detach().clone() for name, weight in _weights(model, share)}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the model is the average. Weights that are not trained stay as they are, to the last bit."""
        now = {name: weight.data for name, weight in _weights(self._model, self._share) if weight.requires_grad}
        weights = dict(self._model.named_parameters())
        try:
            for name, value in now.items():
                weights[name].data = torch.lerp(value, self._then[name].to(value.device), self._share)
            yield
        finally:
            for name, value in now.items():
                weights[name].data = value


def _weights(model: nn.Module, share: float) -> Iterator[tuple[str, nn.Parameter]]:
    return iter(model.named_parameters() if share else ())
