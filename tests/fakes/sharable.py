"""Runs that can be shared, and sharing in a process that can be killed."""

import json
import os
import signal
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.fakes.run_folder import write_run
from trainer.publishing.options import PublishOptions
from trainer.publishing.publish import Hub, publish
from trainer.runs.run import Run

PICTURE = b"\x89PNG"
WEIGHTS = 300_000  # bytes: more than a socket's buffers take at once


def sharable_run(data_dir: Path, locale: str = "en-US", **options: object) -> Run:
    """A finished run whose model has the files of a real one, and some that must stay at home."""
    run = write_run(data_dir, locale, **options)  # type: ignore[arg-type]
    (run.model / "vocab.json").write_text(json.dumps({"[PAD]": 0, "[UNK]": 1, "|": 2, "a": 3}))
    (run.model / "tokenizer_config.json").write_text("{}")
    (run.model / "processor_config.json").write_text("{}")
    (run.model / "model.safetensors").write_bytes(os.urandom(WEIGHTS))
    (run.model / "training_args.bin").write_bytes(b"\x80pickle")
    (run.model / "voicetune.json").write_text('{"base": "/home/anna/base"}')
    return run


def _publish(folder: Path, name: str, token: str, url: str) -> None:
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_TELEMETRY = True
    publish(Run(folder), PublishOptions(name), token, PICTURE, Hub(url))


class Publisher:
    """Processes that share, each forked in no time from one that has imported what it takes."""

    def __init__(self) -> None:
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(["tests.fakes.sharable", "huggingface_hub.hf_api"])

    def start(self, run: Run, name: str, token: str, url: str) -> BaseProcess:
        """It goes on by itself."""
        process = self._context.Process(target=_publish, args=(run.folder, name, token, url), daemon=True)
        process.start()
        return process


def kill(process: BaseProcess) -> None:
    """As a power cut does."""
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert process.exitcode == -signal.SIGKILL
