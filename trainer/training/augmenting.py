"""Small changes to a clip, drawn anew each time it is heard, so that few clips go further."""

import librosa
import numpy as np

SPEEDS = (0.85, 1.2)  # factor; changes the pitch too, so that a few voices stand for more
TILTS = (-0.4, 0.4)  # of a first-order filter: duller or brighter, as telephones and rooms are
NOISE_DB = (12.0, 40.0)  # signal to noise ratio; below 10 dB words get lost


def augment(waveform: np.ndarray, shortest: int) -> np.ndarray:
    """Change speed (and with it pitch) and add noise; float32 in, float32 out, never under `shortest` samples.

    Draws from numpy's global generator, which the Trainer seeds and transformers' SpecAugment draws from too.
    """
    factor = min(np.random.uniform(*SPEEDS), len(waveform) / shortest)
    # soxr's quick kind: in a twentieth of its best kind's time, and telephone speech has no overtones to spoil.
    changed = librosa.resample(waveform, orig_sr=factor, target_sr=1.0, res_type="soxr_qq")
    changed[1:] += np.random.uniform(*TILTS) * changed[:-1]
    level = np.sqrt(np.mean(np.square(changed)) + 1e-9)
    noise = np.random.standard_normal(len(changed)) * level * 10 ** (-np.random.uniform(*NOISE_DB) / 20)
    return (changed + noise).astype(np.float32)
