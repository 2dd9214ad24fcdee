"""Folders on this computer that somebody may be sent: links that lead out, pipes, pickles."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.hostile_rows import Files, Payload, without

Build = Callable[[Path, Files, Path], None]  # a folder to make, a sound model's files, and the secret


@dataclass(frozen=True)
class HostileFolder:
    """A folder on this computer: somebody may be sent one."""

    name: str
    build: Build
    sentence: str


def hostile_folders() -> list[HostileFolder]:
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
