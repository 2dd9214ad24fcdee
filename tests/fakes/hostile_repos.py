"""The hostile corpus: every repo of it, and those whose traps are left untouched while the model opens."""

import json
import pickle
from pathlib import Path

from tests.fakes.hostile_configs import hostile_configs
from tests.fakes.hostile_decoders import hostile_decoders
from tests.fakes.hostile_rows import Files, Hostile, Payload, change, sound_files
from tests.fakes.hostile_weights import hostile_weights


def hostile_repos(planted: Path, secret: Path) -> list[Hostile]:
    """All of them. `planted` is what an attack would write, `secret` what it would read."""
    sound = sound_files()
    return [
        *hostile_configs(sound, secret),
        *hostile_weights(sound, planted),
        *hostile_decoders(planted, secret),
        *_harmless(sound, planted, secret),
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
