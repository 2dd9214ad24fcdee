"""On the rented machine: the same trainer as anywhere, its events printed to the log, its best model sent to the Hub.

The trainer is a process of its own that gets no token. A model is sent whenever a better one was saved, so that a
cancelled or overdue job leaves its best so far; the end is printed only once the last one has arrived.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from trainer.publishing.parts import MODEL_FILES as PUBLISHED
from trainer.renting.parcel import RUN
from trainer.runs.events import ENDS, Event, EventReader
from trainer.runs.processes import start_trainer
from trainer.runs.run import Run

MARK = "voicetune-event "  # before each event in the job's log
POLL_SECONDS = 0.5
MODEL_FILES = (*PUBLISHED, "voicetune.json")  # the last tells its error rates
CLIPS = "clips"


def main(repo_id: str) -> int:
    """Train the run of the parcel. Exit code 0 where it came to an end of its own."""
    token = os.environ.pop("HF_TOKEN")
    os.environ.setdefault("VOICETUNE_DATA", str(Path(RUN).resolve().parent / "data"))
    run = Run(Path(RUN).resolve())
    signal.signal(signal.SIGTERM, lambda *_: run.ask_to_stop())
    process, reader = start_trainer(run), EventReader(run.events)
    unsent, end = False, None
    while end is None:
        gone = process.poll() is not None
        for event in reader.read_new():
            if event["event"] in ENDS:
                end = event
                break
            _print(event)
            unsent = unsent or event["event"] == "model_saved"
        if unsent:
            _send(run, repo_id, token)
            unsent = False
        if gone and end is None:
            print(run.log.read_text(errors="replace")[-3000:], flush=True)
            return 1
        time.sleep(POLL_SECONDS)
    _print(end)
    return 0 if end["event"] != "failed" else 1


def _print(event: Event) -> None:
    print(MARK + json.dumps(event, ensure_ascii=False), flush=True)


def _send(run: Run, repo_id: str, token: str) -> None:
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
