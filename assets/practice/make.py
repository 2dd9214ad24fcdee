"""Renders the practice set: sentences/<locale>.tsv become telephone-like speech in MInDS-14's schema.

    python assets/practice/make.py            # all 14 locales
    python assets/practice/make.py en-US      # only some
    python assets/practice/make.py --validation  # which clips of the training files are kept to validate on

Invariant: the same sentences, synthesizers and packages give the same Parquet files bit for bit. All that is
random is drawn from a seed made of the locale, the sentence and the voice; the Ogg writer runs in its bit-exact
mode, because others (libsndfile) put a random serial number into each file.

Needs, beyond requirements.txt, two Debian packages: espeak-ng and flite (see README.md for the versions used).
"""

import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from datasets import Audio, ClassLabel, Dataset, Features, Value
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt  # type: ignore[import-untyped]

HERE = Path(__file__).resolve().parent
RATE = 8_000  # Hz, as MInDS-14
BIT_RATE = 8_500  # bit/s: the 14 locales together have to stay under 12 MB
FRAME_MS = 60  # the longest Opus frame there is: least overhead
BAND_HZ = (300, 3400)  # what a telephone line lets through

TRAIN_VOICES = ("default", "f1", "f2", "f3", "f5", "m1", "m2", "m3", "m4")  # espeak-ng variants
TEST_VOICES = ("f4", "m7")
VOICE_OFFSETS = (0, 2, 5)  # sentence i is spoken by voices i, i+2 and i+5: all voices get equally much to say
EXTRA_TEST = 3  # held out beyond one sentence of each intent, so 17 of 84
VALIDATION = 7  # of the other sentences, three clips each, are kept to watch a training and choose its model by

INTENTS = (
    *("abroad", "address", "app_error", "atm_limit", "balance", "business_loan", "card_issues", "cash_deposit"),
    *("direct_debit", "freeze", "high_value_payment", "joint_account", "latest_transactions", "pay_bill"),
)
ESPEAK_LANGUAGE = {
    **{"cs-CZ": "cs", "de-DE": "de", "en-AU": "en-gb-x-rp", "en-GB": "en-gb", "en-US": "en-us", "es-ES": "es"},
    **{"fr-FR": "fr-fr", "it-IT": "it", "ko-KR": "ko", "nl-NL": "nl", "pl-PL": "pl", "pt-PT": "pt", "ru-RU": "ru"},
    "zh-CN": "cmn-latn-pinyin",  # plain "cmn" reads its own pinyin as if it were English
}
FLITE_TRAIN = {"en-US": ("kal16", "awb", "rms"), "en-GB": ("awb",), "en-AU": ("awb",)}
# What espeak-ng misreads (银行 as yín xíng, 地址 as de zhǐ, 贷款 as dài kuǎn kuǎn), in characters of the same sound.
RESPELL = {"zh-CN": {"银行": "银航", "地址": "弟址", "贷款": "带款"}}

FEATURES = Features(
    {
        "path": Value("string"),
        "audio": Audio(sampling_rate=RATE),
        "transcription": Value("string"),
        "english_transcription": Value("string"),
        "intent_class": ClassLabel(names=list(INTENTS)),
        "lang_id": ClassLabel(names=sorted(ESPEAK_LANGUAGE)),
    }
)
Samples = NDArray[np.float64]  # mono, shape (n,)


@dataclass(frozen=True)
class Sentence:
    """One row of sentences/<locale>.tsv; `number` counts 1 to 6 within the intent."""

    locale: str
    intent: str
    number: int
    text: str
    english: str

    @property
    def words(self) -> set[str]:
        """What a learner has to know to write it down: words, or the characters of Chinese."""
        return set(re.findall(r"\w" if self.locale == "zh-CN" else r"[\w'’]+", self.text.lower()))


@dataclass(frozen=True)
class Clip:
    sentence: Sentence
    voice: str
    flite: bool = False

    @property
    def path(self) -> str:
        return f"{self.sentence.locale}~{self.sentence.intent.upper()}/{self.sentence.number}-{self.voice}.ogg"


