"""Trainings on a rented machine, whole, through the localhost Hub: its Jobs really run the trainer, in a process."""

import errno
import io
import json
import logging
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from tests.fakes.hub_jobs import JobsHub
from trainer.errors import UserError
from trainer.jobs import submit
from trainer.jobs.bundle import NAME
from trainer.jobs.monitor import follow, job_of
from trainer.jobs.pricing import MINUTES_TO_BEGIN, Flavor, offer
from trainer.jobs.submit import available_flavors, rent, stop_job
from trainer.publishing.publish import Hub
from trainer.runs.follower import forget, view_of
from trainer.runs.run import LOCAL_OWNER, Run, list_runs
from trainer.runs.view import RunView
from trainer.settings import Settings
from trainer.training.recipe import Recipe, preset_of
from trainer.transcription.transcribe import transcribe_with

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_canary_of_anna_0123456789"
T4 = Flavor("t4-small", "Nvidia T4 - small · 16 GB", 0.4, 5e3)

pytestmark = pytest.mark.timeout(300)


def recipe(steps: int) -> Recipe:
    """A quick one on practice clips, told of at each step and checked at each second."""
    quick = preset_of("quick").recipe
    few = quick.change(data="practice", max_steps=steps, eval_steps=2, warmup_steps=0, clips=24, eval_clips=3)
    return few.change(logging_steps=1, batch_seconds=8.0)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobsHub]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with JobsHub() as served:
        served.let_in(TOKEN, "anna")
        yield served


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def events(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.events.read_text().splitlines()]


def wait(run: Run, done: Callable[[RunView], object], seconds: float = 200.0) -> RunView:
    deadline = time.monotonic() + seconds
    while not done(view := view_of(run)):
        assert time.monotonic() < deadline, events(run)
        time.sleep(0.1)
    return view


def test_a_whole_training_looks_like_one_of_this_machine(hub: JobsHub, settings: Settings, tmp_path: Path) -> None:
    hub.logs_cut_after = 9  # the log breaks off once, in the middle
    run = rent(settings, recipe(4), LOCAL_OWNER, T4, 30, TOKEN, Hub(hub.url))
    hub.moods[f"/api/models/anna/voicetune-{run.id}/commit"] = [503]  # it refuses the first model
    view = wait(run, lambda now: now.over)
    assert view.state == "finished", (view.what, hub.jobs["job0"].lines[-20:])
    assert [note for note in view.notes if "did not take the model" in note] and view.best_step is not None
    assert [point.step for point in view.losses] == [1, 2, 3, 4] and all(point.value for point in view.losses)
    assert [check.step for check in view.evaluations] == [0, 2, 4] and view.guesses
    told = [event["job_seq"] for event in events(run) if "job_seq" in event]
    assert told == sorted(set(told)), "each event once, in order"
    assert len(list((run.folder / "clips").glob("*.wav"))) == len(view.guesses)
    heard = transcribe_with(str(next((run.folder / "clips").glob("*.wav"))), run.model, settings)
    assert heard.audio_seconds > 0.5
    assert_asked_for(hub, run)
    assert_no_trace(hub, run)


def assert_asked_for(hub: JobsHub, run: Run) -> None:
    """The job: the machine and limit that were chosen; a private repo; the recipe, and not whose it is."""
    spec, record = hub.jobs["job0"].spec, job_of(run)
    assert record and (spec["flavor"], spec["timeoutSeconds"]) == ("t4-small", 1800)
    assert record.repo_id in hub.private
    with zipfile.ZipFile(io.BytesIO(hub.files(record.repo_id)[NAME])) as bundle:
        assert json.loads(bundle.read("run/config.json")) == {"recipe": run.recipe().to_dict()}
        assert not [name for name in bundle.namelist() if name.startswith(("tests/", ".")) or "ready" in name]
    assert {"model.safetensors", "config.json", "clips/0.wav"} <= set(hub.files(record.repo_id))


def assert_no_trace(hub: JobsHub, run: Run) -> None:
    """The token is in headers and in the one secret; in no file, body, event or line of a log."""
    looked = [path for path in run.folder.parent.parent.rglob("*") if path.is_file()]
    assert len(looked) > 5 and [path for path in looked if TOKEN.encode() in path.read_bytes()] == []
    bodies = [call for call in hub.calls if TOKEN.encode() in call.body]
    assert [call.path for call in bodies] == ["/api/jobs/anna"]
    assert json.loads(bodies[0].body)["secrets"] == {"HF_TOKEN": TOKEN}
    assert TOKEN not in json.dumps({**json.loads(bodies[0].body), "secrets": None})
    assert [call for call in hub.calls if TOKEN in call.path + call.query] == []
    assert [line for line in hub.jobs["job0"].lines if TOKEN in line[1]] == []
    assert [data for repo in hub.repos.values() for files in repo.commits.values() for data in files.values()
            if TOKEN.encode() in data] == []  # fmt: skip


