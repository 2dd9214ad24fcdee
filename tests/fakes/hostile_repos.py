"""Repos that are hostile or broken, one row each: its files, what is told of it, and the sentence that refuses it.

All begin as the same small model, which is sound. `PLANTED` is what an attack would write to, `SECRET` what it would
read; the test puts both somewhere before it builds the rows.
"""

import json
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from tests.fakes.models import save_tiny_base
from tests.fakes.tiny_models import TINY

Files = dict[str, bytes]
LISTEN, TRAIN = "listen", "train"  # a model to talk to, a base to fine-tune
BOTH = (LISTEN, TRAIN)
SHARD = "model-{:05}-of-00002.safetensors"
GIGABYTE = 10**9


@dataclass(frozen=True)
class Hostile:
    """`sentence` is a pattern of the refusal; None where the repo is to open, its traps untouched."""

    name: str
    files: Files | None  # None: there is no such model
    sentence: str | None
    roles: tuple[str, ...] = BOTH
    told: dict[str, Any] = field(default_factory=dict)  # what the Hub says of the repo, in place of what is so
    gated: bool = False


class Payload:
    """What unpickling would run."""

    def __init__(self, planted: Path) -> None:
        self.planted = planted

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {self.planted}",)


def sound_files() -> Files:
    """A model that opens in both roles."""
    with tempfile.TemporaryDirectory() as folder:
        base = save_tiny_base(Path(folder), vocab_size=6)
        files = {path.name: path.read_bytes() for path in base.iterdir() if path.name != "generation_config.json"}
    tokens = {"[PAD]": 0, "[UNK]": 1, "|": 2, "a": 3, "b": 4, "c": 5}
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "word_delimiter_token": "|"}
    return files | {
        "vocab.json": json.dumps(tokens).encode(),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "Wav2Vec2CTCTokenizer", **names}).encode(),
        "special_tokens_map.json": json.dumps(names).encode(),
        "preprocessor_config.json": json.dumps({"do_normalize": True, "sampling_rate": 16000}).encode(),
    }


def hostile_repos(planted: Path, secret: Path) -> list[Hostile]:
    """All of them."""
    sound = sound_files()
    return [
        *_not_to_be_had(sound),
        *_broken_configs(sound),
        *_configs_that_run_code(sound),
        *_configs_that_lead_away(sound, secret),
        *_configs_out_of_bounds(sound),
        *_nested_configs(sound),
        *_weights(sound, planted),
        *_shards(sound),
        *_vocabularies(sound),
        *_harmless(sound, planted, secret),
    ]


def change(sound: Files, file: str = "config.json", /, **values: Any) -> Files:
    """The model with values of a JSON file changed."""
    return sound | {file: json.dumps(json.loads(sound.get(file, b"{}")) | values).encode()}


