"""From a source to what a model is trained and tested on: split, decoded, and with what cannot be used left out."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, AudioLimits, from_16_bit, load_audio, to_16_bit
from trainer.speech.locales import Locale
from trainer.speech.sources import RawClip, Source, Split
from trainer.speech.text import normalise, to_units

TEST_SHARE = 0.2  # as in the Transformers guide

# With fewer different texts than this (digits, commands) the words themselves are few: holding texts out would test
# words that were never heard. Then speakers are held out, or, where they are not known, clips.
FEWEST_TEXTS = 40


@dataclass(frozen=True)
class Example:
    """A clip ready to learn from. `samples` is mono 16-bit at 16 kHz (half the memory of float32)."""

    name: str
    samples: np.ndarray
    text: str  # the reference, normalised
    units: str  # one character a label: see `speech.text.to_units`

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.samples) / SAMPLE_RATE

    def waveform(self) -> np.ndarray:
        """float32 in [-1, 1]."""
        return from_16_bit(self.samples)


@dataclass(frozen=True)
class SpeechDataset:
    """Train and test examples of one locale; `left_out` counts the others by reason in plain words."""

    train: list[Example]
    test: list[Example]
    left_out: Counter[str]
    notes: list[str]


@dataclass(frozen=True)
class Splitting:
    """The clips of a source on their two sides; `note` says so where it was not by text."""

    train: list[RawClip]
    test: list[RawClip]
    note: str = ""


def choose(clips: Sequence[RawClip], count: int | None, order: str, seed: int) -> list[RawClip]:
    """At most `count` of the clips: the first ("source"), or drawn by the seed ("seeded")."""
    if count is None or count >= len(clips):
        return list(clips)
    if order == "source":
        return list(clips[:count])
    kept = set(random.Random(seed).sample(range(len(clips)), count))
    return [clip for number, clip in enumerate(clips) if number in kept]


def split_clips(clips: Sequence[RawClip], locale: Locale, seed: int) -> Splitting:
    """The source's own split where it has one, else 20 % for testing, with no text on both sides."""
    if any(clip.split == "test" for clip in clips):
        train = [clip for clip in clips if clip.split != "test"]
        return Splitting(train, [clip for clip in clips if clip.split == "test"])
    texts = [normalise(clip.text, locale) for clip in clips]
    if len(set(texts)) >= FEWEST_TEXTS or len(set(texts)) == len(clips):
        return Splitting(*_hold_out(clips, texts, seed))
    speakers = [clip.speaker or "" for clip in clips]
    if len(set(speakers)) >= 3 and "" not in speakers:
        note = "These clips repeat a few texts, so I test on speakers that are not trained on."
        return Splitting(*_hold_out(clips, speakers, seed), note)
    note = "These clips repeat a few texts, so the test has the same texts in other recordings."
    return Splitting(*_hold_out(clips, [str(number) for number in range(len(clips))], seed), note)


def _hold_out(clips: Sequence[RawClip], keys: Sequence[str], seed: int) -> tuple[list[RawClip], list[RawClip]]:
    """Hold out whole groups of equal keys, drawn by the seed, until they are 20 % of the clips."""
    sizes = Counter(keys)
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    held: set[str] = set()
    count = 0
    for key in order[:-1]:  # the last group always stays for training
        if count >= round(TEST_SHARE * len(clips)):
            break
        held.add(key)
        count += sizes[key]
    train = [clip for clip, key in zip(clips, keys, strict=True) if key not in held]
    return train, [clip for clip, key in zip(clips, keys, strict=True) if key in held]


def frames_needed(units: str) -> int:
    """The fewest CTC frames that can spell these labels: between two equal ones stands a blank."""
    return len(units) + sum(a == b for a, b in itertools.pairwise(units))


@dataclass(frozen=True)
class Preparation:
    """Turns raw clips into examples.

    `frames_of` gives the model's output frames for a number of samples. `on_progress` hears (done, total);
    `check` is called for every clip and may raise to stop.
    """

    locale: Locale
    case: str
    settings: Settings
    frames_of: Callable[[int], int]
    on_progress: Callable[[int, int], None] = lambda done, total: None
    check: Callable[[], None] = lambda: None

    def __call__(self, source: Source, splitting: Splitting) -> SpeechDataset:
        """Decode all clips. Raises UserError where nothing is left to train or test on."""
        left_out = Counter(source.left_out)
        total = len(splitting.train) + len(splitting.test)
        sides: dict[Split, list[Example]] = {"train": [], "test": []}
        done = 0
        sides_of_clips: tuple[tuple[Split, list[RawClip]], ...] = (
            ("train", splitting.train),
            ("test", splitting.test),
        )
        for side, clips in sides_of_clips:
            for clip in clips:
                self.check()
                example = self._example(clip)
                if isinstance(example, str):
                    left_out[example] += 1
                else:
                    sides[side].append(example)
                done += 1
                self.on_progress(done, total)
        for side, few in (("train", "to train on"), ("test", "to test on")):
            if not sides[side]:
                raise UserError(
                    f"No clips are left {few}: {_say(left_out) or 'there were none'}.",
                    "Use more clips, or look at the recordings.",
                )
        return SpeechDataset(sides["train"], sides["test"], left_out, [splitting.note] if splitting.note else [])

    def _example(self, clip: RawClip) -> "Example | str":
        """The example, or the reason in plain words why it cannot be one."""
        text = normalise(clip.text, self.locale, "upper" if self.case == "upper" else "lower")
        if not text:
            return "without a transcript"
        if clip.audio is None:
            return "without sound"
        try:
            # One second more than allowed, so that a clip that is too long is known from one that is broken.
            sound = load_audio(clip.audio, AudioLimits(seconds=self.settings.max_clip_seconds + 1))
        except UserError as error:
            return "too long" if "long" in error.what else "unreadable"
        if sound.seconds > self.settings.max_clip_seconds:
            return "too long"
        units = to_units(text, self.locale)
        if self.frames_of(len(sound.samples)) < frames_needed(units):
            return "too short for their text"
        return Example(clip.name, to_16_bit(sound.samples), text, units)


def _say(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
