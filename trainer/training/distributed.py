"""Several processes that train one model, each on its share of every batch.

Invariant: a batch is the recipe's, however many processes there are. Its clips are dealt out among them and each
one's loss counts by its share, so that the gradients, averaged, are those of the whole batch: the same recipe gives
the same curve on one GPU and on four. Only the first process tells, checks and saves.

torch is imported inside functions: who waits for a turn needs none.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.training.stop_signal import StopRequested, StopSignal

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

    def least(self, number: int, device: "torch.device") -> int:
        """The smallest of the numbers that the processes have; each must call it, once they know of each other."""
        import torch
        import torch.distributed as dist

        if not self.many:
            return number
        value = torch.tensor(number, device=device)
        dist.all_reduce(value, op=dist.ReduceOp.MIN)
        return int(value)

    def mean(self, value: "torch.Tensor") -> "torch.Tensor":
        """The mean of a number over all processes; each must call it."""
        import torch.distributed as dist

        if self.many:
            value = value.detach().clone()
            dist.all_reduce(value)
            value /= self.count
        return value


class DistributedBatchSampler:
    """Deals a sampler's batches out: yields this process's clips and remembers what their loss counts.

    A batch with fewer clips than there are processes leaves some without: those take its first clip, at weight 0,
    since every process must take part in every step.
    """

    def __init__(self, batches: Iterable[list[Any]], ranks: Ranks) -> None:
        self._batches, self._ranks = batches, ranks
        self._weights: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]  # a sampler

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self._batches:
            share = batch[self._ranks.rank :: self._ranks.count]
            self._weights.append(len(share) * self._ranks.count / len(batch))
            yield share or batch[:1]

    def next_weight(self) -> float:
        """By what to multiply the mean loss of the next share: 1 where all shares are equal. In the order of `iter`."""
        return self._weights.popleft()


class NothingToGainError(Exception):
    """The training ends before its last step: it no longer gets better."""


def stop_together(ranks: Ranks, stop: StopSignal, had_enough: Callable[[], bool], device: "torch.device") -> Any:
    """A callback for the Trainer with which all processes stop after the same step, whichever was asked to, or the
    first one, which checks the model, has had enough."""
    import torch
    from transformers import TrainerCallback

    stop.together = ranks.many

    class StopTogether(TrainerCallback):
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:  # when all of the last step has been told
            asked, enough = float(stop.requested), float(had_enough())
            if ranks.many:
                asked, enough = ranks.mean(torch.tensor([asked, enough], device=device)).tolist()
                if asked > 0:
                    raise StopRequested
            if enough > 0:
                raise NothingToGainError

        def on_train_begin(self, args: Any, *more: Any, **kwargs: Any) -> None:
            if not ranks.first:  # or all would hide the same frames of their different clips
                from transformers import set_seed

                set_seed((args.seed + 7919 * ranks.rank) % 2**32)

    return StopTogether()
