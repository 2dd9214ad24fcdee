"""Repos that cannot be had, and those whose config.json is broken, runs code, leads away or is out of bounds."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from tests.fakes.hostile_rows import LISTEN, TRAIN, Files, Hostile, change, whisper_files, without
from tests.fakes.tiny_models import TINY

GIGABYTE = 10**9


def hostile_configs(sound: Files, secret: Path) -> list[Hostile]:
    return [
        *_not_to_be_had(sound),
        *_broken_configs(sound),
        *_configs_that_run_code(sound),
        *_configs_that_lead_away(sound, secret),
        *_configs_out_of_bounds(sound),
        *_nested_configs(sound),
        *_whisper_configs(sound),
        *_plain_whisper_configs(),
    ]


def _not_to_be_had(sound: Files) -> list[Hostile]:
    sizes = [{"rfilename": name, "size": len(data)} for name, data in sound.items()]
    huge = [{**row, "size": 7 * GIGABYTE} if row["rfilename"] == "model.safetensors" else row for row in sizes]
    full = [{**row, "size": 17 * 2**20} if row["rfilename"] == "vocab.json" else row for row in sizes]
    return [
        Hostile("missing", None, "There is no model called"),
        Hostile("gated", sound, "only for people to whom its owner has given access", gated=True),
        Hostile("disabled", sound, "There is no model called", told={"disabled": True}),
        Hostile("commit-is-a-path", sound, "cannot be reached", told={"sha": "../../../../tmp/evil"}),
        Hostile("commit-unnamed", sound, "cannot be reached", told={"sha": None}),
        Hostile(
            "sizes-untold", sound, "does not say how large", told={"siblings": [{"rfilename": name} for name in sound]}
        ),
        Hostile(
            "size-negative",
            sound,
            "does not say how large",
            told={"siblings": [{**row, "size": -5} for row in sizes]},
        ),
        Hostile("weights-of-7-gb", sound, "is too large: 7 GB to download", told={"siblings": huge}),
        Hostile("vocabulary-of-17-mb", sound, "vocab.json of .* is 18 MB, far more", told={"siblings": full}),
        Hostile(
            "listed-but-not-there",
            without(sound, "vocab.json"),
            "connection broke|not fetched|no such",
            told={"siblings": sizes},
        ),
        Hostile("no-files", {".gitattributes": b""}, "has no config.json"),
    ]


def _broken_configs(sound: Files) -> list[Hostile]:
    def config(text: bytes) -> Files:
        return sound | {"config.json": text}

    whole = sound["config.json"].rstrip().removesuffix(b"}")
    return [
        Hostile("config-missing", without(sound, "config.json"), "has no config.json"),
        Hostile("config-of-2-mb", config(b" " * 2**21), "config.json of .* is 2 MB, far more"),
        Hostile("config-empty", config(b""), "config.json is cut off or broken"),
        Hostile("config-no-json", config(b"import os; os.system('id')"), "config.json is cut off or broken"),
        Hostile("config-a-list", config(b"[1, 2]"), "config.json is cut off or broken"),
        Hostile("config-a-link-in-git", config(b"/etc/passwd"), "config.json is cut off or broken"),
        Hostile("config-bottomless", config(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "cut off or broken|nested"),
        Hostile("config-deep", config(whole + b', "x": ' + b"[" * 20 + b"]" * 20 + b"}"), "nested deeper"),
        Hostile("config-nan", config(whole + b', "layerdrop": NaN}'), "config.json is cut off or broken"),
        Hostile("config-infinite", config(whole + b', "layerdrop": 1e999}'), "number that no real model has"),
        Hostile("config-long-number", config(whole + b', "x": ' + b"9" * 9999 + b"}"), "cut off or broken"),
        Hostile("config-not-utf-8", config(b'{"model_type": "\xff\xfe"}'), "config.json is cut off or broken"),
        Hostile("config-utf-16", config(whole.decode().encode("utf-16")), "config.json is cut off or broken"),
        Hostile("config-half-character", config(whole + b', "x": "\\ud800"}'), "config.json is cut off or broken"),
        Hostile("kind-unknown", change(sound, model_type="speecht5"), "of the kind “speecht5”"),
        Hostile("kind-a-list", change(sound, model_type=["wav2vec2"]), "names no kind"),
        Hostile("kind-missing", change(sound, model_type=None), "names no kind"),
        Hostile("kind-a-path", change(sound, model_type="../../evil"), "of the kind"),
    ]


def _configs_that_run_code(sound: Files) -> list[Hostile]:
    code = "brings code of its own"
    mapped = {"AutoConfig": "evil.Evil", "AutoModelForCTC": "somebody/else--evil.Evil"}
    with_module = sound | {"evil.py": b"raise SystemExit('evil')"}
    return [
        Hostile("auto-map", change(with_module, auto_map=mapped), code),
        Hostile("auto-map-nested", change(with_module, encoder_config={"auto_map": mapped}), code),
        Hostile("auto-map-in-a-list", change(with_module, parts=[{"auto_map": mapped}]), code),
        Hostile("auto-map-of-tokenizer", change(with_module, "tokenizer_config.json", auto_map=mapped), code),
        Hostile("auto-map-of-extractor", change(with_module, "preprocessor_config.json", auto_map=mapped), code),
        Hostile("auto-map-of-processor", change(with_module, "processor_config.json", auto_map=mapped), code),
        Hostile("trust-remote-code", change(with_module, trust_remote_code=True), code),
        Hostile("custom-pipeline", change(with_module, custom_pipelines={"asr": {"impl": "evil.Evil"}}), code),
        Hostile("kernel-config", change(sound, kernel_config={"Linear": "evil/kernel:Linear"}), code),
        Hostile("kernel-as-attention", change(sound, attn_implementation="evil/kernel:run"), "asks for code"),
        Hostile("kernel-nested", change(sound, encoder_config={"_attn_implementation": "e/k@v1"}), "asks for code"),
        Hostile("kernel-as-experts", change(sound, _experts_implementation_internal="e/k"), "asks for code"),
        Hostile("chat-template", change(sound, "tokenizer_config.json", chat_template="{{ x }}"), "chat template"),
        Hostile("chat-template-2", change(sound, "processor_config.json", chat_template="{{ x }}"), "chat template"),
        Hostile("activation-unknown", change(sound, hidden_act="os.system"), "does not describe a model"),
    ]


def _configs_that_lead_away(sound: Files, secret: Path) -> list[Hostile]:
    away = "points to files outside the model"
    tokenizer = "tokenizer_config.json"
    return [
        Hostile("path-absolute", change(sound, tokenizer_file=str(secret)), f"config.json {away}"),
        Hostile("path-relative", change(sound, vocab_file="../../../secret"), f"config.json {away}"),
        Hostile("path-home", change(sound, vocab_file="~/.ssh/id_rsa"), f"config.json {away}"),
        Hostile("path-windows", change(sound, vocab_file="C:\\Users\\secret"), f"config.json {away}"),
        Hostile("path-share", change(sound, vocab_file="\\\\host\\secret"), f"config.json {away}"),
        Hostile("address-of-a-file", change(sound, vocab_file="file:///etc/passwd"), f"config.json {away}"),
        Hostile("address-on-the-web", change(sound, vocab_file="http://169.254.169.254/x"), f"config.json {away}"),
        Hostile("path-of-tokenizer", change(sound, tokenizer, tokenizer_file=str(secret)), f"{tokenizer} {away}"),
        Hostile("path-nested", change(sound, tokenizer, a={"b": [str(secret)]}), f"{tokenizer} {away}"),
        Hostile("other-config", change(sound, configuration_files=["config.9.0.json"]), f"config.json {away}"),
        Hostile("other-weights", change(sound, transformers_weights="evil.bin"), f"config.json {away}"),
        Hostile("other-base", change(sound, base_model_name_or_path="evil/base"), f"config.json {away}"),
        Hostile("fusion", change(sound, fusion_config={"x": True}), f"config.json {away}"),
        Hostile("quantised", change(sound, quantization_config={"quant_method": "gptq"}), "quantised"),
    ]


def _configs_out_of_bounds(sound: Files) -> list[Hostile]:
    encoder = {"hidden_size": 16, "num_hidden_layers": 10**6}
    ones = {"conv_stride": [1] * 7}
    giant = {"hidden_size": 4096, "num_hidden_layers": 96, "intermediate_size": 32768, "num_attention_heads": 16}
    return [
        Hostile("layers", change(sound, num_hidden_layers=10**6), "a num_hidden_layers that no real model has"),
        Hostile("hidden-size", change(sound, hidden_size=10**9), "a hidden_size that no real model has"),
        Hostile("negative", change(sound, hidden_size=-16), "a hidden_size that no real model has"),
        Hostile("text-for-a-number", change(sound, hidden_size="16"), "a hidden_size that no real model has"),
        Hostile("truth-for-a-number", change(sound, num_hidden_layers=True), "a num_hidden_layers that no real"),
        Hostile("labels", change(sound, vocab_size=10**8), "a vocab_size that no real model has"),
        Hostile("convolutions", change(sound, conv_dim=[8] * 33, conv_kernel=[3] * 33, conv_stride=[2] * 33), "conv_"),
        Hostile("convolutions-uneven", change(sound, conv_dim=[8] * 3), "a conv_kernel that no real model has"),
        Hostile("stride-zero", change(sound, conv_stride=[0] * 7), "a conv_stride that no real model has"),
        Hostile("stride-one", change(sound, **ones), "does not tell how it listens"),
        Hostile("stride-endless", change(sound, conv_stride=[64] * 7), "does not tell how it listens"),
        Hostile("no-heads", change(sound, num_attention_heads=0), "does not describe a model"),
        Hostile("heads-that-do-not-divide", change(sound, num_attention_heads=3), "does not describe a model"),
        Hostile("groups-zero", change(sound, num_conv_pos_embedding_groups=0), "does not describe a model"),
        Hostile("dropout-of-2", change(sound, hidden_dropout=2.0), "does not describe a model"),
        Hostile("dropout-a-list", change(sound, hidden_dropout=[0.1]), "does not describe a model"),
        Hostile("giant", change(sound, **giant), "This model takes .* of memory"),
        Hostile("nested-layers", change(sound, encoder_config=encoder), "a num_hidden_layers that no real"),
        Hostile("other-number", change(sound, mask_time_length=2**40), "mask_time_length|number that no real"),
    ]


def _nested_configs(sound: Files) -> list[Hostile]:
    """Parakeet's sizes lie in a config of its own inside the config."""

    def parakeet(**values: Any) -> Files:
        config = {**TINY["parakeet_ctc"], "model_type": "parakeet_ctc"}
        config["encoder_config"] = {**config["encoder_config"], **values}
        return sound | {"config.json": json.dumps(config).encode()}

    listless = json.dumps({"model_type": "parakeet_ctc", "encoder_config": ["evil"]}).encode()
    return [
        Hostile("parakeet-layers", parakeet(num_hidden_layers=10**6), "a num_hidden_layers that no real model has"),
        Hostile("parakeet-positions", parakeet(max_position_embeddings=10**9), "a max_position_embeddings that no"),
        Hostile("parakeet-bins", parakeet(num_mel_bins=10**7), "a num_mel_bins that no real model has"),
        Hostile("parakeet-factor", parakeet(subsampling_factor=2**30), "a subsampling_factor that no real model has"),
        Hostile("parakeet-stride", parakeet(subsampling_conv_stride=0), "does not tell how it listens"),
        Hostile("parakeet-kernel", parakeet(_attn_implementation="evil/kernel"), "asks for code from the Hub"),
        Hostile("parakeet-code", parakeet(auto_map={"AutoConfig": "evil.Evil"}), "brings code of its own"),
        Hostile("parakeet-other-kind", parakeet(model_type="../evil"), "points to files outside the model"),
        Hostile("parakeet-no-heads", parakeet(num_attention_heads=0), "does not describe a model"),
        Hostile("parakeet-a-list", sound | {"config.json": listless}, "does not (tell|describe)"),
        Hostile("parakeet-of-other-weights", parakeet(), "lack parts that its config.json names"),
    ]


