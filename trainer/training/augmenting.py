"""Small changes to a clip, drawn anew each time it is heard, so that few clips go further."""

import numpy as np

SPEEDS = (0.9, 1.1)  # factor; beyond some 10 % a voice sounds unnatural
NOISE_DB = (12.0, 40.0)  # signal to noise ratio; below 10 dB words get lost


def augment(waveform: np.ndarray, shortest: int) -> np.ndarray:
    """Change speed (and with it pitch) and add noise; float32 in, float32 out, never under `shortest` samples.

    Draws from numpy's global generator, which the Trainer seeds and transformers' SpecAugment draws from too.
    """
    length = max(shortest, round(len(waveform) / np.random.uniform(*SPEEDS)))
    positions = np.linspace(0, len(waveform) - 1, length)
    # Linear interpolation: dull above 6 kHz, where telephone speech has nothing anyway, and fifty times faster.
    faster = np.interp(positions, np.arange(len(waveform)), waveform)
    level = np.sqrt(np.mean(np.square(faster)) + 1e-9)
    noise = np.random.standard_normal(length) * level * 10 ** (-np.random.uniform(*NOISE_DB) / 20)
    return (faster + noise).astype(np.float32)
