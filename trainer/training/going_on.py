"""All that a training goes on from, written to a checkpoint's folder and read back.

    model.safetensors  every weight and buffer
    state.safetensors  the optimizer's moments and the generators of torch
    state.json         the rest: step, schedule, scaler, losses not told yet, the best model so far, what it belongs to

No pickle: nothing in a checkpoint is ever run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from trainer.errors import UserError
from trainer.training.checkpoints import newest_whole, saved_steps
from trainer.training.origin import ANEW, Origin
from trainer.training.randomness import Generators

WEIGHTS, TENSORS, REST = "model.safetensors", "state.safetensors", "state.json"


@dataclass(frozen=True)
class Stand:
    """Where a training stands between two steps: what the next step will change before it is done."""

    step: int
    generators: Generators
    buffers: dict[str, torch.Tensor]  # of the model: batch normalisation changes them in the forward pass
    loss_sum: torch.Tensor  # over the steps since the last point of the curve
    logged: int  # the step of that point
    audio_seconds: float  # heard so far

    @classmethod
    def of(cls, model: PreTrainedModel, step: int, loss_sum: torch.Tensor, logged: int, heard: float) -> "Stand":
        """Here and now."""
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        return cls(step, Generators.now(), buffers, loss_sum, logged, heard)


@dataclass(frozen=True)
class Found:
    """What was known of the model when it was saved. Figures are compared in order, the lower the better."""

    best: tuple[float, ...] | None = None
    untrained: dict[str, float] | None = None  # wer and cer
    checked: int = -1  # step of the last check; -1: none yet
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
    def found(self) -> Found:
        """What was known then."""
        values = self.values["found"]
        best = values["best"]
        return Found(**{**values, "best": None if best is None else tuple(best)})

    def with_half_the_batch(self) -> "Saved":
        """The same, to go on from in smaller pieces."""
        return Saved(self.folder, {**self.values, "found": {**self.values["found"], "halved": True}})


def write(
    folder: Path,
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer | None,
    scheduler: Any,
    scaler: Any,
    stand: Stand,
    found: Found,
    origin: Origin,
) -> None:
    """Write it all. Raises OSError and SafetensorError (a full disk: see `training.disk`)."""
    weights = {name: weight.detach() for name, weight in model.state_dict().items()}
    weights |= {name: buffer for name, buffer in stand.buffers.items() if name in weights}
    save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / WEIGHTS)
    tensors = stand.generators.tensors()
    values: dict[str, Any] = {
        "step": stand.step,
        "generators": stand.generators.as_json(),
        "loss_sum": float(stand.loss_sum),
        "logged": stand.logged,
        "audio_seconds": stand.audio_seconds,
        "found": vars(found),
        "origin": origin.to_dict(),
    }
    if optimizer is not None:
        state = optimizer.state_dict()
        for number, moments in state["state"].items():
            tensors |= {f"optimizer/{number}/{name}": moment.contiguous() for name, moment in moments.items()}
        values |= {"groups": state["param_groups"], "scheduler": scheduler.state_dict()}
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


def put_back_weights(saved: Saved, model: PreTrainedModel) -> None:
    """Every weight and buffer. Raises UserError where they are another model's."""
    try:
        model.load_state_dict(load_file(saved.folder / WEIGHTS), strict=True)
    except RuntimeError as error:
        raise UserError("This training cannot be resumed: its base model is not the same as before.", ANEW) from error


def put_back_rest(saved: Saved, optimizer: torch.optim.Optimizer, scheduler: Any, scaler: Any) -> Stand:
    """Optimizer, schedule, scaler and generators; returns where it stands."""
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
    return Stand(saved.step, generators, {}, loss_sum, values["logged"], values["audio_seconds"])
