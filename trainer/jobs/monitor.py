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
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.hub.errors import status_of
from trainer.hub.inspect import FetchLimits
from trainer.jobs.worker import CLIPS, MARK, MODEL_FILES
from trainer.publishing.publish import Hub, Token
from trainer.runs.events import ENDS, Event, EventLog, EventReader
from trainer.runs.follower import view_of
from trainer.runs.process import own_identity
from trainer.runs.run import Run
from trainer.runs.schema import relayed

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True)
class JobRecord:
    """A job of the Hub: its id and account, the repo its model comes back through, what it runs on, price and limit."""

    job_id: str
    account: str
    repo_id: str
    flavor: str
    usd_an_hour: float
    limit_minutes: int
    url: str


def write_job_record(run: Run, record: JobRecord) -> None:
    """So that this app and the next one can follow the job and stop it. Raises OSError where the disk is full."""
    draft = run.job_record.with_suffix(".part")
    draft.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
    draft.replace(run.job_record)


def job_of(run: Run) -> JobRecord | None:
    """The job that a run is; None for a run of this machine."""
    try:
        values = json.loads(run.job_record.read_text(encoding="utf-8"))
        if "machine" in values:  # as it was called before: a job that is paid for must not get out of reach
            values["flavor"] = values.pop("machine")
        return JobRecord(**values)
    except (OSError, ValueError, TypeError):
        return None


log = logging.getLogger("voicetune.jobs")
_SECONDS_BETWEEN_TRIES = (1.0, 5.0, 15.0, 30.0, 60.0)
_RAN_OUT = {
    "what": "The rented machine ended before the training did: its time limit may have run out.",
    "todo": "Choose a longer limit, or fewer steps.",
}
_LOST = {
    "what": "The rented machine cannot be watched from here any more.",
    "todo": "Sign in again and open this page anew; the training itself goes on.",
}
# That are kept of one job: as many as two a second in a day, the longest limit, and as large as they are (some 300
# bytes). A log is a stranger's text, and whoever looks at the run reads all that is kept of it.
MOST_EVENTS = 200_000
MOST_BYTES = 64 * 2**20
_TOO_MUCH = "The rented machine tells more than can be kept here: the curves end before the training does."
_followed: dict[Path, threading.Thread] = {}
_lock = threading.Lock()


def follow(run: Run, token: Token | None, hub: Hub) -> None:
    """See to it that a run that is a job is followed, in a thread, until it ends. Does nothing for others."""
    record = job_of(run)
    if record is None or token is None or _has_end(run):
        return
    with _lock:
        current = _followed.get(run.folder)
        if current is None or not current.is_alive():
            thread = threading.Thread(target=_follow, args=(run, record, token, hub), name=f"job-{run.id}", daemon=True)
            for over in [folder for folder, other in _followed.items() if not other.is_alive()]:
                del _followed[over]
            _followed[run.folder] = thread
            thread.start()


def _follow(run: Run, record: JobRecord, token: Token, hub: Hub) -> None:
    from huggingface_hub import HfApi

    api, events = HfApi(endpoint=hub.endpoint, token=token), EventLog(run.events)
    try:
        events.append("followed", **own_identity())
        end = _relay_until_over(run, record, api, events)
        with contextlib.suppress(FileNotFoundError):  # nothing was saved yet
            fetch_model(run, record, api)
        events.append(end.pop("event"), **end)
    except Exception as error:
        # By its kind alone: its words may hold what was sent with it.
        log.error("following %s failed: %s %s", run.id, type(error).__name__, status_of(error) or "")
        events.append("lost", **_LOST)
    finally:
        events.close()
        with _lock:
            if _followed.get(run.folder) is threading.current_thread():
                del _followed[run.folder]


def _relay_until_over(run: Run, record: JobRecord, api: "HfApi", events: EventLog) -> dict[str, Any]:
    """Append what the job tells; returns the end to be written. Raises what huggingface_hub does, after some tries."""
    job: dict[str, Any] = {"job_id": record.job_id, "namespace": record.account}
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


def _relay(run: Run, lines: Iterable[str], events: EventLog) -> dict[str, Any] | None:
    """Append the events among a log's lines, as far as there is room for them; the end is returned instead."""
    room, end = _Room(run, events), None
    seen = room.seen
    for line in lines:
        event = _event_in(line)
        if event is None or event["seq"] <= seen:
            continue
        seen = event["seq"]
        fields = {name: value for name, value in event.items() if name not in ("seq", "attempt", "event")}
        if event["event"] == "started":
            fields |= own_identity()  # who follows is alive here; the trainer's process is elsewhere
        if event["event"] in ENDS:
            end = {"event": event["event"], **fields, "job_seq": seen}
            break
        room.append(event["event"], {**fields, "job_seq": seen})
    room.append_newest()
    return end


class _Room:
    """Appends a job's events while there is room for them, and says when there is none any more.

    From then on the newest that tell which model was kept, and how good it is, are held back until the log ends.
    """

    def __init__(self, run: Run, events: EventLog) -> None:
        told = EventReader(run.events).read_new()
        self.seen: int = max((event.get("job_seq", -1) for event in told), default=-1)
        self._events, self._count = events, len(told)
        self._full = any(event.get("text") == _TOO_MUCH for event in told)
        self._held: dict[str, dict[str, Any]] = {}

    def append(self, kind: str, fields: dict[str, Any]) -> None:
        """Write it, or hold it back, or let it go."""
        self._count += 1
        if not self._full and (self._count > MOST_EVENTS or self._events.path.stat().st_size > MOST_BYTES):
            self._events.append("note", text=_TOO_MUCH)
            self._full = True
        if not self._full:
            self._events.append(kind, **fields)
        elif kind in ("evaluated", "model_saved", "tested"):
            self._held.pop(kind, None)  # so that the order is that in which they were told
            self._held[kind] = fields

    def append_newest(self) -> None:
        """Write what was held back."""
        for kind, fields in self._held.items():
            self._events.append(kind, **fields)


def _event_in(line: str) -> Event | None:
    return relayed(line.removeprefix(MARK)) if line.startswith(MARK) else None


def fetch_model(run: Run, record: JobRecord, api: "HfApi") -> None:
    """The model and the clips shown, from the repo to the run's folder. FileNotFoundError where there is none."""
    draft = run.folder / "model.part"
    shutil.rmtree(draft, ignore_errors=True)
    wanted = [*MODEL_FILES, f"{CLIPS}/*.wav"]
    commit = _check_size(api, record.repo_id, wanted)
    api.snapshot_download(record.repo_id, revision=commit, allow_patterns=wanted, local_dir=draft)
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
