"""The cases as our M-CTC-T has them, to be held against the recording."""

import json
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from tests.parity.mctct_cases import CASES, RECORDING, draw_features, draw_weights, padded
from trainer.models.mctct import MCTCTConfig, MCTCTForCTC

CLOSE = 1e-4  # the most that a feature or a logit may differ; they are of the order of 1
QUIET = {"layerdrop": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0}


@cache
def recording() -> Mapping[str, np.ndarray]:
    """Features, logits and what lies between, by name."""
    return load_file(RECORDING)


@cache
def facts() -> dict[str, Any]:
    """What is no array: names and shapes of weights, settings, errors."""
    return json.loads(zlib.decompress(recording()["facts"].tobytes()))


def drawn_model(name: str, **changes: Any) -> MCTCTForCTC:
    """A case's model with its drawn weights, ready to listen. `changes` are of the config."""
    model = MCTCTForCTC(MCTCTConfig(**{**CASES[name].config, **changes})).eval()
    drawn = draw_weights({key: tuple(value.shape) for key, value in model.state_dict().items()})
    model.load_state_dict({key: torch.from_numpy(value) for key, value in drawn.items()})
    return model


def drawn_batch(name: str) -> dict[str, torch.Tensor]:
    """A case's padded batch with its mask."""
    case = CASES[name]
    features, mask = padded([draw_features(case.config, frames) for frames in case.batch])
    return {"input_features": torch.from_numpy(features), "attention_mask": torch.from_numpy(mask)}


def logits_of(model: MCTCTForCTC, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """(clips, frames, vocabulary)."""
    with torch.inference_mode():
        return model(features, mask).logits


def apart(ours: torch.Tensor | np.ndarray, name: str) -> float:
    """The greatest difference from what was recorded under `name`. Shapes must be equal."""
    recorded = recording()[name]
    assert tuple(ours.shape) == recorded.shape
    difference = float(np.abs(np.asarray(ours) - recorded).max())
    print(f"{name}: apart by {difference:.1e}")  # shown by pytest -rP
    return difference
