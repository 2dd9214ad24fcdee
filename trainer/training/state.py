"""All that a training goes on from, written to a checkpoint's folder and read back.

    model.safetensors  every weight and buffer
    state.safetensors  the optimizer's moments and the generators of torch
    state.json         the rest: step, schedule, scaler, losses not told yet, the best model so far, what it belongs to

No pickle: nothing in a checkpoint is ever run.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel, Trainer

from trainer.errors import UserError
from trainer.speech.dataset import SPLITS, SpeechDataset
from trainer.training.checkpoints import newest_whole, saved_steps
from trainer.training.device import Device
from trainer.training.recipe import Recipe


@dataclass(frozen=True)
class Generators:
    """The states of all of them at one moment."""

    python: tuple[Any, ...]
    numpy: dict[str, Any]
    torch: Tensor
    gpus: tuple[Tensor, ...]  # one for each CUDA device, or the one of Apple's

    @classmethod
    def now(cls) -> "Generators":
        """Look at them; none is changed."""
        state: Any = np.random.get_state(legacy=False)
        return cls(random.getstate(), state, torch.get_rng_state(), tuple(_gpu_states()))

    def put_back(self) -> None:
        """From here on the same numbers are drawn again. On GPUs of another kind or number, theirs are left alone."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if [state.shape for state in self.gpus] != [state.shape for state in _gpu_states()]:
            return
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(list(self.gpus))
        elif torch.backends.mps.is_available():
            torch.mps.set_rng_state(self.gpus[0])

    def as_json(self) -> dict[str, Any]:
        """What is not a tensor."""
        version, numbers, spare = self.python
        numpy = self.numpy | {"state": {**self.numpy["state"], "key": self.numpy["state"]["key"].tolist()}}
        return {"python": [version, list(numbers), spare], "numpy": numpy}

    def tensors(self) -> dict[str, Tensor]:
        """The rest, by name."""
        return {"torch": self.torch, **{f"gpu/{number}": state for number, state in enumerate(self.gpus)}}

    @classmethod
    def read(cls, values: dict[str, Any], tensors: dict[str, Tensor]) -> "Generators":
        """The inverse of the two above; other tensors among them are passed over."""
        version, numbers, spare = values["python"]
        inner = values["numpy"]["state"]
        numpy = values["numpy"] | {"state": {**inner, "key": np.array(inner["key"], dtype=np.uint32)}}
        gpus = [tensors[f"gpu/{number}"] for number in range(sum(name.startswith("gpu/") for name in tensors))]
        return cls((version, tuple(numbers), spare), numpy, tensors["torch"], tuple(gpus))


@contextmanager
def preserve_rng() -> Iterator[None]:
    """Whatever is drawn inside, outside nothing of it is noticed."""
    before = Generators.now()
    try:
        yield
    finally:
        before.put_back()


