"""On the rented machine: the same trainer as anywhere, its events printed to the log, its best model sent to the Hub.

The trainer is a process of its own that gets no token. A model is sent whenever a better one was saved, so that a
cancelled or overdue job leaves its best so far. Invariant: `model_saved` is printed once that model has arrived, never
before, so that what the log calls the best model is the one in the repo; the end is printed last.
"""

import itertools
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from trainer.formatting import duration
from trainer.hub.errors import passing, status_of
from trainer.jobs.bundle import RUN
from trainer.models.language_model import PHRASES
from trainer.models.model_files import NOTES
from trainer.publishing.publish import MODEL_FILES as PUBLISHED
from trainer.runs.events import ENDS, Event, EventReader
from trainer.runs.process import start_trainer
from trainer.runs.run import Run

MARK = "voicetune-event "  # before each event in the job's log
POLL_SECONDS = 0.5
# Between two tries to send a model. In all some 15 minutes: the machine is paid for by the minute, the training was
# paid for already, and most troubles of the Hub are over by then.
WAITS = (5.0, 15.0, 40.0, 120.0, 240.0, 480.0)
# The notes tell its error rates. The phrases are those of public clips: others do not travel to a rented machine.
MODEL_FILES = (*PUBLISHED, NOTES, PHRASES)
CLIPS = "clips"


def main(repo_id: str) -> int:
    """Train the run of the bundle. Exit code 0 where it came to an end of its own and its model arrived."""
    token = os.environ.pop("HF_TOKEN")
    os.environ.setdefault("VOICETUNE_DATA", str(Path(RUN).resolve().parent / "data"))
    run = Run(Path(RUN).resolve())
    signal.signal(signal.SIGTERM, lambda *_: run.ask_to_stop())
    process, reader, log = start_trainer(run), EventReader(run.events), JobLog()
    upload = Upload(run, repo_id, token, log)
    end = None
    while end is None:
        gone = process.poll() is not None
        for event in reader.read_new():
            if event["event"] in ENDS:
                end = event
            elif event["event"] == "model_saved":
                upload.request(event)
            else:
                log.write(event)
        if gone and end is None:
            upload.finish()
            print(run.log.read_text(errors="replace")[-3000:], flush=True)
            return 1
        upload.attempt()
        time.sleep(POLL_SECONDS)
    if not upload.finish():
        end = {**end, "event": "failed", **_not_sent(end, upload.arrived)}
    log.write(end)
    return 0 if end["event"] != "failed" else 1


def _not_sent(end: Event, arrived: Event | None) -> dict[str, str]:
    """What is said of a run whose last model never arrived; a failed one's own words come first."""
    what = "The best model could not be sent to the Hub, which refused it again and again."
    kept = f" What is here is the model of step {arrived['step']}." if arrived else ""
    return {"what": f"{end.get('what', '')} {what}{kept}".strip(), "todo": "Start it anew when the Hub is well again."}


class JobLog:
    """The job's log: an event a line, numbered anew, since this process has events of its own to tell."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def write(self, event: Event) -> None:
        """Print it at once."""
        print(MARK + json.dumps({**event, "seq": next(self._numbers)}, ensure_ascii=False), flush=True)

    def note(self, text: str) -> None:
        """A sentence for the person who watches."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.write({"time": now, "attempt": 1, "event": "note", "text": text})


class Upload:
    """The newest model's way to the Hub, tried again after growing waits where it may go better then."""

    def __init__(self, run: Run, repo_id: str, token: str, log: JobLog) -> None:
        self._run, self._repo_id, self._token, self._log = run, repo_id, token, log
        self.arrived: Event | None = None  # `model_saved` of the one in the repo
        self._saved: Event | None = None  # and of the one that has yet to arrive
        self._failures = 0  # in a row
        self._due = 0.0  # of the next try, on time.monotonic's clock; infinity: there is none

    def request(self, saved: Event) -> None:
        """A better model was saved; it takes the place of one that has not arrived."""
        self._saved = saved
        self._take_heart()

    def attempt(self) -> None:
        """Send what has not arrived, if it is time for that."""
        if self._saved is None or time.monotonic() < self._due:
            return
        try:
            send_model(self._run, self._repo_id, self._token)
        except Exception as error:  # huggingface_hub names no end of what it may raise
            self._failed(error)
        else:
            self._log.write(self._saved)
            self.arrived, self._saved, self._failures, self._due = self._saved, None, 0, 0.0

    def finish(self) -> bool:
        """Go on until the last model has arrived, or the tries are used up; whether it has arrived."""
        self._take_heart()
        while self._saved is not None and self._due < math.inf:
            time.sleep(max(0.0, self._due - time.monotonic()))
            self.attempt()
        return self._saved is None

    def _take_heart(self) -> None:
        """Begin to count anew where the tries were used up: hours may have gone by since."""
        if self._due == math.inf:
            self._failures, self._due = 0, 0.0

    def _failed(self, error: Exception) -> None:
        # By its kind alone: its words may hold what was sent with it.
        print(f"sending the model failed: {type(error).__name__} {status_of(error) or ''}".rstrip(), flush=True)
        if passing(error) and self._failures < len(WAITS):
            wait = WAITS[self._failures]
            self._failures += 1
            self._due = time.monotonic() + wait
            self._log.note(f"The Hub did not take the model. It is sent again in {duration(wait)}.")
        else:
            self._due = math.inf
            self._log.note("The Hub does not take the model.")


def send_model(run: Run, repo_id: str, token: str) -> None:
    """One commit with the model's named files and the clips that are shown."""
    from huggingface_hub import CommitOperationAdd, HfApi

    with tempfile.TemporaryDirectory(dir=run.folder) as still:
        # Links hold on to the files while the trainer puts a better model in their place.
        model = shutil.copytree(run.model, Path(still) / "model", copy_function=os.link)
        files = {name: model / name for name in MODEL_FILES if (model / name).is_file()}
        files |= {f"{CLIPS}/{clip.name}": clip for clip in sorted((run.folder / CLIPS).glob("*.wav"))}
        additions = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
        HfApi(token=token).create_commit(repo_id, additions, commit_message="The best model so far")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
