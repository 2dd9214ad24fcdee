"""A short lesson for a tiny model in which everything is drawn that can be drawn, and what must come of it."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.models import save_tiny_base, save_tiny_encoder
from tests.fakes.sounds import save_folder
from tests.faults.fork_server import WEIGHTS, ForkServer, Job
from trainer.runs.events import EventReader
from trainer.runs.run import Run, create_run
from trainer.runs.view import RunView, fold
from trainer.training.recipe import Recipe

STEPS, CHECKS = 9, [0, 4, 8, 9]
TEXTS = ["abc", "hello there", "no", "what is this", "one", "two three"]


def save_lesson(folder: Path, **values: Any) -> Recipe:
    """Dropout, masks, changed sound, two groups of weights, batches that are accumulated; by `values` another base."""
    data = save_folder(folder / "own", [(text, split) for split in ("train", "validation", "test") for text in TEXTS])
    settings: dict[str, Any] = {
        "max_steps": STEPS, "eval_steps": 4, "batch_seconds": 3.0, "gradient_accumulation": 2, "augment": True,
        "mask_time_prob": 0.3, "dropout": 0.1, "warmup_steps": 2, "head_learning_rate": 3e-3, "precision": "fp32",
        "base": str(save_tiny_base(folder / "base")),
    }  # fmt: skip
    return Recipe(data=str(data), **(settings | values))


def save_frozen_lesson(folder: Path) -> Recipe:
    """The same where layers are frozen, in bf16, and the head learns alone for the first third."""
    base = save_tiny_encoder(folder / "whisper")
    return save_lesson(folder, base=str(base), frozen_layers=2, copies=2, head_steps=3, precision="bf16")


def save_front_lesson(folder: Path) -> Recipe:
    """The first without changed sound, so that its front end is computed once a clip."""
    return save_lesson(folder, augment=False)


@dataclass(frozen=True)
class Result:
    """What came of a run that was trained to its end."""

    weights: str
    model: bytes
    losses: list[Any]
    evaluations: list[Any]
    best_step: int | None


def result_of(run: Run) -> Result:
    """To be compared with `==`: of a run that was injured, and of one that was not."""
    view = view_of(run)
    assert view.state == "finished", (view, log_of(run))
    return Result(
        Path(f"{run.folder}.{WEIGHTS}").read_text(),
        (run.model / "model.safetensors").read_bytes(),
        view.losses,
        view.evaluations,
        view.best_step,
    )


def faults_of(run: Run, reference: Result) -> Counter[str]:
    """lost, doubled: points of the curves and numbered lines of the file. other: whatever else is not the same."""
    found: Counter[str] = Counter()
    result = result_of(run)
    steps = Counter(point.step for point in result.losses)
    checks = Counter(evaluation.step for evaluation in result.evaluations)
    numbers = Counter(event["seq"] for event in events_of(run))
    for told, wanted in ((steps, range(1, STEPS + 1)), (checks, CHECKS), (numbers, range(max(numbers) + 1))):
        found["lost"] += len(set(wanted) - set(told))
        found["doubled"] += sum(count - 1 for count in told.values())
    left = {path.name for path in run.folder.iterdir() if path.suffix in (".part", ".old")}
    found["other"] += (result != reference) + len(left) + any(run.checkpoints.iterdir())
    return found


def finish(fork_server: ForkServer, run: Run) -> None:
    """Let it go on to its end."""
    answer = fork_server.do({"run": str(run.folder), "resume": bool(events_of(run))})
    assert answer["code"] == 0, log_of(run)


def attempt(fork_server: ForkServer, run: Run, job: Job) -> dict[str, Any]:
    """One more attempt at it, with what is to happen in it."""
    return fork_server.do({"run": str(run.folder), "resume": bool(events_of(run)), **job})


def new_run(folder: Path, recipe: Recipe, name: object) -> Run:
    """In a folder of its own."""
    return create_run(folder / str(name), recipe)


def events_of(run: Run) -> list[dict[str, Any]]:
    """All that can be read."""
    return EventReader(run.events).read_new()


def view_of(run: Run) -> RunView:
    """As a page would show it, but for what it sees of the process."""
    return fold(RunView(), events_of(run))


def log_of(run: Run) -> str:
    """For a test that fails: what the trainer printed, and what it told last."""
    printed = Path(f"{run.folder}.log")
    return (printed.read_text()[-3000:] if printed.exists() else "") + json.dumps(events_of(run)[-3:])