def _gpu_states() -> list[Tensor]:
    if torch.cuda.is_available():
        return torch.cuda.get_rng_state_all()
    return [torch.mps.get_rng_state()] if torch.backends.mps.is_available() else []


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
        """Of what a training is about to begin with, on this machine and with these libraries."""
        versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
        return cls(recipe_fingerprint(recipe), data_fingerprint(dataset), versions, f"{device.name} {device.precision}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Origin":
        """The inverse of `to_dict`."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self)

    def differences(self, now: "Origin") -> list[str]:
        """Sentences on what is not as it was when this was saved, and lets the training go on none the less.

        Only with none of them is the result promised to be equal to the last bit. Raises UserError for other clips or
        another recipe: the steps that were made are then not those that this training would have made.
        """
        if self.data != now.data:
            raise UserError("This training cannot be resumed: the clips are not the same as before.", ANEW)
        if self.recipe != now.recipe:
            raise UserError("This training cannot be resumed: its recipe was changed since.", ANEW)
        sentences = []
        others = [name for name, version in self.versions.items() if now.versions.get(name) != version]
        if others:
            before, after = (_listed(versions, others) for versions in (self.versions, now.versions))
            sentences.append(
                f"It began with {before} and goes on with {after}: the result may differ in the last digits."
            )
        if self.device != now.device:
            sentences.append(
                f"It began on {self.device} and goes on on {now.device}: it keeps what it learnt, but the result will "
                "not be quite what it would have been there."
            )
        return sentences


def _listed(versions: dict[str, str], names: list[str]) -> str:
    return ", ".join(f"{name} {versions.get(name, '(none)')}" for name in names)


def recipe_fingerprint(recipe: Recipe) -> str:
    """Of all its fields that are not as usual: one that is new to a later Voicetune changes no recipe from before."""
    usual = Recipe().to_dict()
    values = {name: value for name, value in recipe.to_dict().items() if value != usual[name]}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def data_fingerprint(dataset: SpeechDataset) -> str:
    """Of every sound and every label, in order, in each split."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for example in dataset.of(split):
            digest.update(f"{len(example.samples)} {example.units}\n".encode())
            digest.update(example.samples.tobytes())
        digest.update(b"\n")
    return digest.hexdigest()


WEIGHTS, TENSORS, REST = "model.safetensors", "state.safetensors", "state.json"


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands between two steps: what the next step will change before it is done."""

    step: int
    generators: Generators
    buffers: dict[str, torch.Tensor]  # of the model: batch normalisation changes them in the forward pass
    loss_sum: torch.Tensor  # over the steps since the last point of the curve
    logged: int  # the step of that point
    audio_seconds: float  # heard so far

    @classmethod
    def of(
        cls, model: PreTrainedModel, step: int, loss_sum: torch.Tensor, logged: int, heard: float
    ) -> "TrainingState":
        """Of a model between two steps: its buffers are copied, the generators looked at."""
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        return cls(step, Generators.now(), buffers, loss_sum, logged, heard)


@dataclass(frozen=True)
class EvalProgress:
    """What was known of the model when it was saved. Figures are compared in order, the lower the better."""

    best: tuple[float, ...] | None = None
    untrained: dict[str, float] | None = None  # wer and cer, of validation
    untrained_test: dict[str, float] | None = None  # likewise, of test; to be told with the model's own at the end
    checked: int = -1  # step of the last check; -1: none yet
    in_vain: int = 0  # checks in a row, up to that one, that found nothing better
    copies: int | None = None  # changed ones of a clip, whose states are kept; -1: layers are frozen, none is kept
    halved: bool = False  # the batch, because the GPU's memory was not enough


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read, all but its tensors."""

    folder: Path
    values: dict[str, Any]

    @property
    def step(self) -> int:
        """Steps made."""
        return int(self.values["step"])

    @property
    def origin(self) -> Origin:
        """What it belongs to."""
        return Origin.from_dict(self.values["origin"])

    @property
    def progress(self) -> EvalProgress:
        """What was known then."""
        values = self.values["progress"]
        best = values["best"]
        return EvalProgress(**{**values, "best": None if best is None else tuple(best)})

    def with_half_the_batch(self) -> "Saved":
        """The same, to go on from in smaller pieces."""
        return Saved(self.folder, {**self.values, "progress": {**self.values["progress"], "halved": True}})


def write(folder: Path, trainer: Trainer, state: TrainingState, progress: EvalProgress, origin: Origin) -> None:
    """Write it all. Raises OSError and SafetensorError (a full disk: see `errors.is_disk_full`).

    Of the trainer, its model, optimizer, schedule and gradient scaler are written, as far as it has them yet.
    """
    model, optimizer, scaler = trainer.model, trainer.optimizer, trainer.accelerator.scaler
    assert model is not None  # given to its constructor
    weights = {name: weight.detach() for name, weight in model.state_dict().items()}
    weights |= {name: buffer for name, buffer in state.buffers.items() if name in weights}
    save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / WEIGHTS)
    tensors = state.generators.tensors()
    values: dict[str, Any] = {
        "step": state.step,
        "generators": state.generators.as_json(),
        "loss_sum": float(state.loss_sum),
        "logged": state.logged,
        "audio_seconds": state.audio_seconds,
        "progress": vars(progress),
        "origin": origin.to_dict(),
    }
    if optimizer is not None:
        saved = optimizer.state_dict()
        for number, moments in saved["state"].items():
            tensors |= {f"optimizer/{number}/{name}": moment.contiguous() for name, moment in moments.items()}
        assert trainer.lr_scheduler is not None  # made together with the optimizer
        values |= {"groups": saved["param_groups"], "scheduler": trainer.lr_scheduler.state_dict()}
    if scaler is not None:
        values["scaler"] = scaler.state_dict()
    save_file(tensors, folder / TENSORS)
    (folder / REST).write_text(json.dumps(values), encoding="utf-8")


def read(checkpoints: Path) -> Saved | None:
    """The newest whole one; None where nothing was ever saved. Raises UserError where all are broken."""
    newest = newest_whole(checkpoints)
    if newest is None and saved_steps(checkpoints):
        raise UserError("This training cannot be resumed: what was saved of it is damaged.", ANEW)
    if newest is None:
        return None
    return Saved(newest.folder, json.loads((newest.folder / REST).read_text(encoding="utf-8")))


def restore_weights(saved: Saved, model: PreTrainedModel) -> None:
    """Every weight and buffer. Raises UserError where they are another model's."""
    try:
        model.load_state_dict(load_file(saved.folder / WEIGHTS), strict=True)
    except RuntimeError as error:
        raise UserError("This training cannot be resumed: its base model is not the same as before.", ANEW) from error


def restore_rest(saved: Saved, trainer: Trainer) -> TrainingState:
    """Optimizer, schedule, scaler and generators, into a trainer that has made them; returns where it stands.

    Raises UserError where they do not fit: another version of a library may keep them in another form.
    """
    try:
        return _restore_rest(saved, trainer)
    except torch.OutOfMemoryError:  # a RuntimeError too, and no matter of versions
        raise
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "This training cannot be resumed: what was saved does not fit the libraries that are here now.", ANEW
        ) from error


def _restore_rest(saved: Saved, trainer: Trainer) -> TrainingState:
    optimizer, scheduler, scaler = trainer.optimizer, trainer.lr_scheduler, trainer.accelerator.scaler
    assert optimizer is not None and scheduler is not None
    tensors = load_file(saved.folder / TENSORS)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, number, kind = name.split("/")
            moments.setdefault(int(number), {})[kind] = tensor
    groups = [{**group, "betas": tuple(group["betas"])} for group in saved.values["groups"]]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    scheduler.load_state_dict(saved.values["scheduler"])
    if scaler is not None and "scaler" in saved.values:
        scaler.load_state_dict(saved.values["scaler"])
    generators = Generators.read(saved.values["generators"], tensors)
    generators.put_back()
    values = saved.values
    loss_sum = torch.tensor(values["loss_sum"])
    return TrainingState(saved.step, generators, {}, loss_sum, values["logged"], values["audio_seconds"])
