"""Repos whose weights, shards or letters are hostile or broken."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from tests.fakes.hostile_rows import LISTEN, TRAIN, Files, Hostile, Payload, change, without

SHARD = "model-{:05}-of-00002.safetensors"


def hostile_weights(sound: Files, planted: Path) -> list[Hostile]:
    return [*_weights(sound, planted), *_shards(sound), *_vocabularies(sound)]


def _weights(sound: Files, planted: Path) -> list[Hostile]:
    def weights(data: bytes) -> Files:
        return sound | {"model.safetensors": data}

    def header(entries: Any, data: bytes = b"") -> Files:
        text = json.dumps(entries).encode()
        return weights(len(text).to_bytes(8, "little") + text + data)

    def entry(shape: Any, dtype: str = "F32", end: int = 8) -> dict[str, Any]:
        return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}

    bare, whole = without(sound, "model.safetensors"), sound["model.safetensors"]
    evil = pickle.dumps(Payload(planted))
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 999\n"
    broken = "weights are broken"
    return [
        Hostile("pickle-alone", bare | {"pytorch_model.bin": evil}, "can run hidden code"),
        Hostile("pickle-in-shards", bare | {"pytorch_model.bin.index.json": b"{}"}, "can run hidden code"),
        Hostile("pickle-of-another-name", bare | {"model.pt": evil, "x.ckpt": evil}, "a PyTorch pickle"),
        Hostile("pickle-named-safetensors", weights(evil), broken),
        Hostile("weights-in-a-folder", bare | {"sub/model.safetensors": whole}, "has no model.safetensors"),
        Hostile("weights-missing", bare, "has no model.safetensors"),
        Hostile("weights-empty", weights(b""), broken),
        Hostile("weights-a-pointer", weights(pointer), broken),
        Hostile("weights-cut-short", weights(whole[:-100]), broken),
        Hostile("weights-with-a-tail", weights(whole + b"x" * 100), broken),
        Hostile("header-endless", weights((2**60).to_bytes(8, "little") + b"{}"), broken),
        Hostile("header-no-json", weights((4).to_bytes(8, "little") + b"evil"), broken),
        Hostile("header-bottomless", header([[[]]]), broken),
        Hostile("header-deep", weights((200_000).to_bytes(8, "little") + b"[" * 200_000), broken),
        Hostile("shape-negative", header(entry([-2]), b"12345678"), broken),
        Hostile("shape-of-text", header(entry(["2"]), b"12345678"), broken),
        Hostile("shape-of-terabytes", header(entry([10**12], end=4 * 10**12)), broken),
        Hostile("kind-of-number", header(entry([8], dtype="F8_E4M3"), b"12345678"), broken),
        Hostile("offsets-that-overlap", header(entry([2]) | {"b": entry([2])["a"]}, b"1234567812345678"), "broken"),
        Hostile("other-size", change(sound, hidden_size=32), "of another size than its config.json says"),
        Hostile("more-layers", change(sound, num_hidden_layers=3), "lack parts that its config.json names"),
        Hostile("other-model", weights(save({"a": torch.zeros(4)})), "lack parts"),
        Hostile("other-head", change(sound, vocab_size=9), "was not taught to write letters", roles=(LISTEN,)),
    ]


def _shards(sound: Files) -> list[Hostile]:
    bare = without(sound, "model.safetensors")

    def index(where: Any, **files: bytes) -> Files:
        text = json.dumps({"metadata": {}, "weight_map": where}).encode()
        return bare | {"model.safetensors.index.json": text} | {name.replace("_", "."): d for name, d in files.items()}

    whole = sound["model.safetensors"]
    listed = "list of parts of .* is broken"
    many = {f"t{number}": f"m{number}.safetensors" for number in range(40)}
    return [
        Hostile("shard-above", index({"a": "../../evil.safetensors"}), listed),
        Hostile("shard-absolute", index({"a": "/etc/evil.safetensors"}), listed),
        Hostile("shard-in-a-folder", index({"a": "sub/m.safetensors"}) | {"sub/m.safetensors": whole}, listed),
        Hostile("shard-a-pickle", index({"a": "evil.bin"}, evil_bin=b"\x80"), listed),
        Hostile("shard-no-text", index({"a": 7}), listed),
        Hostile("shards-by-the-dozen", index(many) | dict.fromkeys(many.values(), whole), listed),
        Hostile("shards-none", index({}), listed),
        Hostile("shards-a-list", index(["m.safetensors"]), listed),
        Hostile("shard-not-there", index({"a": "m.safetensors"}), "lacks a part of its weights: m.safetensors"),
        Hostile("index-broken", bare | {"model.safetensors.index.json": b"{"}, "index.json is cut off or broken"),
        Hostile("shard-with-half", index({"a": "m.safetensors"}, m_safetensors=_half(whole)), "lack parts"),
        Hostile("sound-shards", _sound_shards(bare, whole), None),
    ]


def _half(whole: bytes) -> bytes:
    tensors = load(whole)
    return save({name: tensors[name] for name in list(tensors)[::2]})


def _sound_shards(bare: Files, whole: bytes) -> Files:
    tensors = load(whole)
    files: Files = {}
    where: dict[str, str] = {}
    for number in (1, 2):
        name = SHARD.format(number)
        part = {key: tensors[key] for key in list(tensors)[number - 1 :: 2]}
        files[name], where = save(part), where | dict.fromkeys(part, name)
    return bare | files | {"model.safetensors.index.json": json.dumps({"weight_map": where}).encode()}


def _vocabularies(sound: Files) -> list[Hostile]:
    def vocabulary(tokens: Any) -> Files:
        return sound | {"vocab.json": json.dumps(tokens).encode()}

    pad = {"[PAD]": 0}
    cannot = "cannot read this model's list of letters"
    unusable = {
        "none": ({}, "has no blank"),
        "nested": ({"eng": pad}, "6 letters and signs.* what 2 of them are"),
        "negative": (pad | {"a": -1}, cannot),
        "far-out": (pad | {"a": 2**40}, cannot),
        "twice": (pad | {"a": 1, "b": 1}, "6 letters and signs.* what 1 of them"),
        "halves": (pad | {"a": 0.5}, cannot),
        "truths": (pad | {"a": True}, cannot),
        "no-blank": ({"a": 0, "b": 1}, "has no blank"),
        "of-a-terminal": (pad | {"\x1b]0;evil\x07": 1}, "6 letters and signs.* what 1 of them"),
        "too-long": (pad | {"a" * 10_000: 1}, cannot),
        "beyond-head": (pad | {"a": 99}, "6 letters and signs.* what 2 of them are"),
    }
    told = [
        Hostile(f"letters-{name}", vocabulary(tokens), sentence, roles=(LISTEN,))
        for name, (tokens, sentence) in unusable.items()
    ]
    learnt = [  # a base gets new ones
        Hostile(f"letters-{name}-of-a-base", vocabulary(tokens), None, roles=(TRAIN,))
        for name, (tokens, _) in unusable.items()
    ]
    return [
        *told,
        *learnt,
        Hostile("letters-no-json", sound | {"vocab.json": b"\x80\x04"}, "vocab.json is cut off or broken"),
        Hostile("letters-a-list", vocabulary(["a", "b"]), "vocab.json is cut off or broken"),
        Hostile("letters-by-the-million", vocabulary({f"t{n}": n for n in range(200_000)}), "far larger|cannot read"),
        Hostile("letters-half-character", sound | {"vocab.json": b'{"[PAD]": 0, "\\ud800": 1}'}, "cut off or broken"),
        Hostile("letters-missing", without(sound, "vocab.json"), "only pretrained", roles=(LISTEN,)),
        Hostile(
            "tokenizer-bottomless",
            sound | {"tokenizer_config.json": b'{"a":' * 100_000},
            "tokenizer_config.json is cut off or broken",
        ),
        Hostile("names-a-list", sound | {"special_tokens_map.json": b"[]"}, "special_tokens_map.json is cut off"),
    ]
