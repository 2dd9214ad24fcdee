"""What a checkpoint belongs to: it is gone on from only where all that decides the result is as it was."""

import dataclasses
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from typing import Any

from trainer.errors import UserError
from trainer.speech.dataset import SpeechDataset
from trainer.training.device import Device
from trainer.training.recipe import Recipe

LIBRARIES = ("torch", "transformers", "numpy", "librosa", "soxr")  # whose numbers go into the weights
ANEW = "Choose “Fine-tune again”: it starts anew with what is there now."


@dataclass(frozen=True)
class Origin:
    """Fingerprints of the recipe and of the clips; versions; the kind of device and its precision."""

    recipe: str
    data: str
    versions: dict[str, str]
    device: str

    @classmethod
    def of(cls, recipe: Recipe, dataset: SpeechDataset, device: Device) -> "Origin":
        """As things are here and now."""
        versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
        return cls(recipe_fingerprint(recipe), data_fingerprint(dataset), versions, f"{device.name} {device.precision}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Origin":
        """The inverse of `to_dict`."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self)

    def refuse_other(self, now: "Origin") -> None:
        """Raises UserError naming the first thing that is not as it was when this was saved."""
        if self.recipe != now.recipe:
            raise UserError("This training cannot be resumed: its recipe was changed since.", ANEW)
        if self.data != now.data:
            raise UserError("This training cannot be resumed: the clips are not the same as before.", ANEW)
        for name, version in self.versions.items():
            if now.versions.get(name) != version:
                raise UserError(
                    f"This training cannot be resumed: it began with {name} {version}, and now there is "
                    f"{now.versions.get(name)}.",
                    f"Install {name} {version} again, or choose “Fine-tune again”.",
                )
        if self.device != now.device:
            raise UserError(
                f"This training cannot be resumed: it ran on {self.device}, and now there is {now.device}.",
                "Resume it on the machine where it began, or choose “Fine-tune again”.",
            )


def recipe_fingerprint(recipe: Recipe) -> str:
    """Of all its fields."""
    return hashlib.sha256(json.dumps(recipe.to_dict(), sort_keys=True).encode()).hexdigest()


def data_fingerprint(dataset: SpeechDataset) -> str:
    """Of every sound and every label, in order, on both sides."""
    digest = hashlib.sha256()
    for side in (dataset.train, dataset.test):
        for example in side:
            digest.update(f"{len(example.samples)} {example.units}\n".encode())
            digest.update(example.samples.tobytes())
        digest.update(b"\n")
    return digest.hexdigest()
