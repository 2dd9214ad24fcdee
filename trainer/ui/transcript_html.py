"""What a transcript looks like: while it is waited for, as it comes, and when it is there."""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from trainer.formatting import duration, sound_length
from trainer.models.decoding import Word
from trainer.speech.text import is_han
from trainer.transcription.service import SoundError, Step, Waiting
from trainer.transcription.subtitles import Format, paragraph_words, paragraphs, write
from trainer.transcription.transcribe import Transcript
from trainer.transcription.turns import Progress
from trainer.ui.components import explain, note
from trainer.ui.newest import Failed, Stopped

NOTHING_YET = '<p class="transcript waiting">Your words will stand here.</p>'
LISTENING = "Listening … The first time, the model has to wake up."
FETCHING = "Fetching the model from the Hub. The first time, that may take minutes …"
INSTEAD = "I write down your newer recording, in place of the one before. "
NO_WORDS = "There was sound, but the model heard no words in it. Try to speak a little louder, or closer."
STOPPED = "Stopped. Nothing was written down yet."
MOST_SPELT = 400  # letters
LONG = 300  # letters; a text that is longer is read, not glanced at across a table
# Below this confidence a word is marked. Of the words that a model gets right few are, of its wrong ones many.
UNSURE = 0.5
SECONDS_BETWEEN_DRAWINGS = 1.0  # of a text that is being written
LETTERS_A_SECOND = 20_000  # of a long one, which is sent anew each time
FILES: dict[Format, str] = {"txt": "text", "srt": "SRT", "vtt": "WebVTT", "json": "JSON", "tsv": "table"}


def waiting_words(waiting: Waiting) -> str:
    """A sentence on what a recording waits for."""
    if not waiting.place:
        return FETCHING if waiting.what == "model" else LISTENING
    if waiting.what == "model":
        return f"Many models are being fetched from the Hub; yours comes after {waiting.place} …"
    others = "One other recording comes" if waiting.place == 1 else f"{waiting.place} other recordings come"
    return f"{others} before yours …"


def progress_words(progress: Progress) -> str:
    """How far it is, and how long it takes from now."""
    done = f"{_rounded(progress.seconds)} of {_rounded(progress.transcript.audio_seconds)}"
    return done if progress.left is None else f"{done} · about {duration(max(5, 5 * round(progress.left / 5)))} left"


def _rounded(seconds: float) -> str:
    return duration(60 * round(seconds / 60) if seconds >= 600 else seconds)


def waiting_html(text: str) -> str:
    """A sentence in the transcript's place, with a button to stop."""
    return (
        f'<p class="transcript waiting" data-say="{escape(text)}">{escape(text)}</p><p class="keep">{STOP_BUTTON}</p>'
    )


STOP_BUTTON = '<button type="button" class="copy" data-press="stop-hearing">Stop</button>'


def progress_html(progress: Progress, waits: str = "") -> str:
    """A long recording's words so far, below how far it is. `waits`: for what, just now."""
    done = round(100 * progress.seconds / max(progress.seconds, progress.transcript.audio_seconds))
    line = f"{progress_words(progress)}{' · ' if waits else ''}{waits}"
    return (
        f'<div class="hearing"><p class="hearing-line"><span>{escape(line)}</span> {STOP_BUTTON}</p>'
        f'<div class="bar" role="progressbar" aria-label="Written down" aria-valuenow="{done}">'
        f'<span style="width:{done}%"></span></div></div>'
        f'<div class="transcript long">{_plain(progress.transcript)}</div>'
        f'<p class="transcript-details">{escape(progress.transcript.model)} listens</p>'
    )


def comparing_html(name: str, step: Step) -> str:
    """How far the model of this name is with its half of a comparison."""
    return f'<p class="hearing-line"><span>{escape(f"{name}: {said_of(step)}")}</span> {STOP_BUTTON}</p>'


def said_of(step: Step | Failed | None) -> str:
    """How far it is, in a line."""
    match step:
        case Progress():
            return progress_words(step)
        case Waiting():
            return waiting_words(step)
        case _:
            return LISTENING


