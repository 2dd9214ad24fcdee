"""What is known of a base model before it is downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

STARTER_ID = "starter"
BYTES_EACH = 4  # of a parameter: float32, as nearly all of these are stored
Machine = Literal["cpu", "small", "large"]  # what a training wants: no GPU, one with 8 to 16 GB, one with more


@dataclass(frozen=True)
class Base:
    """A pretrained model to start from.

    `config` holds what differs from wav2vec2-base of the sizes in its config.json. `heard` are the ISO 639-1 codes of
    the languages that it was pretrained on, () for very many; `writes` is the one that it has a head for.
    `revision` None is the repo's main branch. `pickle`: there may be no safetensors, so it is on offer only at a
    pinned commit.
    """

    id: str
    title: str
    parameters: int
    licence: str
    machine: Machine
    config: Mapping[str, Any]
    sentence: str
    heard: tuple[str, ...] = ()
    writes: str | None = None
    revision: str | None = None
    pickle: bool = False

    @property
    def download_bytes(self) -> int:
        """Nothing for what comes with Voicetune."""
        return 0 if self.id == STARTER_ID else self.parameters * BYTES_EACH
