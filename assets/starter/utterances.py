"""Endless labelled speech: sentences in twelve languages, said by many voices, heard over many lines."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset

from assets.starter.sentences import LANGUAGES, Language, draw_language, draw_sentence
from assets.starter.telephone import RATE, Random, record
from assets.starter.voice import ESPEAK_RATE, Spoken, Voice
from trainer.training.batching import GRID_RATIO

BLANK, UNKNOWN = 0, 1  # phone ids; blank is also silence. Among the letters 0 is the blank too
IGNORED = -100
BATCH_SECONDS = 60
FRAME, FIRST_CENTRE = 480, 345  # samples at 16 kHz: a frame every 30 ms, each hears 43 ms (make.py's convolutions)
# Batches have one of these lengths, in samples, for the reason that training.batching gives.
GRID = [int(RATE * GRID_RATIO**power) for power in range(24)]  # 1 to 13.6 s
OTHERS_SHARE = 0.12  # of utterances are by other synthesizers, where there are any

# espeak-ng's voice variants: those pretraining hears (libespeak-ng 1.51 crashes when Annie, Demonic or rob speak
# Mandarin at a low pitch),
SEEN_NAMES = """
    Alex Alicia Andrea Andy Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael
    Mike Nguyen RicishayMax RicishayMax2 RicishayMax3 Storm Tweaky adam anika announcer antonio aunty belinda
    benjamin boris caleb david ed edward edward2 f1 f3 f5 grandma grandpa gustave iven iven2 iven3 iven4 john
    kaukovalta klatt klatt2 klatt3 klatt4 klatt5 klatt6 linda m1 m2 m4 m5 m6 m8 marcelo max michel miguel
    norbert pablo paul pedro quincy robert sandro shelby steph steph2 steph3 travis victor whisper
    whisperf zac
"""
# and those it never does: f4 and m7 are the practice set's test voices, f2 and m3 measure phone errors.
RESERVED = ("f4", "m7")
UNSEEN = ("f2", "m3")
SEEN = tuple(SEEN_NAMES.split())
assert not set(SEEN) & {*RESERVED, *UNSEEN}


@dataclass(frozen=True)
class Labelled:
    """One utterance. `frames` is all -100 where nobody knows when each phone was said."""

    sound: np.ndarray  # (T,) float32, 16 kHz, zero mean and unit variance
    frames: np.ndarray  # (F,) a phone for each frame
    phones: np.ndarray  # (P,) the phones in order
    letters: np.ndarray  # (L,) the labels of the text


@dataclass(frozen=True)
class Batch:
    """B utterances of like length, T samples, F frames; shorter ones are padded at their end."""

    sounds: torch.Tensor  # (B, T) float32, padded with 0
    lengths: torch.Tensor  # (B,) samples of each
    frames: torch.Tensor  # (B, F) int64, padded with -100
    phones: torch.Tensor  # (B, P) int64, padded with -100
    letters: torch.Tensor  # (B, L) int64, padded with -100

    @property
    def seconds(self) -> float:
        return float(self.lengths.sum()) / RATE


@dataclass(frozen=True)
class Labels:
    """The names of all phones and of all letters; a name's place in its list is its id."""

    phones: list[str]
    letters: list[str]


