"""What is kept of a publication in the run's folder: where it lies and what was sent. No token."""

import json
from dataclasses import asdict, dataclass, field

from trainer.publishing.card import usage
from trainer.runs.run import Run

NAME = "shared.json"


@dataclass(frozen=True)
class Receipt:
    """`files`: name to bytes; `commit`: the repo's state in which all of them were seen whole."""

    repo_id: str
    url: str
    private: bool
    commit: str
    files: dict[str, int] = field(default_factory=dict)

    @property
    def usage(self) -> str:
        """Three lines of Python."""
        return usage(self.repo_id)


def keep_receipt(run: Run, receipt: Receipt) -> None:
    """Replace the one of an earlier publication."""
    draft = run.folder / f"{NAME}.part"
    draft.write_text(json.dumps(asdict(receipt), indent=2), encoding="utf-8")
    draft.replace(run.folder / NAME)


def receipt_of(run: Run) -> Receipt | None:
    """The newest, where there is one."""
    try:
        return Receipt(**json.loads((run.folder / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
