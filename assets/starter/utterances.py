"""Endless labelled speech: random words in twelve languages, said by many voices, heard over many lines."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
import wordfreq
from torch.utils.data import IterableDataset

from assets.starter.telephone import RATE, Random, record
from assets.starter.voice import ESPEAK_RATE, Spoken, Voice

BLANK, UNKNOWN = 0, 1  # label ids; blank is also silence
IGNORED = -100
BATCH_SECONDS = 60
FRAME, FIRST_CENTRE = 320, 200  # samples at 16 kHz: a frame every 20 ms, each hears 25 ms

# wordfreq's language -> espeak-ng's voices. In espeak-ng 1.51 "cmn" reads most characters as English letters and
# digits ("qian two"); "cmn-latn-pinyin" reads the same characters as Mandarin.
LANGUAGES = {
    "cs": ("cs",),
    "de": ("de",),
    "en": ("en-us", "en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland", "en-029"),
    "es": ("es", "es-419"),
    "fr": ("fr", "fr-be", "fr-ch"),
    "it": ("it",),
    "ko": ("ko",),
    "nl": ("nl",),
    "pl": ("pl",),
    "pt": ("pt", "pt-br"),
    "ru": ("ru",),
    "zh": ("cmn-latn-pinyin",),
}
WORDS = 10_000  # most frequent of each language

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

Labelled = tuple[np.ndarray, np.ndarray, np.ndarray]  # samples, a label for each frame, the labels in order


@dataclass(frozen=True)
class Batch:
    """B utterances of like length, T samples, F frames, L phones; shorter ones are padded at their end."""

    sounds: torch.Tensor  # (B, T) float32, 16 kHz, zero mean and unit variance, padded with 0
    frames: torch.Tensor  # (B, F) int64, a label for each frame, padded with -100
    phones: torch.Tensor  # (B, L) int64, the utterance's labels in order, padded with -100

    @property
    def seconds(self) -> float:
        return self.sounds.numel() / RATE


class Utterances(IterableDataset):
    """`count` batches, or no end of them, each of about 60 s; equal seeds give equal batches."""

    def __init__(self, phones: list[str], voices: tuple[str, ...], seed: int, count: int | None = None) -> None:
        self.ids = {phone: i for i, phone in enumerate(phones)}
        self.voices, self.seed, self.count = voices, seed, count

    def __iter__(self) -> Iterator[Batch]:
        return islice(self._batches(), self.count)

    def _batches(self) -> Iterator[Batch]:
        speaker = Speaker(self.voices, self.seed)
        rng = np.random.default_rng(self.seed)
        while True:
            pool: list[Labelled] = []
            while sum(len(sound) for sound, _, _ in pool) < 8 * BATCH_SECONDS * RATE:
                pool.append(self._labelled(speaker.say(), rng))
            pool.sort(key=lambda labelled: len(labelled[0]))  # like lengths together: little padding
            batches = [*self._cut(pool)]
            for i in rng.permutation(len(batches)):
                yield Batch(*map(_stack, zip(*batches[i], strict=True), (0, IGNORED, IGNORED)))

    def _cut(self, pool: list[Labelled]) -> Iterator[list[Labelled]]:
        start = 0
        for end in range(1, len(pool) + 1):
            longest = len(pool[end][0]) if end < len(pool) else np.inf
            if (end + 1 - start) * longest > BATCH_SECONDS * RATE:
                yield pool[start:end]
                start = end

    def _labelled(self, spoken: Spoken, rng: Random) -> Labelled:
        """The utterance as recorded."""
        before, after = rng.uniform(0, 0.4, 2)  # seconds of the room alone
        silences = [np.zeros(int(s * ESPEAK_RATE), np.float32) for s in (before, after)]
        rate = ESPEAK_RATE * rng.uniform(0.9, 1.1)  # a longer or shorter vocal tract
        sound = record(np.concatenate([silences[0], spoken.samples, silences[1]]), rate, rng)
        labels = [self.ids.get(name, UNKNOWN) if name else BLANK for _, name in spoken.phones]
        starts = (np.array([time for time, _ in spoken.phones]) + before) * ESPEAK_RATE / rate * RATE
        centres = np.arange((len(sound) - 400) // FRAME + 1) * FRAME + FIRST_CENTRE
        frames = np.array([BLANK, *labels])[np.searchsorted(starts, centres, side="right")]
        return sound, frames, np.array([label for label in labels if label != BLANK])


class Speaker:
    """Says random sentences of 2 to 14 words; `voices` are espeak-ng's variants."""

    def __init__(self, voices: tuple[str, ...], seed: int) -> None:
        self.voice, self.voices = Voice(), voices
        self.rng = np.random.default_rng([seed, 1])
        self.words = {language: _words(language) for language in LANGUAGES}

    def say(self, language: str = "") -> Spoken:
        """One utterance in `language`, or in any; never one in which espeak-ng fell into another."""
        rng = self.rng
        while True:
            chosen = language or str(rng.choice([*LANGUAGES]))
            accent = str(rng.choice(LANGUAGES[chosen]))
            words = self.words[chosen]
            sentence = [words[i] for i in rng.integers(len(words), size=rng.integers(2, 15))]
            sentence = [self._number() if rng.random() < 0.04 else word for word in sentence]
            text = "".join(word + (", " if rng.random() < 0.1 else " ") for word in sentence)
            spoken = self.voice.say(
                text,
                accent,
                str(rng.choice(self.voices)),
                rate=int(rng.integers(110, 230)),
                pitch=int(rng.integers(10, 90)),
                range=int(rng.integers(20, 90)),
            )
            if spoken.phones and not _switched(spoken):
                return spoken
            for word in {*sentence} & {*words}:  # so that the same word does not spoil another sentence
                if _switched(self.voice.say(word, accent, "m1")):
                    words.remove(word)

    def _number(self) -> str:
        """Of one to four digits, each as likely."""
        return str(self.rng.integers(10 ** self.rng.integers(1, 5)))


def list_phones(seed: int = 0, utterances: int = 200, at_least: int = 20) -> list[str]:
    """Blank, unknown, then each phone heard `at_least` times in so many utterances of each language."""
    speaker = Speaker(SEEN, seed)
    heard: Counter[str] = Counter()
    for language in LANGUAGES:
        for _ in range(utterances):
            heard.update(name for _, name in speaker.say(language).phones)
    return ["<blank>", "<unk>", *sorted(name for name, count in heard.items() if name and count >= at_least)]


def _words(language: str) -> list[str]:
    words = [word for word in wordfreq.top_n_list(language, WORDS) if word.isalpha()]
    return [word for word in words if not word.isascii()] if language in {"ko", "ru", "zh"} else words


def _switched(spoken: Spoken) -> bool:
    """Whether espeak-ng read a part as another language: it marks that by "(en)" among the phones."""
    return any(name.startswith("(") for _, name in spoken.phones)


def _stack(rows: tuple[np.ndarray, ...], padding: float) -> torch.Tensor:
    tensors = [torch.from_numpy(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=padding)
