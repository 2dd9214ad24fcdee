"""A rented run's events: read from the job's log and appended to the run's own, so that every watcher sees them.

Invariant: an event of the job is written at most once, whoever follows and however often: each keeps its number in
the job (`job_seq`). The end is written last, when the model is here.
"""

import contextlib
import json
import logging
import shutil
import threading
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.hub.inspect import FetchLimits
from trainer.hub.refusals import status_of
from trainer.publishing.publish import Hub, Token
from trainer.renting.job import CLIPS, MARK, MODEL_FILES
from trainer.renting.ledger import Rented, rented_of
from trainer.runs.events import ENDS, Event, EventLog, EventReader
from trainer.runs.following import view_of
from trainer.runs.identity import own_identity
from trainer.runs.run import Run

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger("voicetune.renting")

_SECONDS_BETWEEN_TRIES = (1.0, 5.0, 15.0, 30.0, 60.0)
_OF_ITS_MACHINE = ("queued", "place", "checkpoint")  # its line, and what only its disk holds
_RAN_OUT = {
    "what": "The rented machine ended before the training did: its time limit may have run out.",
    "todo": "Choose a longer limit, or fewer steps.",
}
_LOST = {
    "what": "The rented machine cannot be watched from here any more.",
    "todo": "Sign in again and open this page anew; the training itself goes on.",
}

_followed: dict[Path, threading.Thread] = {}
_lock = threading.Lock()


def follow(run: Run, token: Token | None, hub: Hub) -> None:
    """See to it that a rented run is followed, in a thread, until it ends. Does nothing for others."""
    rented = rented_of(run)
    if rented is None or token is None or _has_end(run):
        return
    with _lock:
        current = _followed.get(run.folder)
        if current is None or not current.is_alive():
            thread = threading.Thread(
                target=_follow, args=(run, rented, token, hub), name=f"rented-{run.id}", daemon=True
            )
            _followed[run.folder] = thread
            thread.start()


def _follow(run: Run, rented: Rented, token: Token, hub: Hub) -> None:
    from huggingface_hub import HfApi

    api, events = HfApi(endpoint=hub.endpoint, token=token), EventLog(run.events)
    try:
        events.append("followed", **own_identity())
        end = _relay_until_over(run, rented, api, events)
        with contextlib.suppress(FileNotFoundError):  # nothing was saved yet
            fetch_model(run, rented, api)
        events.append(end.pop("event"), **end)
    except Exception as error:
        # By its kind alone: its words may hold what was sent with it.
        log.error("following %s failed: %s %s", run.id, type(error).__name__, status_of(error) or "")
        events.append("lost", **_LOST)
    finally:
        events.close()


def _relay_until_over(run: Run, rented: Rented, api: "HfApi", events: EventLog) -> dict[str, Any]:
    """Append what the job tells; returns the end to be written. Raises what huggingface_hub does, after some tries."""
    job: dict[str, Any] = {"job_id": rented.job_id, "namespace": rented.account}
    for wait in (*_SECONDS_BETWEEN_TRIES, None):
        try:
            end = _relay(run, api.fetch_job_logs(follow=True, **job), events)
            stage = str(api.inspect_job(**job).status.stage)
            if end:
                return end
            if stage in ("CANCELED", "DELETED"):
                return {"event": "stopped"} if view_of(run).best_step else _stopped_early()
            if stage in ("COMPLETED", "ERROR"):
                return {"event": "failed", **_RAN_OUT}
        except Exception as error:
            if wait is None or status_of(error) in (401, 403, 404):
                raise
        if wait is not None:
            time.sleep(wait)
    raise TimeoutError("the job's log ended, and the job did not")


def _stopped_early() -> dict[str, Any]:
    return {"event": "stopped", "what": "Stopped before it could save.", "todo": ""}


def _relay(run: Run, lines: Any, events: EventLog) -> dict[str, Any] | None:
    """Append the events among a log's lines; the end is returned instead."""
    seen = max((event.get("job_seq", -1) for event in EventReader(run.events).read_new()), default=-1)
    for line in lines:
        event = _event_in(line)
        if event is None or event["seq"] <= seen or event["event"] in _OF_ITS_MACHINE:
            continue
        seen = event["seq"]
        fields = {name: value for name, value in event.items() if name not in ("seq", "attempt", "event")}
        if event["event"] == "started":
            fields |= own_identity()  # who follows is alive here; the trainer's process is elsewhere
        if event["event"] in ENDS:
            return {"event": event["event"], **fields, "job_seq": seen}
        events.append(event["event"], **fields, job_seq=seen)
    return None


def _event_in(line: str) -> Event | None:
    if not line.startswith(MARK):
        return None
    try:
        event = json.loads(line.removeprefix(MARK))
    except ValueError:
        return None
    good = isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("seq"), int)
    return event if good and isinstance(event.get("time"), str) else None


def fetch_model(run: Run, rented: Rented, api: "HfApi") -> None:
    """The model and the clips shown, from the repo to the run's folder. FileNotFoundError where there is none."""
    draft = run.folder / "model.part"
    shutil.rmtree(draft, ignore_errors=True)
    wanted = [*MODEL_FILES, f"{CLIPS}/*.wav"]
    commit = _check_size(api, rented.repo_id, wanted)
    api.snapshot_download(rented.repo_id, revision=commit, allow_patterns=wanted, local_dir=draft)
    if not (draft / "config.json").is_file():
        shutil.rmtree(draft, ignore_errors=True)
        raise FileNotFoundError("no model in the repo")
    shutil.rmtree(draft / ".cache", ignore_errors=True)
    if (draft / CLIPS).is_dir():
        shutil.rmtree(run.folder / CLIPS, ignore_errors=True)
        (draft / CLIPS).rename(run.folder / CLIPS)
    shutil.rmtree(run.model, ignore_errors=True)
    draft.rename(run.model)


def _check_size(api: "HfApi", repo_id: str, wanted: list[str]) -> str | None:
    """The commit that was looked at. Raises ValueError where its files are larger than any model here may be.

    The repo is its owner's, who may have put anything there since the job began.
    """
    info = api.model_info(repo_id, files_metadata=True)
    sizes = [
        file.lfs.size if file.lfs else file.size
        for file in info.siblings or []
        if any(fnmatch(file.rfilename, pattern) for pattern in wanted)
    ]
    if None in sizes or sum(size or 0 for size in sizes) > FetchLimits().total_bytes:
        raise ValueError("the repo's files are larger than a model may be")
    return info.sha


def _has_end(run: Run) -> bool:
    return any(event["event"] in ENDS for event in EventReader(run.events).read_new())
