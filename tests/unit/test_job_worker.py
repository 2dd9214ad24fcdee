"""A rented machine's model on its way to a Hub that is in trouble: tried again, and told truly either way."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants

from tests.fakes.hub_writes import WritableHub
from tests.fakes.sharable import sharable_run
from trainer.jobs import worker
from trainer.jobs.worker import MARK, JobLog, Upload, _not_sent
from trainer.runs.run import Run
from trainer.runs.schema import relayed

TOKEN = "hf_canary_of_anna"
REPO = "anna/voicetune-run"
COMMIT = f"/api/models/{REPO}/commit"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[WritableHub]:
    with WritableHub() as served:
        served.let_in(TOKEN, "anna")
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setattr(worker, "WAITS", (0.01, 0.02, 0.04))
        HfApi(token=TOKEN).create_repo(REPO, private=True)
        yield served


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return sharable_run(tmp_path, steps=6)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The events in the job's log. Nothing else of what is printed may hold the token or an address."""
    printed = capsys.readouterr().out
    assert "canary" not in printed and "127.0.0.1" not in printed
    told = [line.removeprefix(MARK) for line in printed.splitlines() if line.startswith(MARK)]
    assert all(relayed(line) for line in told), "the app sets aside what is none of its events"
    return [json.loads(line) for line in told]


def saved(step: int) -> dict[str, Any]:
    return {"seq": 70 + step, "time": "2026-11-26T12:00:00+00:00", "attempt": 1, "event": "model_saved", "step": step}


def begin(run: Run) -> Upload:
    upload = Upload(run, REPO, TOKEN, JobLog())
    upload.request(saved(2))
    upload.attempt()
    return upload


def test_the_first_uploads_may_fail(hub: WritableHub, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    hub.moods = {COMMIT: [503, 429]}
    upload = begin(run)
    assert "model.safetensors" not in hub.files(REPO), "refused, and the training goes on meanwhile"
    assert upload.finish()
    assert hub.files(REPO)["model.safetensors"] == (run.model / "model.safetensors").read_bytes()
    events = told(capsys)
    assert [event["event"] for event in events] == ["note", "note", "model_saved"], "told once it has arrived"
    assert [event["seq"] for event in events] == [0, 1, 2] and events[-1]["step"] == 2
    assert all("again in" in event["text"] and event["time"] for event in events[:2])


def test_a_hub_that_never_takes_it_is_given_up(hub: WritableHub, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    upload = begin(run)
    assert upload.arrived == saved(2)
    hub.statuses = {COMMIT: 503}
    (run.model / "model.safetensors").write_bytes(b"a better one")
    upload.request(saved(4))
    assert not upload.finish()
    commits = [call for call in hub.calls if call.path.startswith(COMMIT)]
    assert len(commits) == 1 + 1 + len(worker.WAITS)
    assert [event["step"] for event in told(capsys) if event["event"] == "model_saved"] == [2], "the one in the repo"
    words = _not_sent({"event": "finished"}, upload.arrived)
    assert "could not be sent" in words["what"] and "model of step 2" in words["what"] and words["todo"]
    assert _not_sent({"event": "failed", "what": "It broke."}, None)["what"].startswith("It broke. The best model")


def test_what_will_not_pass_is_not_tried_again_until_there_is_a_better_model(
    hub: WritableHub, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.moods = {COMMIT: [403]}
    upload = begin(run)
    for _ in range(3):
        upload.attempt()
    assert len([call for call in hub.calls if call.path.startswith(COMMIT)]) == 1
    upload.request(saved(4))
    upload.attempt()
    assert [event.get("step") for event in told(capsys)] == [None, 4]


def test_a_model_that_is_just_being_replaced_is_sent_a_moment_later(hub: WritableHub, run: Run) -> None:
    away = run.model.rename(run.folder / "model.old")
    upload = begin(run)
    away.rename(run.model)
    assert upload.finish() and "model.safetensors" in hub.files(REPO)