class Utterances(IterableDataset):
    """`count` batches, or no end of them, each of about 60 s; equal seeds give equal batches.

    `others`: a folder made by `other_voices`, or None.
    """

    def __init__(
        self, labels: Labels, voices: tuple[str, ...], seed: int, count: int | None = None, others: Path | None = None
    ) -> None:
        self.phones = {name: i for i, name in enumerate(labels.phones)}
        self.letters = {name: i for i, name in enumerate(labels.letters)}
        self.voices, self.seed, self.count, self.others = voices, seed, count, others

    def __iter__(self) -> Iterator[Batch]:
        return islice(self._batches(), self.count)

    def _batches(self) -> Iterator[Batch]:
        speaker, others = Speaker(self.voices, self.seed), Others(self.others)
        rng = np.random.default_rng(self.seed)
        waiting: list[list[Labelled]] = [[] for _ in GRID]
        while True:
            by_others = bool(others.clips) and rng.random() < OTHERS_SHARE
            labelled = self._heard_others(others, speaker, rng) if by_others else self._heard(speaker, rng)
            place = int(np.searchsorted(GRID, len(labelled.sound)))
            if place == len(GRID) or len(labelled.frames) <= len(labelled.letters):
                continue
            alike = waiting[place]
            alike.append(labelled)
            if len(alike) == BATCH_SECONDS * RATE // GRID[place]:
                yield _stack(alike, GRID[place])
                waiting[place] = []

    def _heard(self, speaker: "Speaker", rng: Random) -> Labelled:
        """An utterance of espeak-ng's as recorded."""
        language, text, spoken = speaker.say()
        before, after = rng.uniform(0, 0.4, 2)  # seconds of the room alone
        silences = [np.zeros(int(s * ESPEAK_RATE), np.float32) for s in (before, after)]
        rate = ESPEAK_RATE * rng.uniform(0.87, 1.15)  # a longer or shorter vocal tract
        sound = record(np.concatenate([silences[0], spoken.samples, silences[1]]), rate, rng)
        phones = self._phone_ids(spoken)
        starts = (np.array([time for time, _ in spoken.phones]) + before) * ESPEAK_RATE / rate * RATE
        centres = np.arange((len(sound) - 2 * FIRST_CENTRE) // FRAME + 1) * FRAME + FIRST_CENTRE
        frames = np.array([BLANK, *phones])[np.searchsorted(starts, centres, side="right")]
        return Labelled(sound, frames, phones[phones != BLANK], self._letter_ids(language, text))

    def _heard_others(self, others: "Others", speaker: "Speaker", rng: Random) -> Labelled:
        """An utterance by another synthesizer, whose phones are taken from what espeak-ng would say."""
        language, text, samples = others.draw(rng)
        sound = record(samples, RATE * rng.uniform(0.87, 1.15), rng)
        phones = self._phone_ids(speaker.voice.say(text, language.accents[0], "m1"))
        frames = np.full((len(sound) - 2 * FIRST_CENTRE) // FRAME + 1, IGNORED)
        return Labelled(sound, frames, phones[phones != BLANK], self._letter_ids(language, text))

    def _phone_ids(self, spoken: Spoken) -> np.ndarray:
        return np.array([self.phones.get(name, UNKNOWN) if name else BLANK for _, name in spoken.phones])

    def _letter_ids(self, language: Language, text: str) -> np.ndarray:
        return np.array([self.letters[unit] for unit in language.units(text)])


class Speaker:
    """Says random sentences with espeak-ng; `voices` are its variants."""

    def __init__(self, voices: tuple[str, ...], seed: int) -> None:
        self.voice, self.voices = Voice(), voices
        self.rng = np.random.default_rng([seed, 1])

    def say(self, language: Language | None = None) -> tuple[Language, str, Spoken]:
        """A sentence and its sound, in `language` or in any; never one in which espeak-ng fell into another."""
        rng = self.rng
        while True:
            chosen = language or draw_language(rng)
            text = draw_sentence(chosen, rng)
            spoken = self.voice.say(
                chosen.spoken(text),
                str(rng.choice(chosen.accents)),
                str(rng.choice(self.voices)),
                rate=int(rng.integers(110, 230)),
                pitch=int(rng.integers(10, 90)),
                range=int(rng.integers(20, 90)),
            )
            # It marks another language by "(en)" among the phones.
            if spoken.phones and not any(name.startswith("(") for _, name in spoken.phones):
                return chosen, text, spoken


class Others:
    """What other synthesizers said, all in memory; empty without a folder."""

    def __init__(self, folder: Path | None) -> None:
        self.clips: list[tuple[Language, str, np.ndarray]] = []
        for file in sorted(folder.glob("*.npz")) if folder else ():
            language = LANGUAGES[file.stem.split("-")[0]]
            saved = np.load(file)
            clips = np.split(saved["samples"], saved["ends"][:-1])
            self.clips += [(language, str(text), clip) for text, clip in zip(saved["texts"], clips, strict=True)]

    def draw(self, rng: Random) -> tuple[Language, str, np.ndarray]:
        """Language, text and float32 samples at 16 kHz."""
        language, text, samples = self.clips[rng.integers(len(self.clips))]
        return language, text, samples.astype(np.float32) / 32_768


def list_phones(seed: int = 0, utterances: int = 200, at_least: int = 20) -> list[str]:
    """Blank, unknown, then each phone heard `at_least` times in so many utterances of each language."""
    speaker = Speaker(SEEN, seed)
    heard: Counter[str] = Counter()
    for language in LANGUAGES.values():
        for _ in range(utterances):
            heard.update(name for _, name in speaker.say(language)[2].phones)
    return ["<blank>", "<unk>", *sorted(name for name, count in heard.items() if name and count >= at_least)]


def _stack(rows: list[Labelled], samples: int) -> Batch:
    def pad(arrays: list[np.ndarray], padding: float) -> torch.Tensor:
        tensors = [torch.from_numpy(array) for array in arrays]
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=padding)

    sounds = torch.zeros(len(rows), samples)
    for row, place in zip(rows, sounds, strict=True):
        place[: len(row.sound)] = torch.from_numpy(row.sound)
    frames = torch.full((len(rows), (samples - 2 * FIRST_CENTRE) // FRAME + 1), IGNORED)
    for row, place in zip(rows, frames, strict=True):
        place[: len(row.frames)] = torch.from_numpy(row.frames)
    return Batch(
        sounds,
        torch.tensor([len(row.sound) for row in rows]),
        frames,
        pad([row.phones for row in rows], IGNORED),
        pad([row.letters for row in rows], IGNORED),
    )
