"""A look at the data before it is learnt from: what the trainer would read, in words, with a few clips to play."""

import io
import random
from dataclasses import dataclass

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.clips import RawClip
from trainer.speech.locales import Locale
from trainer.speech.sources import PRACTICE_NOTE, TITLES, kind_of, open_source, practice_locales

SAMPLES = 3
SAMPLE_SECONDS = 15.0
MEASURED = 2_000  # clips whose headers are read; the length of more is estimated from as many


@dataclass(frozen=True)
class Sample:
    """A clip to play: its transcript and 16-bit WAV bytes, at most 15 s."""

    text: str
    wav: bytes


@dataclass(frozen=True)
class DataPreview:
    """What the page says of the data. `seconds` is None while it is not known.

    `note` is for above the page, `details` for beside the numbers: what was read, and what is left out.
    """

    title: str
    note: str
    clips: int
    seconds: float | None
    samples: list[Sample]
    details: tuple[str, ...] = ()


def glance(data: str, locale: Locale, settings: Settings) -> DataPreview:
    """What can be said at once, without a download. Raises UserError where there is no such data."""
    kind = kind_of(data, settings)
    if kind == "minds14":
        return DataPreview(TITLES[kind], "", locale.minds_clips, None, [])
    if kind == "practice" and locale.code not in practice_locales():
        open_source("practice", locale, settings)  # raises with the list of what there is
    return preview(data, locale, settings)


def preview(data: str, locale: Locale, settings: Settings) -> DataPreview:
    """The same with minutes and clips to play; MInDS-14 is downloaded for it once."""
    source = open_source(data, locale, settings)
    # Drawn, so that the samples are not three voices saying the first sentence of the list.
    drawn = random.Random(locale.code).sample(source.clips, min(len(source.clips), 4 * SAMPLES))
    samples: list[Sample] = []
    for clip in drawn:
        if len(samples) < SAMPLES and (sample := _sample(clip)):
            samples.append(sample)
    own = source.kind == "folder"
    note = PRACTICE_NOTE if source.kind == "practice" and data == "auto" else "" if own else source.note
    said = [source.note if own else "", f"Left out: {source.left_out.say()}." if source.left_out else ""]
    measured = random.Random(locale.code).sample(source.clips, min(len(source.clips), MEASURED))
    seconds = sum(map(_seconds, measured)) * len(source.clips) / max(1, len(measured))
    if len(measured) < len(source.clips):
        said.append(f"The length is estimated from {MEASURED:,} of them.")
    return DataPreview(source.title, note, len(source.clips), seconds, samples, tuple(filter(None, said)))


def _seconds(clip: RawClip) -> float:
    """From the file's header alone; 0 for what libsndfile cannot read."""
    import soundfile

    if clip.audio is None:
        return 0.0
    try:
        info = soundfile.info(io.BytesIO(clip.audio) if isinstance(clip.audio, bytes) else str(clip.audio))
    except soundfile.LibsndfileError:
        return 0.0
    return float(info.duration)


def _sample(clip: RawClip) -> Sample | None:
    """None for a clip that cannot be played: the preview shows what can."""
    from trainer.speech.audio import SAMPLE_RATE, load_audio, to_wav

    if clip.audio is None or not clip.text.strip():
        return None
    try:
        sound = load_audio(clip.audio)
    except UserError:
        return None
    return Sample(clip.text, to_wav(sound.samples[: int(SAMPLE_SECONDS * SAMPLE_RATE)]))
