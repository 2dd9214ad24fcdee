"""What was heard, with the words that a person put right: who changes a word seldom changes when it was said.

Words that stay keep their times. Those that take the place of others share their time by their letters, and those that
are new share the pause that they are put into.
"""

import difflib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from trainer.models.decoding import Word
from trainer.speech.text import is_han
from trainer.transcription.transcribe import Transcript

SURE = 1.0  # of what a person wrote
_SHORTEST = 0.02  # seconds, of a word where there was no time for one: those after it wait


def corrected(heard: Transcript, text: str) -> Transcript:
    """The transcript with this text. Where no times were known there are none."""
    timed = _timed(heard.words, list(_words(text)), heard.audio_seconds) if heard.words else ()
    words = tuple(_in_order(timed))
    return replace(heard, text=" ".join(text.split()), words=words, model=f"{heard.model}, corrected", spelt="")


def _words(text: str) -> Iterator[str]:
    """Between spaces; each Han character is a word of its own, as it is in what models write."""
    for part in text.split():
        for han, letters in itertools.groupby(part, is_han):
            together = "".join(letters)
            yield from together if han else [together]


def _key(word: str) -> str:
    """What is the same word: capitals and punctuation are no other."""
    return "".join(letter for letter in word.casefold() if letter.isalnum()) or word


def _timed(heard: Sequence[Word], typed: Sequence[str], seconds: float) -> Iterator[Word]:
    matcher = difflib.SequenceMatcher(None, [_key(word.text) for word in heard], list(map(_key, typed)), autojunk=False)
    for kind, first, last, begin, end in matcher.get_opcodes():
        if kind == "equal":
            yield from (
                replace(word, text=text) for word, text in zip(heard[first:last], typed[begin:end], strict=True)
            )
        elif end > begin:
            start = heard[first].start if last > first else heard[first - 1].end if first else 0.0
            until = heard[last - 1].end if last > first else heard[last].start if last < len(heard) else seconds
            yield from _shared(typed[begin:end], start, max(until, start))


def _shared(words: Sequence[str], start: float, until: float) -> Iterator[Word]:
    """These words one after the other, in so much time."""
    letters = [0, *itertools.accumulate(max(1, len(word)) for word in words)]
    edges = [round(start + (until - start) * place / letters[-1], 3) for place in letters]
    yield from (Word(word, edges[number], edges[number + 1], SURE) for number, word in enumerate(words))


def _in_order(words: Iterable[Word]) -> Iterator[Word]:
    """Each at least so long, and none before the one before it."""
    end = 0.0
    for word in words:
        start = max(word.start, end)
        end = max(word.end, round(start + _SHORTEST, 3))
        yield replace(word, start=start, end=end)
