"""What is noted of a rented run beside its config, so that it can be found again: never a token."""

import json
from dataclasses import asdict, dataclass

from trainer.runs.run import Run

FILE = "rented.json"


@dataclass(frozen=True)
class Rented:
    """A job of the Hub: its id and account, the repo its model comes back through, machine, price and limit."""

    job_id: str
    account: str
    repo_id: str
    machine: str
    usd_an_hour: float
    limit_minutes: int
    url: str


def note_down(run: Run, rented: Rented) -> None:
    """Keep it."""
    draft = run.folder / f"{FILE}.part"
    draft.write_text(json.dumps(asdict(rented), indent=1), encoding="utf-8")
    draft.replace(run.folder / FILE)


def rented_of(run: Run) -> Rented | None:
    """What was noted; None for a run of this machine."""
    try:
        return Rented(**json.loads((run.folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
