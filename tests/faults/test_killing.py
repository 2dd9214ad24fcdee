"""kill -9 at random moments, most of them inside saves: nothing is lost, nothing is doubled, every run goes on."""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.fakes.models import files_in
from tests.faults.fork_server import ForkServer, Job
from tests.faults.lesson import Result, attempt, faults_of, finish, new_run, view_of
from trainer.errors import UserError
from trainer.models.ctc_model import open_checkpoint
from trainer.runs.events import EventReader
from trainer.runs.run import Run
from trainer.training.checkpoints import newest_whole, recover_model
from trainer.training.recipe import Recipe

KILLS_A_RUN = 4
CALLS = {"save": 4400, "model": 12_000}  # some so many calls into C make a checkpoint, or a model


@pytest.mark.parametrize(
    "kills", [pytest.param(20), pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_killed_at_random_moments(
    kills: int, fork_server: ForkServer, lesson: Recipe, uninjured: Result, folder: Path, seed: str
) -> None:
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    while counts["kills"] < kills:
        run = new_run(folder, lesson, counts["runs"])
        counts["runs"] += 1
        for _ in range(min(KILLS_A_RUN, kills - counts["kills"])):
            answer = attempt(fork_server, run, _job(rng))
            if answer["code"] == 0:  # it came to its end before
                break
            assert answer["code"] == -9, run.id
            counts["kills"] += 1
            counts["inside saves"] += answer["inside"]
            counts["unusable"] += not _usable(run)
        if view_of(run).state != "finished":
            finish(fork_server, run)
        counts += faults_of(run, uninjured)
        print(f"{seed}: {dict(counts)}", flush=True)
    assert counts["lost"] == counts["doubled"] == counts["unusable"] == counts["other"] == 0, counts
    assert counts["inside saves"] >= kills / 2


def _job(rng: random.Random) -> Job:
    kind = rng.random()
    if kind < 0.6:
        return {"at": "save", "number": rng.randint(1, 3), "how": "KILL", "calls": rng.randrange(CALLS["save"])}
    if kind < 0.7:
        return {"at": "model", "number": 1, "how": "KILL", "calls": rng.randrange(CALLS["model"])}
    if kind < 0.8:  # in the middle of a write too
        return {"at": "save", "number": rng.randint(1, 3), "how": "KILL", "seconds": rng.uniform(0, 0.08)}
    return {"seconds": rng.uniform(0.02, 2.5)}


def _usable(run: Run) -> bool:
    """What a page needs of it now: its events, a whole checkpoint if any was told, a model if one was told."""
    view = view_of(run)
    told = {event["event"] for event in EventReader(run.events).read_new()}
    recover_model(run.model)  # as whoever watches does when it finds the process dead
    try:
        if "model_saved" in told:
            open_checkpoint(files_in(run.model))
    except UserError:
        return False
    return not view.over and ("checkpoint" not in told or newest_whole(run.checkpoints) is not None)