def _whisper_configs(sound: Files) -> list[Hostile]:
    """A Whisper encoder with a CTC head, whose sizes have other names."""

    def whisper(**values: Any) -> Files:
        config = {**TINY["whisper_ctc"], "model_type": "whisper_ctc", **values}
        return sound | {"config.json": json.dumps(config).encode()}

    giant = {"d_model": 4096, "encoder_layers": 96, "encoder_ffn_dim": 32768, "encoder_attention_heads": 16}
    none = "does not describe a model"
    return [
        Hostile("whisper-layers", whisper(encoder_layers=10**6), "a encoder_layers that no real model has"),
        Hostile("whisper-layers-negative", whisper(encoder_layers=-1), "a encoder_layers that no real model has"),
        Hostile("whisper-width", whisper(d_model=10**9), "a d_model that no real model has"),
        Hostile("whisper-width-odd", whisper(d_model=17, encoder_attention_heads=1), none),
        Hostile("whisper-no-heads", whisper(encoder_attention_heads=0), none),
        Hostile("whisper-heads-that-do-not-divide", whisper(encoder_attention_heads=3), none),
        Hostile("whisper-inner-of-text", whisper(encoder_ffn_dim="32"), "a encoder_ffn_dim that no real model has"),
        Hostile("whisper-positions", whisper(max_source_positions=10**9), "a max_source_positions that no real"),
        Hostile("whisper-positions-none", whisper(max_source_positions=0), none),
        Hostile("whisper-bins", whisper(num_mel_bins=10**7), "a num_mel_bins that no real model has"),
        Hostile("whisper-head-layers", whisper(head_layers=10**6), "a head_layers that no real model has"),
        Hostile("whisper-head-layers-negative", whisper(head_layers=-2), "a head_layers that no real model has"),
        Hostile("whisper-head-kernel-even", whisper(head_kernel=4), none),
        Hostile("whisper-head-kernel-zero", whisper(head_kernel=0), none),
        Hostile("whisper-head-kernel", whisper(head_kernel=10**6 + 1), "a head_kernel that no real model has"),
        Hostile("whisper-head-size", whisper(head_size=10**9), "a head_size that no real model has"),
        Hostile("whisper-head-size-zero", whisper(head_size=0), none),
        Hostile("whisper-dropout-of-2", whisper(head_dropout=2.0), none),
        Hostile("whisper-layerdrop-a-list", whisper(encoder_layerdrop=[0.1]), none),
        Hostile("whisper-activation-unknown", whisper(activation_function="os.system"), none),
        Hostile("whisper-giant", whisper(**giant), "This model takes .* of memory"),
        Hostile("whisper-code", whisper(auto_map={"AutoConfig": "evil.Evil"}), "brings code of its own"),
        Hostile("whisper-kernel", whisper(_attn_implementation="evil/kernel"), "asks for code from the Hub"),
        Hostile("whisper-of-other-weights", whisper(), "lack parts that its config.json names"),
        Hostile("whisper-without-labels", whisper(vocab_size=None), "lack parts that its config.json names"),
    ]


