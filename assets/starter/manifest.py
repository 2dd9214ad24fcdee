"""Lists of utterances: who says what in which file, and whether it is learnt from or only validates.

A list is a TSV file of COLUMNS; sounds are FLAC files of 16 kHz, mono, 16 bits. A row is written as soon as its sound
is there, so that whoever makes them can be stopped at any time.
"""

import csv
import zlib
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import soundfile

from assets.starter.telephone import RATE


@dataclass(frozen=True)
class Utterance:
    """A row. `text` is normalised, `split` is train or val."""

    path: str
    language: str
    speaker: str
    split: str
    seconds: str
    text: str
    licence: str
    source: str


COLUMNS = tuple(field.name for field in fields(Utterance))


def is_held(text: str, one_in: int) -> bool:
    """Whether a normalised sentence is kept for validation: the same answer whoever says it."""
    return zlib.crc32(text.encode()) % one_in == 0


def trim(samples: np.ndarray, rate: int, margin: int = 3) -> np.ndarray:
    """Without the silence around, but for a margin, in 10 ms: the first or last sound may be a faint one."""
    window = rate // 100
    levels = np.abs(samples[: len(samples) // window * window].astype(np.float32)).reshape(-1, window).mean(axis=1)
    loud = np.flatnonzero(levels > 0.02 * levels.max(initial=0))
    return samples[max(0, loud[0] - margin) * window : (loud[-1] + 1 + margin) * window] if len(loud) else samples[:0]


class Manifest:
    """A list that grows; `folder` gets the sounds, under their languages."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        if not path.exists():
            self._write(COLUMNS)
        self.count = max((int(sound.stem) for sound in folder.rglob("*.flac")), default=0)

    def add(self, samples: np.ndarray, language: str, speaker: str, split: str, text: str, of: tuple[str, str]) -> None:
        """int16 samples at 16 kHz; `of` is their licence and their source."""
        self.count += 1
        path = self.folder / language / f"{self.count:06}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE)
        self._write(astuple(Utterance(str(path), language, speaker, split, f"{len(samples) / RATE:.2f}", text, *of)))

    def _write(self, row: tuple[str, ...]) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n").writerow(row)
