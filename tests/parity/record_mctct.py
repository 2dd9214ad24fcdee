"""Records what Transformers' own M-CTC-T gives, with its last version: python -m tests.parity.record_mctct

Needs an environment of its own: pip install torch transformers==4.57.6
"""

import importlib
import json
import zlib
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from tests.parity.mctct_cases import (
    CASES,
    EVERY,
    RATE,
    RECORDING,
    Case,
    draw_features,
    draw_labels,
    draw_waveform,
    draw_weights,
    padded,
)

# By name: it is not there in the version that the project is checked with.
OLD: Any = importlib.import_module("transformers.models.deprecated.mctct")


def main() -> None:
    """Write the recording."""
    tensors: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {"names": {}, "errors": {}}
    features = _record_features(tensors, facts)
    for name, case in CASES.items():
        _record_case(name, case, features, tensors, facts)
    _record_published(facts)
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    tensors["facts"] = np.frombuffer(zlib.compress(json.dumps(facts, sort_keys=True).encode(), 9), np.uint8)
    save_file(tensors, RECORDING)
    print(f"{len(tensors)} tensors, {RECORDING.stat().st_size // 1024} KB")


def _record_features(tensors: dict[str, np.ndarray], facts: dict[str, Any]) -> np.ndarray:
    extractor = OLD.MCTCTFeatureExtractor()
    facts["extractor"] = extractor.to_dict()

    def heard(name: str, *clips: str, **options: Any) -> None:
        values = extractor([draw_waveform(clip) for clip in clips], sampling_rate=RATE, **options)
        tensors[f"features/{name}"] = np.stack(values["input_features"])
        tensors[f"features/{name}/mask"] = np.stack(values["attention_mask"]).astype(np.int32)

    heard("single", "clip")
    heard("short", "short")
    heard("two_frames", "two_frames")
    heard("padded", "clip", "shorter", padding=True)
    heard("multiple", "shorter", padding="max_length", max_length=75, pad_to_multiple_of=16)
    heard("truncated", "clip", "shorter", padding=True, max_length=50, truncation=True)
    heard("long", "long")
    for name in ("padded", "multiple", "truncated"):  # every third mel feature: enough to tell a difference by
        tensors[f"features/{name}"] = tensors[f"features/{name}"][..., ::3]
    tensors["features/long"] = tensors["features/long"][:, ::EVERY]
    raw = OLD.MCTCTFeatureExtractor(normalize_means=False, normalize_vars=False, win_function="hann_window")
    tensors["features/raw"] = np.stack(raw(draw_waveform("shorter"), sampling_rate=RATE)["input_features"])[:, ::EVERY]
    silence = extractor(np.zeros(RATE // 10, np.float32), sampling_rate=RATE)["input_features"][0]
    facts["silence_is_nan"] = bool(np.isnan(silence).all())
    return tensors["features/single"][0]


def _record_case(
    name: str, case: Case, heard: np.ndarray, tensors: dict[str, np.ndarray], facts: dict[str, Any]
) -> None:
    model = OLD.MCTCTForCTC(OLD.MCTCTConfig(**case.config)).eval()
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    facts["names"][name] = {key: list(shape) for key, shape in shapes.items()}
    model.load_state_dict({key: torch.from_numpy(value) for key, value in draw_weights(shapes).items()})
    every = EVERY if name == "limit" else 1

    def logits(key: str, features: np.ndarray, mask: np.ndarray | None = None) -> None:
        given = None if mask is None else torch.from_numpy(mask)
        with torch.no_grad():
            out = model(torch.from_numpy(features), attention_mask=given).logits
        tensors[f"{name}/{key}"] = out[:, ::every].numpy()

    for frames in case.single:
        logits(f"single {frames}", draw_features(case.config, frames)[None])
    batch, mask = padded([draw_features(case.config, frames) for frames in case.batch])
    logits("batch without mask", batch)
    if case.masks:
        logits("batch", batch, mask)
        labels = torch.from_numpy(draw_labels(case.config, len(batch)))
        out = model(torch.from_numpy(batch), attention_mask=torch.from_numpy(mask), labels=labels)
        tensors[f"{name}/loss"] = out.loss.detach().numpy()[None]
    else:
        try:
            logits("batch", batch, mask)
        except (IndexError, RuntimeError) as error:
            facts["errors"][name] = f"{type(error).__name__}: {error}"
    if name == "one_convolution":
        logits("heard", heard[None])
        with torch.no_grad():
            out = model(torch.from_numpy(batch), output_hidden_states=True, output_attentions=True)
        tensors[f"{name}/hidden 0"] = out.hidden_states[0][0].numpy()
        tensors[f"{name}/hidden 1"] = out.hidden_states[1][0].numpy()
        tensors[f"{name}/attention 1"] = out.attentions[1][0].numpy()


def _record_published(facts: dict[str, Any]) -> None:
    """The defaults, which are the published model's, without memory for its weights."""
    config = OLD.MCTCTConfig()
    facts["config"] = json.loads(config.to_json_string(use_diff=False))
    with torch.device("meta"):
        model = OLD.MCTCTForCTC(config)
    facts["names"]["published"] = {key: list(value.shape) for key, value in model.state_dict().items()}
    facts["parameters"] = sum(weight.numel() for weight in model.parameters())


if __name__ == "__main__":
    main()