def generator(*names: str) -> np.random.Generator:
    """Random numbers that depend on the names alone."""
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def read_sentences(locale: str) -> list[Sentence]:
    sentences: list[Sentence] = []
    counts: Counter[str] = Counter()
    with (HERE / "sentences" / f"{locale}.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            counts[row["intent"]] += 1
            sentences.append(Sentence(locale, row["intent"], counts[row["intent"]], row["text"], row["english"]))
    if set(counts) != set(INTENTS) or len({s.text for s in sentences}) != len(sentences):
        raise SystemExit(f"{locale}: an intent is missing or unknown, or a sentence occurs twice")
    return sentences


def hold_out(sentences: list[Sentence]) -> list[Sentence]:
    """The test sentences: one of each intent and a few more, drawn in a seeded order.

    The first in that order with the fewest words that no training sentence would have: the test asks for unseen
    sentences, in voices never heard, rather than for the spelling of words never seen.
    """
    order = [sentences[i] for i in generator(sentences[0].locale, "test").permutation(len(sentences))]
    known = Counter(word for sentence in sentences for word in sentence.words)
    held: list[Sentence] = []
    for intent in (*INTENTS, *[None] * EXTRA_TEST):
        candidates = [s for s in order if s not in held and intent in (s.intent, None)]
        # Also words that an earlier test sentence needs must stay in training: count them over all of `held`.
        chosen = min(candidates, key=lambda s: sum(known[w] - (w in s.words) == 0 for t in (*held, s) for w in t.words))
        held.append(chosen)
        known.subtract(chosen.words)
    return held


def validation(sentences: list[Sentence]) -> list[str]:
    """Which of the training file's sentences are kept to validate on: their clips' paths up to the voice.

    Chosen as `hold_out` chooses, so that both splits ask for the same, among those that espeak-ng alone says, as it
    says the test's. Their voices are heard in training; their texts are not.
    """
    voices: dict[Sentence, bool] = {}
    for clip in train_clips(sentences):
        voices[clip.sentence] = voices.get(clip.sentence, False) or clip.flite
    order = [sentences[i] for i in generator(sentences[0].locale, "validation").permutation(len(sentences))]
    known = Counter(word for sentence in sentences for word in sentence.words)
    held: list[Sentence] = []
    for _ in range(VALIDATION):
        taken = {s.intent for s in held}
        candidates = [s for s in order if not voices[s] and s.intent not in taken]
        chosen = min(candidates, key=lambda s: sum(known[w] - (w in s.words) == 0 for t in (*held, s) for w in t.words))
        held.append(chosen)
        known.subtract(chosen.words)
    return sorted(f"{s.locale}~{s.intent.upper()}/{s.number}" for s in held)


def train_clips(sentences: list[Sentence]) -> Iterable[Clip]:
    flite = FLITE_TRAIN.get(sentences[0].locale, ())
    voices = (*TRAIN_VOICES, *flite)
    for i, sentence in enumerate(sentences):
        for voice in (voices[(i + offset) % len(voices)] for offset in VOICE_OFFSETS):
            yield Clip(sentence, voice, voice in flite)


def test_clips(sentences: list[Sentence]) -> Iterable[Clip]:
    return [Clip(sentence, voice) for sentence in sentences for voice in TEST_VOICES]


def speak(clip: Clip, rng: np.random.Generator) -> tuple[Samples, int]:
    """Clean speech and its sample rate, at a rate and pitch of the clip's own, silence at both ends cut off."""
    locale, text = clip.sentence.locale, clip.sentence.text
    for written, spoken in RESPELL.get(locale, {}).items():
        text = text.replace(written, spoken)
    words_a_minute, pitch = int(rng.integers(130, 191)), int(rng.integers(30, 71))
    if clip.flite:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            stretch = f"duration_stretch={160 / words_a_minute:.2f}"
            subprocess.run(["flite", "-voice", clip.voice, "--setf", stretch, "-t", text, "-o", file.name], check=True)
            wav = Path(file.name).read_bytes()
    else:
        voice = ESPEAK_LANGUAGE[locale] + ("" if clip.voice == "default" else f"+{clip.voice}")
        command = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "-p", str(pitch), "-b", "1", "--stdout"]
        wav = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    # Both write 44 bytes of header, espeak-ng's with a length that wave.open() refuses: it does not seek back.
    samples = np.frombuffer(wav[44:], dtype="<i2") / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.003)
    return samples[loud[0] : loud[-1] + 1], int.from_bytes(wav[24:28], "little")


