"""A clip as its source has it, before anything is decoded, and what was left out and why."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["", "train", "validation", "test"]  # "": the source does not say
# What no two splits share. "clip": recordings alone, as drawn here; "source": what the source's own split promises.
SplitBy = Literal["text and speaker", "text", "speaker", "clip", "source"]
_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "validate", "val", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


def split_named(name: str) -> Split | None:
    """The split that people call so, in any case: "Training", "dev", "eval"; "" of "", None of another word."""
    name = name.strip().casefold()
    return _SPLITS.get(name) if name else ""


@dataclass(frozen=True)
class RawClip:
    """One clip. `audio`: encoded bytes, or a file; None where there is no sound. `speaker` is None where unknown.

    `name` is relative to the source's folder. `place`: where the source lists it, "line 3 of t.csv".
    """

    name: str
    audio: bytes | Path | None
    text: str
    split: Split = ""
    speaker: str | None = None
    place: str = ""

    @property
    def where(self) -> str:
        """For people: “a.wav”, line 3 of t.csv."""
        return example(self.name, self.place)


class LeftOut(Counter[str]):
    """Counts what cannot be used by reason in plain words, with the first example of each."""

    def __init__(self, counts: Mapping[str, int] | Iterable[str] = ()) -> None:
        super().__init__(counts)
        self.examples: dict[str, str] = dict(counts.examples) if isinstance(counts, LeftOut) else {}

    def add(self, reason: str, example: str = "") -> None:
        """One more."""
        self[reason] += 1
        if example:
            self.examples.setdefault(reason, example)

    def say(self) -> str:
        """ "2 not found (such as “a.wav”, line 3 of t.csv), 1 too long"; "" of nothing."""
        return ", ".join(
            f"{count} {reason}" + (f" (such as {self.examples[reason]})" if reason in self.examples else "")
            for reason, count in self.most_common()
        )

    def say_examples(self) -> str:
        """ "not found “a.wav”, line 3 of t.csv; too long “b.wav”, line 5 of t.csv"; "" of none."""
        return "; ".join(f"{reason} {example}" for reason, example in self.examples.items())


def example(name: str, place: str) -> str:
    """A name in quotation marks and where it stands."""
    return ", ".join(filter(None, [f"“{printable(name)}”", place]))


def printable(text: str, most: int = 60) -> str:
    """What a stranger's file or name says, fit for a sentence: one line, not longer than `most`, valid UTF-8.

    Names on a disk need not be UTF-8: Python's stand-ins for such bytes cannot be printed.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
