"""What lies between a mouth and a recording: rooms, noise, levels, and mostly a telephone line.

Every step is drawn at random for each utterance, so that no two sound alike; none moves speech in time.
"""

import av
import numpy as np
import soxr
from scipy.fft import irfft, next_fast_len, rfft  # type: ignore[import-untyped]
from scipy.signal import butter, lfilter, oaconvolve  # type: ignore[import-untyped]

RATE = 16_000  # Hz, what the model hears
LINE_RATE = 8_000  # Hz, a telephone line and MInDS-14
CODEC_SHARE = 0.4  # of what passes a line is also squeezed by a codec
LINE_SHARE = 0.7  # of utterances pass a telephone line; the others are what a microphone gives
MU = 255  # of mu-law
CODEC_FRAME_MS = 60  # the longest frame of Opus
DECODED_RATE = 48_000  # Hz, what Opus is decoded to

Random = np.random.Generator  # for short signatures


def record(samples: np.ndarray, rate: float, rng: Random) -> np.ndarray:
    """float32 mono at `rate` Hz in, the same speech at 16 kHz out: of zero mean and unit variance."""
    line = rng.random() < LINE_SHARE
    new_rate = LINE_RATE if line else RATE
    sound = soxr.resample(samples, rate, new_rate, quality="MQ")
    sound = coloured(sound, rng)
    if rng.random() < 0.5:
        sound = in_room(sound, new_rate, rng)
    sound /= np.abs(sound).max() + 1e-6
    if rng.random() < 0.9:
        sound = sound + noise_like(sound, rng.uniform(5, 40), rng)
    if rng.random() < 0.1:
        ceiling = rng.uniform(0.3, 0.8)
        sound = np.clip(sound, -ceiling, ceiling)
    if line:
        sound = soxr.resample(through_line(sound, rng), LINE_RATE, RATE, quality="MQ")
    return ((sound - sound.mean()) / (sound.std() + 1e-5)).astype(np.float32)


def coloured(sound: np.ndarray, rng: Random) -> np.ndarray:
    """What mouths, microphones and distances do to the balance of low and high: a random smooth equalizer."""
    size = next_fast_len(len(sound), real=True)
    spectrum = rfft(sound, size)
    knots = rng.normal(0, rng.uniform(0, 5), 7)  # dB, evenly spread from 0 Hz to half the rate
    decibels = np.interp(np.linspace(0, 6, len(spectrum)), np.arange(7), knots)
    return irfft(spectrum * 10 ** (decibels / 20).astype(np.float32), size)[: len(sound)]


def in_room(sound: np.ndarray, rate: int, rng: Random) -> np.ndarray:
    """Convolved with a short random room: the direct sound, then noise that dies away within 50 to 400 ms."""
    seconds = rng.uniform(0.05, 0.4)
    times = np.arange(int(seconds * rate), dtype=np.float32) / rate
    tail = rng.standard_normal(len(times), np.float32) * np.exp(-6.9 * times / seconds)  # -60 dB at its end
    tail *= rng.uniform(0.1, 0.9) / (np.linalg.norm(tail) + 1e-6)  # reverberant over direct sound
    tail[0] = 1
    return oaconvolve(sound, tail)[: len(sound)]


def noise_like(sound: np.ndarray, decibels: float, rng: Random) -> np.ndarray:
    """Noise between white and brown, `decibels` under the sound's mean power."""
    size = next_fast_len(len(sound), real=True)
    bins = size // 2 + 1
    spectrum = rng.standard_normal(2 * bins, np.float32).view(np.complex64)
    slope = np.maximum(np.arange(bins, dtype=np.float32), bins / 50) ** np.float32(-rng.uniform(0, 1))
    noise = irfft(spectrum * slope, size)[: len(sound)]
    wanted = np.sqrt(np.mean(sound**2)) * 10 ** (-decibels / 20)
    return noise * (wanted / (noise.std() + 1e-9))


def through_line(sound: np.ndarray, rng: Random) -> np.ndarray:
    """Often the low cut of a telephone (200 to 400 Hz), often mu-law's 256 steps, always some level."""
    sound = sound * (rng.uniform(0.1, 1) / (np.abs(sound).max() + 1e-6))
    if rng.random() < 0.6:
        sound = lfilter(*butter(2, rng.uniform(200, 400), "high", fs=LINE_RATE), sound).astype(np.float32)
    if rng.random() < 0.6:
        steps = np.round(np.sign(sound) * np.log1p(MU * np.abs(sound)) * (127 / np.log1p(MU)))
        sound = np.sign(steps) * np.expm1(np.abs(steps) * (np.log1p(MU) / 127)) / MU
    return through_codec(sound, rng) if rng.random() < CODEC_SHARE else sound


def through_codec(sound: np.ndarray, rng: Random) -> np.ndarray:
    """Opus at 6 to 16 kbit/s, as calls over the internet and the practice set have it."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = LINE_RATE, "mono", "s16"
    encoder.bit_rate = int(rng.integers(6_000, 16_000))
    encoder.options = {"application": "voip", "frame_duration": str(CODEC_FRAME_MS), "compression_level": "3"}
    decoder = av.CodecContext.create("opus", "r")
    size = LINE_RATE * CODEC_FRAME_MS // 1000
    padded = np.pad(np.clip(sound, -1, 1), (0, -len(sound) % size))
    pieces = [
        av.AudioFrame.from_ndarray(piece[np.newaxis], format="s16", layout="mono")
        for piece in (padded * 32767).astype(np.int16).reshape(-1, size)
    ]
    decoded: list[np.ndarray] = []
    for number, piece in enumerate([*pieces, None]):
        if piece is not None:
            piece.sample_rate, piece.pts = LINE_RATE, number * size
        for packet in encoder.encode(piece):
            decoder.extradata = decoder.extradata or encoder.extradata  # known once something was encoded
            decoded += [frame.to_ndarray()[0] for frame in decoder.decode(packet)]
    out = soxr.resample(np.concatenate(decoded), DECODED_RATE, LINE_RATE, quality="MQ")
    return out[: len(sound)].astype(np.float32)
