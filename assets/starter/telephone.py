"""What lies between a mouth and a recording: rooms, noise, levels, and mostly a telephone line.

Every step is drawn at random for each utterance, so that no two sound alike; none moves speech in time.
"""

import librosa
import numpy as np
from scipy.signal import butter, lfilter, oaconvolve  # type: ignore[import-untyped]

RATE = 16_000  # Hz, what the model hears
LINE_RATE = 8_000  # Hz, a telephone line and MInDS-14
LINE_SHARE = 0.7  # of utterances pass a telephone line; the others are what a microphone gives

Random = np.random.Generator  # for short signatures


def record(samples: np.ndarray, rate: float, rng: Random) -> np.ndarray:
    """float32 mono at `rate` Hz in, the same speech at 16 kHz out: of zero mean and unit variance."""
    line = rng.random() < LINE_SHARE
    new_rate = LINE_RATE if line else RATE
    sound = librosa.resample(samples, orig_sr=rate, target_sr=new_rate, res_type="soxr_mq")
    if rng.random() < 0.5:
        sound = in_room(sound, new_rate, rng)
    sound = lfilter([1, rng.uniform(-0.6, 0.4)], [1], sound)  # a microphone's tilt, bright or dull
    sound /= np.abs(sound).max() + 1e-6
    if rng.random() < 0.9:
        sound += noise_like(sound, rng.uniform(8, 40), rng)
    if rng.random() < 0.1:
        ceiling = rng.uniform(0.3, 0.8)
        sound = np.clip(sound, -ceiling, ceiling)
    if line:
        sound = through_line(sound, rng)
        sound = librosa.resample(sound, orig_sr=LINE_RATE, target_sr=RATE, res_type="soxr_mq")
    return ((sound - sound.mean()) / (sound.std() + 1e-5)).astype(np.float32)


def in_room(sound: np.ndarray, rate: int, rng: Random) -> np.ndarray:
    """Convolved with a short random room: the direct sound, then noise that dies away within 50 to 400 ms."""
    seconds = rng.uniform(0.05, 0.4)
    times = np.arange(int(seconds * rate)) / rate
    tail = rng.standard_normal(len(times)) * np.exp(-6.9 * times / seconds)  # -60 dB at its end
    tail *= rng.uniform(0.1, 0.9) / (np.linalg.norm(tail) + 1e-6)  # reverberant over direct sound
    tail[0] = 1
    return oaconvolve(sound, tail)[: len(sound)]


def noise_like(sound: np.ndarray, decibels: float, rng: Random) -> np.ndarray:
    """Noise between white and brown, `decibels` under the sound's mean power."""
    spectrum = np.fft.rfft(rng.standard_normal(len(sound)))
    spectrum /= np.maximum(np.arange(len(spectrum)), len(spectrum) / 100) ** rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, len(sound))
    wanted = np.sqrt(np.mean(sound**2)) * 10 ** (-decibels / 20)
    return noise * wanted / (noise.std() + 1e-9)


def through_line(sound: np.ndarray, rng: Random) -> np.ndarray:
    """Often the low cut of a telephone (200 to 400 Hz), often mu-law's 256 steps, always some level."""
    sound = sound * rng.uniform(0.1, 1) / (np.abs(sound).max() + 1e-6)
    if rng.random() < 0.6:
        sound = lfilter(*butter(2, rng.uniform(200, 400), "high", fs=LINE_RATE), sound)
    if rng.random() < 0.6:
        sound = librosa.mu_expand(librosa.mu_compress(np.clip(sound, -1, 1), mu=255), mu=255)
    return sound