def without(sound: Files, *names: str) -> Files:
    return {name: data for name, data in sound.items() if name not in names}


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
        Hostile("weights-of-7-gb", sound, "is too large: 7.0 GB to download", told={"siblings": huge}),
        Hostile("vocabulary-of-17-mb", sound, "vocab.json of .* is 17.8 MB, far more", told={"siblings": full}),
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
        Hostile("config-of-2-mb", config(b" " * 2**21), "config.json of .* is 2.1 MB, far more"),
        Hostile("config-empty", config(b""), "config.json is missing or broken"),
        Hostile("config-no-json", config(b"import os; os.system('id')"), "config.json is missing or broken"),
        Hostile("config-a-list", config(b"[1, 2]"), "config.json is missing or broken"),
        Hostile("config-a-link-in-git", config(b"/etc/passwd"), "config.json is missing or broken"),
        Hostile("config-bottomless", config(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "missing or broken|nested"),
        Hostile("config-deep", config(whole + b', "x": ' + b"[" * 20 + b"]" * 20 + b"}"), "nested deeper"),
        Hostile("config-nan", config(whole + b', "layerdrop": NaN}'), "config.json is missing or broken"),
        Hostile("config-infinite", config(whole + b', "layerdrop": 1e999}'), "number that no real model has"),
        Hostile("config-long-number", config(whole + b', "x": ' + b"9" * 9999 + b"}"), "missing or broken"),
        Hostile("config-not-utf-8", config(b'{"model_type": "\xff\xfe"}'), "config.json is missing or broken"),
        Hostile("config-utf-16", config(whole.decode().encode("utf-16")), "config.json is missing or broken"),
        Hostile("config-half-character", config(whole + b', "x": "\\ud800"}'), "config.json is missing or broken"),
        Hostile("kind-unknown", change(sound, model_type="whisper"), "of the kind “whisper”"),
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
        Hostile("index-broken", bare | {"model.safetensors.index.json": b"{"}, "index.json is missing or broken"),
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
    return [
        Hostile("letters-no-json", sound | {"vocab.json": b"\x80\x04"}, "vocab.json is missing or broken"),
        Hostile("letters-a-list", vocabulary(["a", "b"]), "vocab.json is missing or broken"),
        Hostile("letters-none", vocabulary({}), cannot),
        Hostile("letters-nested", vocabulary({"eng": pad}), cannot),
        Hostile("letters-negative", vocabulary(pad | {"a": -1}), cannot),
        Hostile("letters-far-out", vocabulary(pad | {"a": 2**40}), cannot),
        Hostile("letters-twice", vocabulary(pad | {"a": 1, "b": 1}), cannot),
        Hostile("letters-halves", vocabulary(pad | {"a": 0.5}), cannot),
        Hostile("letters-truths", vocabulary(pad | {"a": True}), cannot),
        Hostile("letters-no-blank", vocabulary({"a": 0, "b": 1}), "has no blank"),
        Hostile("letters-by-the-million", vocabulary({f"t{n}": n for n in range(200_000)}), "far larger|cannot read"),
        Hostile("letters-of-a-terminal", vocabulary(pad | {"\x1b]0;evil\x07": 1}), cannot),
        Hostile("letters-too-long", vocabulary(pad | {"a" * 10_000: 1}), cannot),
        Hostile("letters-half-character", sound | {"vocab.json": b'{"[PAD]": 0, "\\ud800": 1}'}, "missing or broken"),
        Hostile("letters-missing", without(sound, "vocab.json"), "only pretrained", roles=(LISTEN,)),
        Hostile("letters-beyond-head", vocabulary(pad | {"a": 99}), "do not belong together", roles=(LISTEN,)),
        Hostile(
            "tokenizer-bottomless",
            sound | {"tokenizer_config.json": b'{"a":' * 100_000},
            "tokenizer_config.json is missing or broken",
        ),
        Hostile("names-a-list", sound | {"special_tokens_map.json": b"[]"}, "special_tokens_map.json is missing"),
    ]


def _harmless(sound: Files, planted: Path, secret: Path) -> list[Hostile]:
    """What is left out or never looked at: the model opens, and its traps stay untouched."""
    evil = f"open({str(planted)!r}, 'w')".encode()
    beside = {
        "modeling_evil.py": evil,
        "__init__.py": evil,
        "pytorch_model.bin": pickle.dumps(Payload(planted)),
        "training_args.bin": pickle.dumps(Payload(planted)),
        "language_model/5gram.bin": b"\0" * 64,
        "alphabet.json": json.dumps({"labels": [str(secret)]}).encode(),
        "chat_template.jinja": b"{{ cycler.__init__.__globals__.os.system('id') }}",
        "adapter_config.json": json.dumps({"base_model_name_or_path": str(secret)}).encode(),
        "tokenizer.json": b"{}",
        "../../evil.safetensors": b"x",
        "/etc/evil.json": b"x",
    }
    notes = {"_name_or_path": str(secret), "name_or_path": str(secret)}
    ignored = {
        "tokenizer_class": "EvilTokenizer",
        "processor_class": "Wav2Vec2ProcessorWithLM",
        "torchscript": True,
        "target_lang": "eng",
        "torch_dtype": "float16",
        "per_layer_config": {"0": {"hidden_size": 4096}},
        "pruned_heads": {"0": [0]},
        "_attn_implementation": "flash_attention_2",
        "output_attentions": True,
        "architectures": ["EvilForCTC"],
    }
    return [
        Hostile("sound", sound, None),
        Hostile("sound-with-files-beside", sound | beside, None),
        Hostile("sound-with-notes", change(sound, **notes), None),
        Hostile("sound-with-ignored-values", change(sound, **ignored), None),
        Hostile(
            "sound-with-notes-of-tokenizer",
            change(sound, "tokenizer_config.json", special_tokens_map_file=str(secret), model_max_length=10**30),
            None,
        ),
    ]


Build = Callable[[Path, Files, Path], None]  # a folder to make, a sound model's files, and the secret


@dataclass(frozen=True)
class HostileFolder:
    """A folder on this computer: somebody may be sent one."""

    name: str
    build: Build
    sentence: str


def hostile_folders() -> list[HostileFolder]:
    import os

    def linked(name: str, target: Callable[[Path], Path] = lambda secret: secret) -> Build:
        def build(folder: Path, sound: Files, secret: Path) -> None:
            write(folder, without(sound, name))
            (folder / name).symlink_to(target(secret))

        return build

    def pipe(name: str) -> Build:
        def build(folder: Path, sound: Files, secret: Path) -> None:
            write(folder, without(sound, name))
            os.mkfifo(folder / name)

        return build

    def directory(folder: Path, sound: Files, secret: Path) -> None:
        write(folder, without(sound, "config.json"))
        (folder / "config.json").mkdir()

    def ring(folder: Path, sound: Files, secret: Path) -> None:
        write(folder, without(sound, "vocab.json"))
        (folder / "vocab.json").symlink_to(folder / "ring")
        (folder / "ring").symlink_to(folder / "vocab.json")

    def cache(folder: Path, sound: Files, secret: Path) -> None:
        """`folder` becomes a link to a snapshot in a cache whose weights lie outside its blobs."""
        snapshot = folder.with_name("models--evil--cache") / "snapshots" / ("a" * 40)
        write(snapshot, without(sound, "model.safetensors"))
        (snapshot.parent.parent / "blobs").mkdir()
        (snapshot / "model.safetensors").symlink_to(secret)
        folder.symlink_to(snapshot)

    def pickled(folder: Path, sound: Files, secret: Path) -> None:
        evil = pickle.dumps(Payload(secret.with_name("planted")))
        write(folder, without(sound, "model.safetensors") | {"pytorch_model.bin": evil})

    def shard(folder: Path, sound: Files, secret: Path) -> None:
        where = {"weight_map": {"a": "../secret"}}
        write(folder, without(sound, "model.safetensors"))
        (folder / "model.safetensors.index.json").write_text(json.dumps(where))

    out = "is a link that leads out of the model's folder"
    return [
        HostileFolder("config-linked", linked("config.json"), f"config.json {out}"),
        HostileFolder("weights-linked", linked("model.safetensors"), f"model.safetensors {out}"),
        HostileFolder("letters-linked", linked("vocab.json"), f"vocab.json {out}"),
        HostileFolder("names-linked", linked("tokenizer_config.json"), f"tokenizer_config.json {out}"),
        HostileFolder("linked-to-nowhere", linked("vocab.json", lambda s: s.with_name("gone")), f"vocab.json {out}"),
        HostileFolder("linked-to-a-device", linked("config.json", lambda s: Path("/dev/zero")), f"config.json {out}"),
        HostileFolder("links-in-a-ring", ring, f"vocab.json {out}"),
        HostileFolder("config-a-pipe", pipe("config.json"), "config.json is not a file"),
        HostileFolder("letters-a-pipe", pipe("vocab.json"), "vocab.json is not a file"),
        HostileFolder("extractor-a-pipe", pipe("preprocessor_config.json"), "preprocessor_config.json is not a file"),
        HostileFolder("weights-a-pipe", pipe("model.safetensors"), "model.safetensors is not a file"),
        HostileFolder("config-a-folder", directory, "config.json is not a file"),
        HostileFolder("cache-that-leads-out", cache, f"model.safetensors {out}"),
        HostileFolder("pickle", pickled, "can run hidden code"),
        HostileFolder("shard-above", shard, "list of parts of its weights is broken"),
    ]


def write(folder: Path, files: Files) -> None:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
