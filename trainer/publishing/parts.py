"""The files that make up a publication: named ones alone, whatever else lies in the run's folder."""

from dataclasses import dataclass
from pathlib import Path

from trainer.hub.inspect import SMALL_FILES
from trainer.hub.source import SAFETENSORS
from trainer.publishing.card import EVENTS, PICTURE, card
from trainer.publishing.events import published
from trainer.publishing.facts import facts_of
from trainer.publishing.metadata import EXAMPLE
from trainer.publishing.wishes import Wish
from trainer.runs.events import EventReader
from trainer.runs.run import Run

CARD = "README.md"
# Never training_args.bin: it is a pickle, and holds what the Trainer was given.
MODEL_FILES = (*SMALL_FILES, SAFETENSORS)


@dataclass(frozen=True)
class Part:
    """One file: its name in the repo, and its bytes or where they lie."""

    name: str
    content: bytes | Path

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def parts_of(run: Run, wish: Wish, repo_id: str, home: str, picture: bytes) -> list[Part]:
    """All of them, the weights last. Raises UserError where there is no model."""
    events = EventReader(run.events).read_new()
    facts = facts_of(run, events)
    clip = run.folder / "clips" / "0.wav"
    # A voice is published only where it was public before.
    example = facts.source != "folder" and clip.is_file()
    made = [
        Part(CARD, card(facts, wish, repo_id, home, example).encode()),
        Part(PICTURE, picture),
        Part(EVENTS, published(events)),
    ]
    if example:
        made.append(Part(EXAMPLE, clip))
    files = (run.model / name for name in MODEL_FILES)
    return [*made, *(Part(file.name, file) for file in files if file.is_file() and not file.is_symlink())]
