"""What was heard in the clips kept aside for the end, kept as a file, and which mistakes come again and again.

The file lies in a run's folder, which may be a stranger's: its size, its clips and their texts are bounded when it is
read. It is written after the model was judged, and a run is no worse where it could not be.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainer.speech.metrics import error_rates, marked_words

LARGEST_FILE = 2 * 2**20  # bytes; a sentence has some 100, so that there is room for all clips below
MOST_CLIPS = 500  # the first ones of more
LONGEST_TEXT = 2_000  # characters; a clip of half a minute has some 500

_Text = Annotated[str, Field(max_length=LONGEST_TEXT)]


class TestedClip(BaseModel):
    """One clip: its length in seconds, what was said, what is heard by sound alone, and with the words it knows.

    `with_words` is None where it knows none. All texts are normalised.
    """

    __test__ = False  # no test of pytest's
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    seconds: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    reference: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    by_sound: _Text
    with_words: _Text | None = None

    @property
    def heard(self) -> str:
        """What a person who talks to the model reads."""
        return self.by_sound if self.with_words is None else self.with_words


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    clips: Annotated[list[TestedClip], Field(max_length=MOST_CLIPS)]


@dataclass(frozen=True)
class Mistake:
    """A word or letter that was said, what was heard in its place ("" for nothing), and how often."""

    said: str
    heard: str
    times: int


@dataclass(frozen=True)
class LengthGroup:
    """Clips of at most or more than so many seconds, and their errors as a fraction."""

    clips: int
    rate: float


def write_tested(file: Path, clips: Sequence[TestedClip]) -> None:
    """Write at most MOST_CLIPS of them; the file appears whole. Raises OSError."""
    draft = file.with_suffix(".part")
    found = _File(clips=list(clips[:MOST_CLIPS]))
    draft.write_text(json.dumps(found.model_dump(), ensure_ascii=False), encoding="utf-8")
    draft.replace(file)


def read_tested(file: Path) -> list[TestedClip]:
    """The clips in their order; [] for a file that is missing, too large or not of this kind."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        return [] if len(content) > LARGEST_FILE else _File.model_validate_json(content).clips
    except (OSError, ValidationError, ValueError):
        return []


def common_mistakes(pairs: Sequence[tuple[str, str]], by_character: bool, most: int) -> list[Mistake]:
    """From (said, heard): what is replaced or left out most often, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    for said, heard in pairs:
        for piece in marked_words(said, heard, by_character):
            if piece.kind in ("wrong", "missing") and (piece.expected or "").strip():
                counts[piece.expected or "", piece.text if piece.kind == "wrong" else ""] += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Mistake(said, heard, times) for (said, heard), times in ranked[:most]]


def rate_of(clips: Sequence[TestedClip], by_character: bool) -> float:
    """Errors of all the clips together, as a fraction of what was said."""
    rates = error_rates([clip.reference for clip in clips], [clip.heard for clip in clips])
    return rates.cer if by_character else rates.wer


def worst_first(clips: Sequence[TestedClip], by_character: bool) -> list[tuple[TestedClip, float]]:
    """Each clip with its rate; equal ones stay in their order."""
    return sorted(((clip, rate_of([clip], by_character)) for clip in clips), key=lambda pair: -pair[1])


def by_length(clips: Sequence[TestedClip], by_character: bool) -> tuple[float, LengthGroup, LengthGroup] | None:
    """The middle length in seconds, and the clips up to it and beyond it; None where one side would be empty."""
    if not clips:
        return None
    middle = sorted(clip.seconds for clip in clips)[(len(clips) - 1) // 2]
    short = [clip for clip in clips if clip.seconds <= middle]
    long = [clip for clip in clips if clip.seconds > middle]
    if not long:
        return None
    groups = [LengthGroup(len(group), rate_of(group, by_character)) for group in (short, long)]
    return middle, groups[0], groups[1]
