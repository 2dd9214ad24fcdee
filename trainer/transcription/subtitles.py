"""What was heard as files that other programs open: plain text, subtitles, a table, JSON. A format is a row.

Subtitles follow the usual rules of broadcasters: two lines of 42 columns, 7 seconds at most, broken where the speaker
pauses, and never within a word. Chinese, Japanese and Korean characters take two columns.
"""

import dataclasses
import html
import json
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from trainer.models.decoding import Word, joined
from trainer.transcription.transcribe import Transcript

Format = Literal["txt", "srt", "vtt", "json", "tsv"]
LINE, LINES = 42, 2  # columns
LONGEST_CUE, SHORTEST_CUE = 7.0, 1.0  # seconds; nobody reads anything in less than one
CUE_PAUSE = 1.0  # seconds; after such a pause another sentence begins
PARAGRAPH_PAUSE = 1.5  # seconds
LEAST_PARAGRAPH, MOST_PARAGRAPH = 120, 600  # characters: shorter ones wait for more, longer ones are broken


@dataclass(frozen=True)
class Cue:
    """A subtitle: its lines, from `start` to `end` in seconds."""

    start: float
    end: float
    lines: tuple[str, ...]


def write(transcript: Transcript, kind: Format) -> str:
    """A transcript as a file of this format; it ends with a line's end."""
    return WRITERS[kind](transcript)


def paragraphs(transcript: Transcript) -> list[str]:
    """The text in paragraphs of readable size, which end where the speaker pauses; one, where no times are known."""
    if not transcript.words:
        return [transcript.text] if transcript.text else []
    return [_text(words) for words in paragraph_words(transcript.words)]


def paragraph_words(words: Sequence[Word]) -> list[list[Word]]:
    """The same paragraphs, each as its words; none is empty."""
    if not words:
        return []
    found: list[list[Word]] = [[]]
    for word in words:
        before = found[-1]
        paused = bool(before) and word.start - before[-1].end >= PARAGRAPH_PAUSE
        if paused and _letters(before) >= LEAST_PARAGRAPH:
            found.append([])
        found[-1].append(word)
    return [part for paragraph in found for part in _broken(paragraph)]


def cues(words: Sequence[Word]) -> list[Cue]:
    """The subtitles of a recording, in order; none overlaps the next."""
    groups: list[list[Word]] = []
    current: list[Word] = []
    for word in words:
        if current and word.start - current[-1].end >= CUE_PAUSE:
            groups.append(current)
            current = []
        while current and not _fits([*current, word]):
            size = _best_break(current)
            groups.append(current[:size])
            current = current[size:]
        current.append(word)
    if current:
        groups.append(current)
    starts = [group[0].start for group in groups[1:]]
    return [_cue(group, before) for group, before in zip(groups, [*starts, math.inf], strict=False)]


def _cue(words: Sequence[Word], before: float) -> Cue:
    """One subtitle, gone when the next one comes: `before`, in seconds."""
    start = words[0].start
    end = min(max(words[-1].end, start + SHORTEST_CUE), start + LONGEST_CUE, max(before, start + 0.001))
    return Cue(start, end, _lines(words))


def _broken(words: list[Word]) -> list[list[Word]]:
    """In pieces of at most `MOST_PARAGRAPH` characters, at the longest pauses."""
    if _letters(words) <= MOST_PARAGRAPH or len(words) < 2:
        return [words]
    # Not near an edge: a paragraph of two words helps nobody.
    inner = range(max(1, len(words) // 4), min(len(words) - 1, 3 * len(words) // 4) + 1)
    place = max(inner, key=lambda number: (words[number].start - words[number - 1].end, -number))
    return [*_broken(words[:place]), *_broken(words[place:])]


def _fits(words: Sequence[Word]) -> bool:
    """Whether they can be one subtitle: a single word always can."""
    if len(words) == 1:
        return True
    return words[-1].end - words[0].start <= LONGEST_CUE and all(_columns(line) <= LINE for line in _lines(words))


def _best_break(words: Sequence[Word]) -> int:
    """How many words of a full subtitle it keeps: up to the longest pause in its second half, else all."""
    later = range((len(words) + 1) // 2, len(words))
    pauses = {number: words[number].start - words[number - 1].end for number in later}
    if not pauses:
        return len(words)
    best = max(pauses, key=lambda number: (pauses[number], number))
    others = sorted(pauses.values())
    # A pause that is like all others says nothing of where a phrase ends.
    return best if pauses[best] >= 0.2 and pauses[best] >= 2 * others[len(others) // 2] else len(words)


def _lines(words: Sequence[Word]) -> tuple[str, ...]:
    """One line, or two as alike in length as the words allow, the first of them the shorter one where in doubt."""
    whole = _text(words)
    if _columns(whole) <= LINE or len(words) < 2:
        return (whole,)
    pairs = [(_text(words[:number]), _text(words[number:])) for number in range(1, len(words))]
    return min(pairs, key=lambda pair: (max(map(_columns, pair)), _columns(pair[0])))


def _columns(text: str) -> int:
    return sum(
        2 if unicodedata.east_asian_width(letter) in "WF" else 0 if unicodedata.combining(letter) else 1
        for letter in text
    )


def _text(words: Sequence[Word]) -> str:
    return joined([word.text for word in words])


def _letters(words: Sequence[Word]) -> int:
    return sum(len(word.text) + 1 for word in words)


def _clock(seconds: float, point: str) -> str:
    """ "01:02:03.456"."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"


def _txt(transcript: Transcript) -> str:
    return "\n\n".join(paragraphs(transcript)) + "\n"


def _srt(transcript: Transcript) -> str:
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n"
        for number, cue in enumerate(cues(transcript.words), start=1)
    ]
    return "\n".join(blocks)


def _vtt(transcript: Transcript) -> str:
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n" + html.escape("\n".join(cue.lines), quote=False) + "\n"
        for cue in cues(transcript.words)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _json(transcript: Transcript) -> str:
    return json.dumps(dataclasses.asdict(transcript), ensure_ascii=False, indent=2) + "\n"


def _tsv(transcript: Transcript) -> str:
    """A word a row: seconds, and the confidence from 0 to 1."""
    rows = [f"{word.start:.3f}\t{word.end:.3f}\t{word.confidence:.4f}\t{word.text}\n" for word in transcript.words]
    return "".join(["start\tend\tconfidence\tword\n", *rows])


WRITERS: dict[Format, Callable[[Transcript], str]] = {"txt": _txt, "srt": _srt, "vtt": _vtt, "json": _json, "tsv": _tsv}
