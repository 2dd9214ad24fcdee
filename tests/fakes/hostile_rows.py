"""What a row of the hostile corpus is, and the sound model that each begins as."""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.models import save_tiny_base, save_tiny_whisper

Files = dict[str, bytes]
LISTEN, TRAIN = "listen", "train"  # a model to talk to, a base to fine-tune
BOTH = (LISTEN, TRAIN)


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


def whisper_files(sharded: bool = False) -> Files:
    """A plain Whisper, which opens as a base alone."""
    with tempfile.TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in save_tiny_whisper(Path(folder), sharded).iterdir()}


def change(sound: Files, file: str = "config.json", /, **values: Any) -> Files:
    """The model with values of a JSON file changed."""
    return sound | {file: json.dumps(json.loads(sound.get(file, b"{}")) | values).encode()}


def without(sound: Files, *names: str) -> Files:
    return {name: data for name, data in sound.items() if name not in names}
