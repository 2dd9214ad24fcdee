"""Several processes that train one model, each on its share of every batch.

Invariant: a batch is the recipe's, however many processes there are. Its clips are dealt out among them and each
one's loss counts by its share, so that the gradients, averaged, are those of the whole batch: the same recipe gives
the same curve on one GPU and on four. Only the first process tells, checks and saves.

torch is imported inside functions: who waits for a turn needs none.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.training.stopping import StopRequested, StopSignal

if TYPE_CHECKING:
    import torch

# The others wait while the first one checks the model, which may take long with many test clips.
SECONDS_TO_WAIT = 6 * 3600


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is, as torchrun and `accelerate launch` say in the environment."""

    rank: int = 0
    count: int = 1

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Ranks":
        """Reads RANK and WORLD_SIZE."""
        return cls(int(env.get("RANK", 0)), int(env.get("WORLD_SIZE", 1)))

    @property
    def first(self) -> bool:
        """Whether this one tells, checks and saves."""
        return self.rank == 0

    @property
    def many(self) -> bool:
        """Whether there are others."""
        return self.count > 1

    def mean(self, value: "torch.Tensor") -> "torch.Tensor":
        """The mean of a number over all processes; each must call it."""
        import torch.distributed as dist

        if self.many:
            value = value.detach().clone()
            dist.all_reduce(value)
            value /= self.count
        return value


class Shares:
    """Deals a sampler's batches out: yields this process's clips and remembers what their loss counts.

    A batch with fewer clips than there are processes leaves some without: those take its first clip, at weight 0,
    since every process must take part in every step.
    """

    def __init__(self, batches: Iterable[list[int]], ranks: Ranks) -> None:
        self._batches, self._ranks = batches, ranks
        self._weights: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]  # a sampler

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches:
            share = batch[self._ranks.rank :: self._ranks.count]
            self._weights.append(len(share) * self._ranks.count / len(batch))
            yield share or batch[:1]

    def next_weight(self) -> float:
        """By what to multiply the mean loss of the next share: 1 where all shares are equal. In the order of `iter`."""
        return self._weights.popleft()


def stop_together(ranks: Ranks, stop: StopSignal, device: "torch.device") -> Any:
    """A callback for the Trainer with which all processes stop after the same step, whichever was asked to."""
    import torch
    from transformers import TrainerCallback

    stop.together = ranks.many

    class StopTogether(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if ranks.many and float(ranks.mean(torch.tensor(float(stop.requested), device=device))) > 0:
                raise StopRequested

        def on_train_begin(self, args: Any, *more: Any, **kwargs: Any) -> None:
            if not ranks.first:  # or all would hide the same frames of their different clips
                from transformers import set_seed

                set_seed((args.seed + 7919 * ranks.rank) % 2**32)

    return StopTogether()