def transcript_html(heard: Transcript, stopped_at: float | None = None) -> str:
    """The words, with a button to copy them and links to save them, above a long text; below the words, small, how it
    went, and, folded, what was heard by its sound alone where words it knows or listens for have changed that.

    `stopped_at`: seconds of it that were heard before it was stopped.
    """
    took = f"{sound_length(heard.audio_seconds)} of sound · took {sound_length(heard.took_seconds)} · {heard.model}"
    if stopped_at is not None:
        took = f"Stopped after {sound_length(stopped_at)} of {took}"
    details = f'<p class="transcript-details">{escape(took)}</p>'
    if not heard.text.strip():
        return note(NO_WORDS) + details
    spelt = ""
    if heard.spelt not in ("", heard.text):
        shown = heard.spelt if len(heard.spelt) <= MOST_SPELT else f"{heard.spelt[:MOST_SPELT]} …"
        spelt = (
            f'<details class="transcript-spelt" id="spelt"><summary>By sound alone</summary>{escape(shown)}</details>'
        )
    long = len(heard.text) > LONG
    keep = (
        f'<p class="keep"><button type="button" class="copy" data-copy="transcript">Copy</button> {_links(heard)}</p>'
    )
    size = "transcript long" if long else "transcript"
    words = f'<div class="{size}" id="transcript" role="group" aria-label="What was heard">{_timed(heard)}</div>'
    told = f"{words}{spelt}{details}{_unsure_note(heard.words)}"
    return keep + told if long else told + keep


def _plain(heard: Transcript) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in paragraphs(heard))


def _timed(heard: Transcript) -> str:
    """Its paragraphs, each word with its times in seconds, for script.js."""
    if not heard.words:
        return _plain(heard)
    return "".join(f"<p>{_words(words)}</p>" for words in paragraph_words(heard.words)).replace(
        '<span class="word', '<span tabindex="0" class="word', 1
    )


def _words(words: Sequence[Word]) -> str:
    parts: list[str] = []
    before = ""
    for word in words:
        if before and not (is_han(before[-1]) or is_han(word.text)):
            parts.append(" ")
        before = word.text
        unsure = ' unsure" aria-description="unsure' if word.confidence < UNSURE else ""
        parts.append(f'<span class="word{unsure}" data-at="{word.start:g} {word.end:g}">{escape(word.text)}</span>')
    return "".join(parts)


def _unsure_note(words: Sequence[Word]) -> str:
    count = sum(word.confidence < UNSURE for word in words)
    if not count:
        return ""
    what, them = ("One word is", "it") if count == 1 else (f"{count} words are", "them")
    return f'<p class="unsure-note">{what} underlined: the model was not sure of {them}.</p>'


def _links(heard: Transcript) -> str:
    """The text as files, each in its link: nothing of it stays on the server."""
    links = []
    for kind, label in FILES.items():
        data = base64.b64encode(write(heard, kind).encode()).decode()
        links.append(
            f'<a download="transcript.{kind}" href="data:application/octet-stream;base64,{data}" '
            f'aria-label="Save as {label}">{label}</a>'
        )
    return f"Save as {' '.join(links)}"


@dataclass
class Screen:
    """What stands where the text will, step by step. `before` stands before each sentence on what is waited for."""

    before: str = ""
    last: Progress | None = None
    drawn: float = field(default=0.0)  # when, by the monotonic clock

    def show(self, step: Step | Failed | Stopped | None) -> str:
        """The HTML that takes the place of what stands there; "" where that may stay."""
        match step:
            case None:
                return ""
            case Waiting() if self.last:
                return progress_html(self.last, waiting_words(step)) if step.place else ""
            case Waiting():
                return waiting_html(self.before + waiting_words(step))
            case Progress():
                self.last = step
                return progress_html(step) if self._due(len(step.transcript.text)) else ""
            case Transcript():
                return transcript_html(step)
            case Failed():
                gone = " data-no-sound" if isinstance(step.error, SoundError) else ""
                return f"<div{gone}>{note(explain(step.error))}</div>"
            case Stopped():
                return transcript_html(self.last.transcript, self.last.seconds) if self.last else note(STOPPED, "quiet")

    def _due(self, letters: int) -> bool:
        now = time.monotonic()
        if now - self.drawn < max(SECONDS_BETWEEN_DRAWINGS, letters / LETTERS_A_SECOND):
            return False
        self.drawn = now
        return True
