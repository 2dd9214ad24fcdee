"""What was learnt, as the files beside this one: a body without letters in shards of fp16, and a head a language."""

import json
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file

from assets.starter.learning import CONVOLUTIONS, KERNEL
from assets.starter.states import LAYERS, LOWER, WIDTH
from trainer.models.ctc_model import feature_extractor_for, save_processor
from trainer.models.model_config import ModelConfig
from trainer.models.vocabulary import Vocabulary

SHARD_BYTES = 9_500_000  # Spaces refuse larger files outside of Git LFS
WEIGHTS = "model{suffix}.safetensors"
CONFIG = {
    "architectures": ["WhisperForCTC"],
    "model_type": "whisper_ctc",
    "d_model": WIDTH,
    "encoder_layers": LAYERS,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
    "head_layers": CONVOLUTIONS,
    "head_kernel": KERNEL,
}
State = dict[str, torch.Tensor]


def export(whisper: Path, learnt: State, letters: dict[str, dict[str, int]], folder: Path) -> None:
    """`learnt` is a state of `learning.Starter`, `letters` are the ids of each language's labels."""
    body = _body(load_file(whisper / "encoder.safetensors"), learnt)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n", encoding="utf-8")
    config = ModelConfig.read(folder)
    extractor: Any = feature_extractor_for(folder, config)
    extractor.save_pretrained(folder)
    plan = split_torch_state_dict_into_shards(body, filename_pattern=WEIGHTS, max_shard_size=SHARD_BYTES)
    for name, keys in plan.filename_to_tensors.items():
        save_file({key: body[key] for key in keys}, folder / name, metadata={"format": "pt"})
    index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    for language, tokens in letters.items():
        head = folder / "heads" / language
        head.mkdir(parents=True, exist_ok=True)
        output = {kind: learnt[f"heads.{language}.{kind}"].half() for kind in ("weight", "bias")}
        named = {f"ctc_head.output.{kind}": value.contiguous() for kind, value in output.items()}
        save_file(named, head / "head.safetensors", metadata={"format": "pt"})
        save_processor(head, extractor, Vocabulary(tokens), config)


def _body(encoder: State, learnt: State) -> State:
    """Under the names of `WhisperForCTC`; the positions are sinusoids that need no storing."""
    body = {name: value for name, value in encoder.items() if "embed_positions" not in name}
    for name, value in learnt.items():
        part, _, rest = name.partition(".")
        if part == "layers":
            number, _, rest = rest.partition(".")
            body[f"model.encoder.layers.{LOWER + int(number)}.{rest}"] = value
        elif part == "layer_norm":
            body[f"model.encoder.{name}"] = value
        elif part == "convs":
            body[f"ctc_head.convolutions.{rest}"] = value
    return {name: value.half().contiguous() for name, value in body.items()}
