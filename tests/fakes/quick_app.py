"""An app without a page: the real code that starts, adopts and ends runs, with trainers that are quick.

    python -m tests.fakes.quick_app

It reads commands, a line each, and answers with a line: `start DATA N` (that many at once, from as many threads),
`adopt DATA` (the ids of the runs that it took over), `keeps DATA` (of those that it looks after). SIGTERM ends it as
it ends the app.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from trainer.errors import UserError
from trainer.runs import process
from trainer.runs.lifecycle import adopt, runs_of_this_app, shutdown, start_run
from trainer.runs.run import Run
from trainer.settings import Settings
from trainer.training.recipe import Recipe


def quick_trainer(arguments: Sequence[str], gpus: int) -> list[str]:
    """In place of `runs.process.trainer_command`."""
    return [sys.executable, "-m", "tests.fakes.quick_trainer", *arguments[1:]]


process.trainer_command = quick_trainer


def settings_for(data: str) -> Settings:
    """As the trainers that are started from now on will read them."""
    os.environ["VOICETUNE_DATA"] = data
    return Settings.from_env()


def start_together(settings: Settings, count: int) -> str:
    """Start runs from so many threads at the same moment; the ids, or what was answered instead."""
    barrier, answers = threading.Barrier(count), [""] * count

    def start(number: int) -> None:
        barrier.wait()
        try:
            answers[number] = start_run(settings, Recipe(), "local").id
        except UserError as error:
            answers[number] = "refused:" + error.what.replace(" ", "_")

    threads = [threading.Thread(target=start, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return " ".join(answers)


def main() -> None:
    """Obey until the input ends or a signal comes."""
    data: list[str] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if data:
            shutdown(settings_for(data[-1]))
        sys.exit(0)

    signal.signal(signal.SIGTERM, on_signal)
    for line in sys.stdin:
        command, folder, *rest = line.split()
        data.append(folder)
        settings = settings_for(folder)
        Path(folder).mkdir(parents=True, exist_ok=True)
        runs: list[Run] = []
        if command == "start":
            print(start_together(settings, int(rest[0])), flush=True)
            continue
        runs = adopt(settings) if command == "adopt" else runs_of_this_app(settings)
        print(" ".join(run.id for run in runs), flush=True)


if __name__ == "__main__":
    main()