def _plain_whisper_configs() -> list[Hostile]:
    """A Whisper as a base, of which the decoder is left alone; to talk to one is in `hostile_decoders`."""
    plain = whisper_files()
    tensors = load(plain["model.safetensors"])
    odd = {f"model.decoder.layers.{number}.evil": torch.zeros(3) for number in range(9)}
    encoder = {name: tensor for name, tensor in tensors.items() if ".encoder." in name}
    renamed = {name.replace(".encoder.", ".decoder."): tensor for name, tensor in encoder.items()}

    def weights(state: dict[str, torch.Tensor]) -> Files:
        return plain | {"model.safetensors": save(state)}

    away = "points to files outside the model"
    sharded = whisper_files(sharded=True)
    index = "model.safetensors.index.json"
    where = json.loads(sharded[index])["weight_map"]
    every = {"weight_map": {name.replace(".encoder.", ".decoder."): file for name, file in where.items()}}
    return [
        Hostile("plain-whisper", plain, None, roles=(TRAIN,)),
        Hostile("plain-whisper-without-its-signs", plain, "with which tokens its texts begin", roles=(LISTEN,)),
        Hostile("plain-whisper-decoder-endless", change(plain, decoder_layers=10**6), None, roles=(TRAIN,)),
        Hostile("plain-whisper-decoder-odd", weights(encoder | odd), None, roles=(TRAIN,)),
        Hostile("plain-whisper-decoder-alone", weights(renamed), "lack parts that its config.json", roles=(TRAIN,)),
        Hostile("plain-whisper-tokens-no-json", plain | {"vocab.json": b"\x80\x04"}, None, roles=(TRAIN,)),
        Hostile("plain-whisper-other-size", change(plain, d_model=32), "of another size", roles=(TRAIN,)),
        Hostile("plain-whisper-more-layers", change(plain, encoder_layers=3), "lack parts", roles=(TRAIN,)),
        Hostile("plain-whisper-layers", change(plain, encoder_layers=-1), "a encoder_layers that no real model has"),
        Hostile("plain-whisper-spread", change(plain, init_std=-1.0), "a number that no real model has"),
        Hostile("plain-whisper-code", change(plain, auto_map={"AutoModel": "evil.Evil"}), "brings code of its own"),
        Hostile("plain-whisper-path", change(plain, vocab_file="/etc/passwd"), f"config.json {away}"),
        Hostile("plain-whisper-decoder-not-there", without(sharded, where["proj_out.weight"]), None, roles=(TRAIN,)),
        Hostile(
            "plain-whisper-shards-of-a-decoder",
            sharded | {index: json.dumps(every).encode()},
            "list of parts of .* is broken",
            roles=(TRAIN,),
        ),
    ]
