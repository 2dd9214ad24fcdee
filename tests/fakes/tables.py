"""Folders of recordings as people have them: sounds beside a table, byte for byte as some program wrote it."""

from collections.abc import Iterable
from pathlib import Path

from tests.fakes.sounds import say, wav

SOUND = wav(say("hello"))


def folder_with(folder: Path, files: dict[str, bytes | str], sounds: Iterable[str] = ("a.wav", "b.wav")) -> Path:
    """`files` as they are (text in UTF-8), and a short sound under each name of `sounds`."""
    for name, content in {**files, **dict.fromkeys(sounds, SOUND)}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