STARTS_AND_DIES = """
import sys
from pathlib import Path
from huggingface_hub import constants
constants.HF_HUB_DISABLE_XET = True
from tests.e2e.test_jobs import T4, TOKEN, recipe
from trainer.publishing.publish import Hub
from trainer.jobs.submit import rent
from trainer.settings import Settings
print(rent(Settings(data_dir=Path(sys.argv[2])), recipe(200), "local", T4, 30, TOKEN, Hub(sys.argv[1])).folder)
"""


def test_an_app_that_starts_again_goes_on_following_and_can_stop(hub: JobsHub, settings: Settings) -> None:
    """The app that started it is gone; the next one finds the run, reads on where that one was, and stops it."""
    command = [sys.executable, "-c", STARTS_AND_DIES, hub.url, str(settings.data_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    run = Run(Path(done.stdout.strip()))
    assert wait(run, lambda now: now.over).state == "interrupted", "nobody follows it now"
    follow(run, TOKEN, Hub(hub.url))
    wait(run, lambda now: now.state == "running" and now.best_step and now.losses)
    wait(run, lambda now: "model.safetensors" in hub.files(f"anna/voicetune-{run.id}"))
    stop_job(run, TOKEN, Hub(hub.url))
    view = wait(run, lambda now: now.over)
    assert view.state == "stopped" and run.has_model
    told = [event["job_seq"] for event in events(run) if "job_seq" in event]
    assert told == sorted(set(told)) and events(run)[-1]["event"] == "stopped"
    assert hub.jobs["job0"].stage == "CANCELED"
    follow(run, TOKEN, Hub(hub.url))  # it is over: nothing happens
    assert events(run)[-1]["event"] == "stopped"
    forget(run)


def test_the_limit_stops_it_and_is_told(hub: JobsHub, settings: Settings) -> None:
    hub.minute = 0.2
    run = rent(settings, recipe(4), LOCAL_OWNER, T4, 1, TOKEN, Hub(hub.url))
    view = wait(run, lambda now: now.over)
    assert view.state == "failed" and "limit" in view.what and "longer limit" in view.todo


def test_what_cannot_start_is_said_and_leaves_nothing(
    hub: JobsHub, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "voicetune.hub")

    def refused(words: str, what: Recipe | None = None, token: str | None = TOKEN, limit: int = 30) -> None:
        with pytest.raises(UserError, match=words):
            rent(settings, what or recipe(4), LOCAL_OWNER, T4, limit, token, Hub(hub.url, on_space=True))

    refused("not signed in", token=None)
    refused("expired", token="hf_of_nobody")
    refused("stay on your computer", recipe(4).change(data=str(tmp_path)))
    refused("lies on your computer", recipe(4).change(base=str(tmp_path)))
    refused("minutes", limit=0)
    for status, words in ((402, "no credit"), (403, "may not rent machines")):
        hub.statuses["/api/jobs/anna"] = status
        caplog.clear()
        refused(words)
        assert [f"status {status}" in line and TOKEN not in line for line in caplog.messages] == [True]
    assert list_runs(settings.runs_dir) == [] and hub.jobs == {}


def test_a_job_that_cannot_be_noted_down_is_cancelled(
    hub: JobsHub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: Run, record: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(submit, "write_job_record", full)
    with pytest.raises(UserError, match="given back"):
        rent(settings, recipe(4), LOCAL_OWNER, T4, 30, TOKEN, Hub(hub.url))
    assert [job.stage for job in hub.jobs.values()] == ["CANCELED"] and list_runs(settings.runs_dir) == []


def test_machines_have_prices_and_a_recipe_an_estimate(hub: JobsHub, settings: Settings) -> None:
    found = available_flavors(TOKEN, Hub(hub.url))
    assert [machine.name for machine in found] == ["t4-small", "a10g-small"], "one GPU each, the cheapest first"
    assert found[0].usd_an_hour == pytest.approx(0.40, abs=0.001) and "$0.40 an hour" in found[0].label
    small, large = (offer(preset_of("full").recipe, machine, settings) for machine in found)
    assert small.minutes > large.minutes > MINUTES_TO_BEGIN
    assert small.usd == pytest.approx(small.minutes / 60 * found[0].usd_an_hour)
    assert small.limit_minutes > small.minutes and small.most_usd > small.usd
    assert offer(recipe(4), found[0], settings, 60).most_usd == pytest.approx(found[0].usd_an_hour)