def telephone(speech: Samples, rate: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """What arrives at the bank: a room, a handset, a band of 300 to 3400 Hz, line noise, a level, mu-law."""
    pauses = (np.zeros(int(rate * seconds)) for seconds in rng.uniform(0.1, 0.3, size=2))
    speech = np.concatenate([next(pauses), speech, next(pauses)])

    echo_seconds, direct_to_echo_db = rng.uniform(0.08, 0.35), rng.uniform(6, 18)
    times = np.arange(int(rate * echo_seconds)) / rate
    echo = rng.standard_normal(len(times)) * 10 ** (-3 * times / echo_seconds)  # falls by 60 dB
    echo *= 10 ** (-direct_to_echo_db / 20) / np.sqrt(np.sum(echo**2))
    speech = speech + fftconvolve(speech, echo)[: len(speech)]

    band = butter(4, BAND_HZ, "bandpass", fs=rate, output="sos")
    handset_tilt, noise_colour = rng.uniform(-0.3, 0.3), rng.uniform(-0.9, 0.3)
    speech = sosfilt(band, lfilter([1, handset_tilt], [1], speech))
    noise = sosfilt(band, lfilter([1], [1, noise_colour], rng.standard_normal(len(speech))))
    speech, noise = resample_poly(speech, RATE, rate), resample_poly(noise, RATE, rate)

    snr_db, level_db = rng.uniform(12, 40), rng.uniform(-30, -18)  # level: RMS below full scale
    speech = speech + noise * np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    speech *= 10 ** (level_db / 20) / np.sqrt(np.mean(speech**2))
    speech *= min(1.0, 0.8 / np.abs(speech).max())

    mu = 255
    compressed = np.round(np.sign(speech) * np.log1p(mu * np.abs(speech)) / np.log1p(mu) * 127) / 127
    speech = np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(mu)) / mu
    return np.round(speech * 32767).astype(np.int16)


def ogg_opus(samples: NDArray[np.int16]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        options = {"application": "voip", "frame_duration": str(FRAME_MS), "flags": "+bitexact"}
        stream: Any = container.add_stream("libopus", rate=RATE, layout="mono", options=options)
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return buffer.getvalue()


def row(clip: Clip) -> dict[str, Any]:
    sentence = clip.sentence
    rng = generator(sentence.locale, sentence.text, clip.voice)
    return {
        "path": clip.path,
        "audio": {"bytes": ogg_opus(telephone(*speak(clip, rng), rng)), "path": clip.path},
        "transcription": sentence.text,
        "english_transcription": sentence.english,
        "intent_class": INTENTS.index(sentence.intent),
        "lang_id": sorted(ESPEAK_LANGUAGE).index(sentence.locale),
    }


def write(clips: Iterable[Clip], file: Path) -> None:
    # datasets encodes an Audio column with torchcodec, which we do not depend on: so bytes first, then a cast.
    plain = Features({**FEATURES, "audio": {"bytes": Value("binary"), "path": Value("string")}})
    data = Dataset.from_list([row(clip) for clip in clips], features=plain).cast(FEATURES)
    file.parent.mkdir(exist_ok=True)
    data.to_parquet(file)
    print(f"{file.relative_to(HERE)}  {len(data)} clips  {hashlib.sha256(file.read_bytes()).hexdigest()}", flush=True)


def write_validation() -> None:
    """validation.txt: for all locales, a sentence a line."""
    lines: list[str] = []
    for locale in ESPEAK_LANGUAGE:
        sentences = read_sentences(locale)
        held = hold_out(sentences)
        lines += validation([s for s in sentences if s not in held])
    (HERE / "validation.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(locales: list[str]) -> None:
    write_validation()
    if locales == ["--validation"]:
        return
    for locale in locales or ESPEAK_LANGUAGE:
        sentences = read_sentences(locale)
        held = hold_out(sentences)
        write(train_clips([s for s in sentences if s not in held]), HERE / locale / "train-00000-of-00001.parquet")
        write(test_clips([s for s in sentences if s in held]), HERE / locale / "test-00000-of-00001.parquet")


if __name__ == "__main__":
    main(sys.argv[1:])
