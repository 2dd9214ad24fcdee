"""A run's folder: where its parts lie, how one is made, found and listed."""

import contextlib
import functools
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainer.errors import UserError, refusal_of
from trainer.training.recipe import Recipe

_ID = re.compile(r"\d{8}-\d{6}-[a-z]{2}-[A-Z]{2}-[0-9a-f]{6}")
FROZEN_CLIPS = "own-clips"  # in the folder of a run that learns from its owner's own, see `runs.storage`
LOCAL_OWNER = "local"  # on a laptop everything belongs to the one person there


@dataclass(frozen=True)
class Run:
    """One run, known by its folder."""

    folder: Path

    @property
    def id(self) -> str:
        """E.g. 20261123-151204-en-US-9f3a1c: readable, sorts by time, cannot be guessed by counting."""
        return self.folder.name

    @property
    def created(self) -> float:
        """When it was made, from its id, which is in UTC: whole seconds since the epoch."""
        return datetime.strptime(f"{self.id[:15]}+0000", "%Y%m%d-%H%M%S%z").timestamp()

    @property
    def events(self) -> Path:
        """Append-only: see `runs.events`."""
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        """What the trainer printed."""
        return self.folder / "trainer.log"

    @property
    def model(self) -> Path:
        """The best checkpoint in the standard layout. It appears whole, by a rename."""
        return self.folder / "model"

    @property
    def tested(self) -> Path:
        """What the model heard in the clips kept aside for the end: see `speech.mistakes`."""
        return self.folder / "tested.json"

    @property
    def checkpoints(self) -> Path:
        """What the Trainer saves on its way."""
        return self.folder / "checkpoints"

    @property
    def stop_file(self) -> Path:
        """Its presence asks the trainer to stop."""
        return self.folder / "stop"

    @property
    def exit_file(self) -> Path:
        """The exit code of the trainer, noted by the app that started it."""
        return self.folder / "exit-code"

    @property
    def owner_process(self) -> Path:
        """Names the app that looks after the trainer: see `runs.lifecycle`."""
        return self.folder / "owner-process.json"

    @property
    def process(self) -> Path:
        """Names the trainer's process from its start, before it has written an event."""
        return self.folder / "process.json"

    @property
    def job_record(self) -> Path:
        """What `jobs` notes of a rented machine; there for a run that trains elsewhere."""
        return self.folder / "rented.json"

    @property
    def trainer_lock(self) -> Path:
        """Locked by whoever trains: see `runs.process`."""
        return self.folder / "trainer.lock"

    @property
    def stop_reason(self) -> str:
        """What `ask_to_stop` was given; "" also where nobody asked."""
        try:
            return self.stop_file.read_text(encoding="utf-8")
        except OSError:
            return ""

    @property
    def has_model(self) -> bool:
        """Whether there is something to transcribe with."""
        return (self.model / "config.json").is_file()

    def config(self) -> dict[str, Any]:
        """What was frozen at the start: recipe, owner, creation time. {} where it cannot be read."""
        file = self.folder / "config.json"
        try:
            return _read_config(file, file.stat().st_mtime_ns)
        except (OSError, ValueError):
            return {}

    def recipe(self) -> Recipe:
        """The frozen recipe. Raises UserError where the folder holds none."""
        if not self.recipe_values:
            raise UserError("This folder does not hold a run.", "Choose a folder that a fine-tune made.")
        return Recipe.from_dict(self.recipe_values)

    @property
    def recipe_values(self) -> dict[str, Any]:
        """The same unchecked, for who wants one value and can do without; {} where there is none."""
        values = self.config().get("recipe")
        return values if isinstance(values, dict) else {}

    def ask_to_stop(self, reason: str = "") -> None:
        """Leave the note that the trainer looks for; it ends within seconds. The first reason given stands."""
        if self.stop_file.exists():
            return
        draft = self.stop_file.with_suffix(".part")  # whoever sees the note shall read the reason in it
        draft.write_text(reason, encoding="utf-8")
        with contextlib.suppress(FileNotFoundError):  # somebody else's was in the same moment
            draft.replace(self.stop_file)


@functools.lru_cache(maxsize=4096)
def _read_config(file: Path, changed: int) -> dict[str, Any]:
    """Every poll of every page asks whose a run is. Not to be changed by callers."""
    config = json.loads(file.read_text(encoding="utf-8"))
    return config if isinstance(config, dict) else {}


def create_run(folder: Path, recipe: Recipe, owner: str = LOCAL_OWNER) -> Run:
    """Make a run in a new or empty folder. Raises UserError where something lies there already."""
    run = Run(folder)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError("The folder for this run is not empty.", "Choose a new one, so that nothing is lost.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        if known := refusal_of(error):
            raise known from error
        raise
    config = {
        "recipe": recipe.to_dict(),
        "owner": owner,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    draft = folder / "config.json.part"
    draft.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    draft.replace(folder / "config.json")
    return run


def new_run_folder(runs_dir: Path, locale: str) -> Path:
    """A name that no other run has."""
    return runs_dir / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{locale}-{secrets.token_hex(3)}"


def list_runs(runs_dir: Path, owner: str | None = None) -> list[Run]:
    """The newest first; only those of this owner, or all for None."""
    if not runs_dir.is_dir():
        return []
    runs = [Run(folder) for folder in sorted(runs_dir.iterdir(), reverse=True) if _ID.fullmatch(folder.name)]
    return [run for run in runs if (config := run.config()) and owner in (None, config.get("owner"))]


def find_run(runs_dir: Path, run_id: str, owner: str | None = None) -> Run | None:
    """The run with this id where it is this owner's. An id is checked before it becomes a path."""
    run = Run(runs_dir / run_id) if _ID.fullmatch(run_id) else None
    if run is None or not (config := run.config()) or owner not in (None, config.get("owner")):
        return None
    return run
