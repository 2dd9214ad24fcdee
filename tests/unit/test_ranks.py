"""Batches dealt out to several processes, and how they are started."""

import sys
from collections import Counter

import pytest

from trainer.runs.launching import trainer_command, visible
from trainer.training.batching import LengthBatchSampler
from trainer.training.ranks import Ranks, Shares
from trainer.training.stopping import StopRequested, StopSignal

LENGTHS = [1.0, 1.1, 1.2, 2.0, 2.1, 5.0, 5.2, 5.4, 9.0, 9.5, 30.0]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_clip_of_an_epoch_is_learnt_by_exactly_one(count: int) -> None:
    def sampler() -> LengthBatchSampler:
        return LengthBatchSampler(LENGTHS, 12.0, None, seed=3)

    whole = list(sampler())
    learnt: Counter[int] = Counter()
    weights = [0.0] * len(whole)
    for rank in range(count):
        shares = Shares(sampler(), Ranks(rank, count))
        dealt = list(shares)
        assert len(dealt) == len(whole) and all(dealt), "every process takes part in every step"
        for number, share in enumerate(dealt):
            weight = shares.next_weight()
            weights[number] += weight
            if weight:
                learnt.update(share)
                assert weight == pytest.approx(len(share) * count / len(whole[number]))
    assert learnt == Counter(index for batch in whole for index in batch)
    assert weights == pytest.approx([count] * len(whole)), "averaged over the processes, a batch counts as a whole one"


def test_who_is_first_comes_from_the_environment() -> None:
    assert Ranks.from_env({}) == Ranks(0, 1) and not Ranks.from_env({}).many
    second = Ranks.from_env({"RANK": "1", "WORLD_SIZE": "2"})
    assert second.many and not second.first


def test_those_who_train_together_do_not_stop_alone() -> None:
    stop = StopSignal()
    stop.requested = stop.together = True
    stop.check()
    with stop.anywhere():
        pass
    stop.together = False
    with pytest.raises(StopRequested):
        stop.check()


def test_several_gpus_are_started_by_accelerate() -> None:
    assert trainer_command(["finetune"], 1) == [sys.executable, "-m", "trainer", "finetune"]
    command = trainer_command(["finetune", "--run", "x"], 4)
    assert command[1:3] == ["-m", "accelerate.commands.launch"] and "--num_processes=4" in command
    assert command[-5:] == ["-m", "trainer", "finetune", "--run", "x"]


@pytest.mark.parametrize(
    ("here", "chosen", "count"), [(4, None, 4), (4, "0,2", 2), (4, "", 0), (4, "-1", 0), (2, "0,1,2,3", 2)]
)
def test_hidden_gpus_do_not_count(here: int, chosen: str | None, count: int) -> None:
    assert visible(here, {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}) == count
