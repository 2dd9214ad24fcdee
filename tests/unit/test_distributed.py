"""Batches dealt out to several processes, and how they are started."""

import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from trainer.hardware import visible
from trainer.runs.process import trainer_command
from trainer.training.data import LengthBatchSampler
from trainer.training.distributed import DistributedBatchSampler, NothingToGainError, Ranks, stop_together
from trainer.training.stop_signal import StopRequested, StopSignal

LENGTHS = [1.0, 1.1, 1.2, 2.0, 2.1, 5.0, 5.2, 5.4, 9.0, 9.5, 30.0]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_clip_of_an_epoch_is_learnt_by_exactly_one(count: int) -> None:
    def sampler() -> LengthBatchSampler:
        return LengthBatchSampler(LENGTHS, 12.0, None, seed=3)

    whole = list(sampler())
    learnt: Counter[int] = Counter()
    weights = [0.0] * len(whole)
    for rank in range(count):
        shares = DistributedBatchSampler(sampler(), Ranks(rank, count))
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


@pytest.mark.parametrize(("means", "raised"), [([0.5, 0.0], StopRequested), ([0.0, 0.5], NothingToGainError)])
def test_what_one_of_many_wants_all_do(
    means: list[float], raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop that another one was asked for, and an early end of which the first alone knows."""
    monkeypatch.setattr(Ranks, "mean", lambda ranks, wishes: torch.tensor(means))
    callback = stop_together(Ranks(1, 2), StopSignal(), lambda: False, torch.device("cpu"))
    with pytest.raises(raised):
        callback.on_step_begin()


def test_several_gpus_are_started_by_accelerate() -> None:
    assert trainer_command(["finetune"], 1) == [sys.executable, "-m", "trainer", "finetune"]
    command = trainer_command(["finetune", "--run", "x"], 4)
    assert command[1:3] == ["-m", "accelerate.commands.launch"] and "--num_processes=4" in command
    assert command[-5:] == ["-m", "trainer", "finetune", "--run", "x"]


@pytest.mark.parametrize(
    ("here", "chosen", "count"), [(4, None, 4), (4, "0,2", 2), (4, "", 0), (4, "-1", 0), (2, "0,1,2,3", 2)]
)
def test_hidden_gpus_do_not_count(here: int, chosen: str | None, count: int) -> None:
    assert len(visible(range(here), {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen})) == count


def test_a_stop_is_urgent_where_it_comes_not_from_a_person_alone(tmp_path: Path) -> None:
    by_file = StopSignal(tmp_path / "stop")
    (tmp_path / "stop").touch()
    by_file._on_signal(15, None)
    assert by_file.requested and not by_file.urgent
    by_file._on_signal(15, None)  # once more: the app is shut down, or loses patience
    assert by_file.urgent
    by_system = StopSignal(tmp_path / "none")
    by_system._on_signal(15, None)
    assert by_system.urgent
