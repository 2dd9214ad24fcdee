"""Whispers to talk to, whose decoder, tokens or rules are hostile or broken."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from tests.fakes.hearing_whisper import pieces, save_hearing_whisper
from tests.fakes.hostile_rows import LISTEN, TRAIN, Files, Hostile, change, without

HEAR = (LISTEN,)
RULES, TOKENS, INDEX = "generation_config.json", "tokenizer.json", "model.safetensors.index.json"


def hearing_files(sharded: bool = False) -> Files:
    """One that opens in both roles."""
    with tempfile.TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in save_hearing_whisper(Path(folder), sharded).iterdir()}


def hostile_decoders(planted: Path, secret: Path) -> list[Hostile]:
    sound = hearing_files()
    return [
        Hostile("whisper-sound", sound, None),
        Hostile("whisper-sound-in-shards", hearing_files(sharded=True), None),
        *_harmless(sound, secret),
        *_sizes(sound),
        *_weights(sound),
        *_shards(),
        *_tokens(sound, planted),
        *_rules(sound, secret),
    ]


def _harmless(sound: Files, secret: Path) -> list[Hostile]:
    """What is not read, or bounded by what the program itself allows."""
    evil: dict[str, Any] = {"custom_generate": None, "assistant_model": "evil", "prompt_lookup_num_tokens": 10**6}
    endless = change(sound, RULES, max_length=2**30, max_new_tokens=2**30, num_beams=10**6, min_length=10**6, **evil)
    looks = json.loads(sound[TOKENS])
    looks["model"]["merges"] = ["/ etc", [". .", "/"], "http ://"]
    looks["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "(a+)+$" * 20}}
    looks["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "x" * 1000}
    return [
        Hostile("whisper-endless-text", endless, None),
        Hostile("whisper-endless-text-in-config", change(sound, max_length=2**30, num_beams=10**6), None),
        Hostile("whisper-tokenizer-of-traps", sound | {TOKENS: json.dumps(looks).encode()}, None),
        Hostile("whisper-without-rules", without(sound, RULES), None),
        Hostile("whisper-notes", change(sound, RULES, _name_or_path=str(secret)), None),
    ]


def _sizes(sound: Files) -> list[Hostile]:
    named = {
        "layers": ("decoder_layers", (10**6, -1, 0, "2", True, 1.5)),
        "heads": ("decoder_attention_heads", (10**6, 0)),
        "inner": ("decoder_ffn_dim", (10**9,)),
        "positions": ("max_target_positions", (10**9, 0, -448)),
        "window": ("max_source_positions", (0, 4000)),
    }
    rows = [
        Hostile(f"whisper-decoder-{name}-{place}", change(sound, **{key: value}), f"a {key} that no real", roles=HEAR)
        for name, (key, values) in named.items()
        for place, value in enumerate(values)
    ]
    giant: dict[str, Any] = {"d_model": 4096, "decoder_layers": 96, "decoder_ffn_dim": 32_768}
    return [
        *rows,
        Hostile("whisper-tokens-by-the-million", change(sound, vocab_size=10**7), "a vocab_size that no real"),
        Hostile("whisper-tokens-negative", change(sound, vocab_size=-1), "a vocab_size that no real"),
        Hostile("whisper-decoder-giant", change(sound, **giant), "of another size|takes .* of memory", roles=HEAR),
        Hostile("whisper-decoder-odd-heads", change(sound, decoder_attention_heads=3), "not describe", roles=HEAR),
        Hostile("whisper-pad-far-out", change(sound, pad_token_id=10**6), "not describe a model", roles=HEAR),
        Hostile("whisper-decoder-activation", change(sound, activation_function="os.system"), "not describe a model"),
    ]


def _weights(sound: Files) -> list[Hostile]:
    state = load(sound["model.safetensors"])

    def weights(changed: dict[str, torch.Tensor]) -> Files:
        return sound | {"model.safetensors": save(changed)}

    encoder = {name: tensor for name, tensor in state.items() if ".encoder." in name}
    half = {name: tensor for name, tensor in state.items() if "decoder.layers.1" not in name}
    narrow = state | {"model.decoder.embed_tokens.weight": torch.zeros(9, 16)}
    endless = state | {f"model.decoder.layers.{number}.evil": torch.zeros(3) for number in range(2, 99)}
    return [
        Hostile("whisper-untied", change(sound, tie_word_embeddings=False), "lack parts", roles=HEAR),
        Hostile("whisper-encoder-alone", weights(encoder), "lack parts that its config.json names", roles=HEAR),
        Hostile("whisper-half-a-decoder", weights(half), "lack parts that its config.json names", roles=HEAR),
        Hostile("whisper-tokens-of-another-size", weights(narrow), "of another size than its config", roles=HEAR),
        Hostile("whisper-more-layers", change(sound, decoder_layers=3), "lack parts", roles=HEAR),
        Hostile(
            "whisper-wrong-vocabulary", change(sound, vocab_size=300), "of another size than its config", roles=HEAR
        ),
        Hostile("whisper-weights-beside", weights(endless), None),
        Hostile(
            "whisper-weights-a-pickle",
            without(sound, "model.safetensors") | {"pytorch_model.bin": b"\x80"},
            "hidden code",
        ),
    ]


def _shards() -> list[Hostile]:
    sharded = hearing_files(sharded=True)
    where: dict[str, str] = json.loads(sharded[INDEX])["weight_map"]
    decoder = where["model.decoder.embed_tokens.weight"]

    def index(changed: dict[str, str]) -> Files:
        return sharded | {INDEX: json.dumps({"weight_map": changed}).encode()}

    leads = {name: "../evil.safetensors" if file == decoder else file for name, file in where.items()}
    listed = "list of parts of .* is broken"
    many = where | {f"model.decoder.t{number}": f"m{number}.safetensors" for number in range(40)}
    return [
        Hostile("whisper-decoder-missing", without(sharded, decoder), "lacks a part of its weights", roles=HEAR),
        Hostile("whisper-decoder-above", index(leads), listed),
        Hostile("whisper-decoder-in-many-parts", index(many), listed, roles=HEAR),
    ]


def _tokens(sound: Files, planted: Path) -> list[Hostile]:
    def tokenizer(**values: Any) -> Files:
        return change(sound, TOKENS, **values)

    def vocabulary(ids: Any) -> Files:
        return sound | {"vocab.json": json.dumps(ids).encode()}

    listed = json.loads(sound[TOKENS])
    added = listed["added_tokens"]
    code = {"content": "<|x|>", "id": 3, "auto_map": {"AutoTokenizer": "evil.Evil"}}
    away = [{"content": "<|x|>", "id": 3, "path": str(planted)}]
    unreadable, other = "cannot read this model's list", "belongs to another model"
    fewer = {name: number for name, number in pieces().items() if number % 2}
    rows = {
        "missing": (without(sound, TOKENS), "its tokenizer is missing"),
        "empty": (tokenizer(model={}, added_tokens=[]), "its tokenizer is missing"),
        "a-list": (tokenizer(model={"vocab": ["a"]}), unreadable),
        "negative": (vocabulary({**pieces(), "x": -1}), other),
        "far-out": (vocabulary({**pieces(), "x": 2**40}), other),
        "of-another-size": (vocabulary({**pieces(), "x": 266}), other),
        "truths": (vocabulary({**pieces(), "x": True}), other),
        "twice": (vocabulary({**pieces(), "x": 5}), unreadable),
        "too-long": (vocabulary({**pieces(), "x" * 100_000: 200}), unreadable),
        "with-gaps": (vocabulary(fewer), "do not say what 128 of them"),
        "without-signs": (tokenizer(added_tokens=[]) | {RULES: b"{}"}, "with which tokens its texts begin"),
        "signs-that-are-one": (
            change(tokenizer(added_tokens=[]), RULES, eos_token_id=256, decoder_start_token_id=256),
            "with which tokens its texts begin|belongs|do not say",
        ),
    }
    return [
        *(Hostile(f"whisper-pieces-{name}", files, sentence, roles=HEAR) for name, (files, sentence) in rows.items()),
        Hostile("whisper-tokens-no-json", sound | {"vocab.json": b"\x80\x04"}, "vocab.json is cut off", roles=HEAR),
        Hostile("whisper-tokens-no-json-of-a-base", sound | {"vocab.json": b"\x80\x04"}, None, roles=(TRAIN,)),
        Hostile("whisper-tokenizer-bottomless", sound | {TOKENS: b'{"a":' * 100_000}, "tokenizer.json is cut off"),
        Hostile("whisper-tokenizer-code", tokenizer(added_tokens=[*added, code]), "brings code of its own"),
        Hostile("whisper-tokenizer-leads-away", tokenizer(added_tokens=[*added, *away]), "points to files outside"),
    ]


def _rules(sound: Files, secret: Path) -> list[Hostile]:
    """Of generation_config.json."""

    def rules(**values: Any) -> Files:
        return change(sound, RULES, **values)

    heads, none = "names attention heads that it does not have", "that is none of its tokens"
    rows = {
        "end-far-out": (rules(eos_token_id=10**9), f"eos_token_id {none}"),
        "end-negative": (rules(eos_token_id=-1), f"eos_token_id {none}"),
        "end-of-text": (rules(eos_token_id="256"), f"eos_token_id {none}"),
        "start-a-truth": (rules(decoder_start_token_id=True), f"decoder_start_token_id {none}"),
        "suppressed-far-out": (rules(suppress_tokens=[10**9]), f"suppress_tokens {none}"),
        "suppressed-negative": (rules(begin_suppress_tokens=[-1]), f"begin_suppress_tokens {none}"),
        "suppressed-a-number": (rules(suppress_tokens=7), f"suppress_tokens {none}"),
        "suppressed-by-the-million": (rules(suppress_tokens=[1] * 20_000), f"suppress_tokens {none}"),
        "heads-far-out": (rules(alignment_heads=[[0, 9]]), heads),
        "heads-of-no-layer": (rules(alignment_heads=[[-1, 0]]), heads),
        "heads-none": (rules(alignment_heads=[]), heads),
        "heads-a-number": (rules(alignment_heads=5), heads),
        "heads-by-the-million": (rules(alignment_heads=[[0, 0]] * 10_000), heads),
    }
    return [
        *(Hostile(f"whisper-rules-{name}", files, sentence, roles=HEAR) for name, (files, sentence) in rows.items()),
        Hostile("whisper-rules-no-json", sound | {RULES: b"import os"}, "generation_config.json is cut off"),
        Hostile("whisper-rules-code", rules(custom_generate="evil/generate"), "brings code of its own"),
        Hostile("whisper-rules-map", rules(auto_map={"x": "evil.Evil"}), "brings code of its own"),
        Hostile("whisper-rules-lead-away", rules(x=str(secret)), "generation_config.json points to files outside"),
        Hostile("whisper-rules-huge", sound | {RULES: b" " * 2**21}, "generation_config.json is cut off"),
        Hostile("whisper-languages-of-nonsense", rules(language=["de"], forced_decoder_ids=[[1], 7, [1, 10**9]]), None),
        Hostile("whisper-one-language-alone", rules(lang_to_id={"<|xx|>": 10**9}, is_multilingual=False), None),
    ]
