"""From a waveform to what M-CTC-T hears: log mel features, normalised clip by clip."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.audio_utils import mel_filter_bank, optimal_fft_length, window_function
from transformers.utils import logging

from trainer.models.frames import whole_windows

logger = logging.get_logger(__name__)
FRAMES_AT_ONCE = 2048  # some 20 MB of spectra: a recording of minutes shall not take hundreds
# Log units. A feature that varies less is the same in every frame, as in digital silence or in a single frame; dividing
# by 0 there would give NaN, which attention carries to every frame.
LEAST_DEVIATION = 1e-5


class MCTCTFeatureExtractor(SequenceFeatureExtractor):
    """Log mel features as Flashlight's MFSC: windows of 25 ms each 10 ms, magnitudes, natural logarithm.

    Parameters have the names and defaults of the published preprocessor_config.json. `hop_length` and `win_length`
    are milliseconds; `frame_signal_scale` brings samples in [-1, 1] to those of 16 bits, so that `mel_floor` is about
    the smallest sound that such a recording holds. Features are bit by bit those of Transformers 4.57.6, but for one
    without variance: it is 0, where there it was NaN.
    """

    model_input_names = ["input_features", "attention_mask"]  # noqa: RUF012  # as the base class has it

    def __init__(
        self,
        feature_size: int = 80,
        sampling_rate: int = 16000,
        padding_value: float = 0.0,
        hop_length: int = 10,
        win_length: int = 25,
        win_function: str = "hamming_window",
        frame_signal_scale: float = 32768.0,
        preemphasis_coeff: float = 0.97,
        mel_floor: float = 1.0,
        normalize_means: bool = True,
        normalize_vars: bool = True,
        return_attention_mask: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            feature_size=feature_size,
            sampling_rate=sampling_rate,
            padding_value=padding_value,
            return_attention_mask=return_attention_mask,
            **kwargs,
        )
        self.hop_length, self.win_length, self.win_function = hop_length, win_length, win_function
        self.frame_signal_scale, self.preemphasis_coeff = frame_signal_scale, preemphasis_coeff
        self.mel_floor, self.normalize_means, self.normalize_vars = mel_floor, normalize_means, normalize_vars
        # After super(), which sets these from a published file that lists them: they follow from the others.
        self.sample_size = win_length * sampling_rate // 1000
        self.sample_stride = hop_length * sampling_rate // 1000
        self.n_fft = optimal_fft_length(self.sample_size)
        self.n_freqs = self.n_fft // 2 + 1
        # Flashlight's Hamming window is symmetric; the others are taken as Transformers makes them.
        periodic = win_function != "hamming_window"
        self.window = window_function(self.sample_size, win_function, periodic=periodic)
        self.mel_filters = mel_filter_bank(
            num_frequency_bins=self.n_freqs,
            num_mel_filters=feature_size,
            min_frequency=0.0,
            max_frequency=sampling_rate / 2,
            sampling_rate=sampling_rate,
        )

    def frames(self, samples: int) -> int:
        """Feature frames for so many samples: whole windows only."""
        return whole_windows(samples, self.sample_size, self.sample_stride)

    def __call__(
        self,
        raw_speech: ArrayLike | Sequence[ArrayLike],
        padding: Any = False,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: Any = None,
        sampling_rate: int | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """One clip or several -> `input_features` (clips, frames, features) float32, `attention_mask` (clips, frames).

        `raw_speech` is mono: (samples,), (clips, samples) or a list of clips. Lengths count frames, not samples. Mean
        and variance are taken over a clip's own frames, after truncation. Without padding, clips of unlike length
        come as arrays of objects. The mask is left out only where `return_attention_mask` is False.

        Raises ValueError for another sampling rate, more than one channel, or a clip shorter than a window.
        """
        if sampling_rate is None:
            logger.warning_once(f"Pass sampling_rate: nothing else tells that this sound has {self.sampling_rate} Hz.")
        elif sampling_rate != self.sampling_rate:
            raise ValueError(f"This model hears sound at {self.sampling_rate} Hz, not at {sampling_rate} Hz.")
        lengths: dict[str, Any] = {"max_length": max_length, "pad_to_multiple_of": pad_to_multiple_of}
        features = []
        for clip in self._clips(raw_speech):
            cut = self._truncate({"input_features": self._log_mel(clip)}, truncation=truncation, **lengths)
            features.append(self._normalise(cut["input_features"]))
        return self.pad(
            BatchFeature({"input_features": features}),
            padding=padding,
            return_attention_mask=return_attention_mask is not False,
            return_tensors=return_tensors,
            **lengths,
        )

    def _clips(self, raw_speech: Any) -> list[np.ndarray]:
        several = isinstance(raw_speech, list | tuple) and len(raw_speech) > 0 and np.ndim(raw_speech[0]) > 0
        clips = [np.asarray(clip, np.float32) for clip in raw_speech] if several else np.asarray(raw_speech, np.float32)
        if isinstance(clips, np.ndarray):
            clips = [clips] if clips.ndim < 2 else list(clips)
        for clip in clips:
            if clip.ndim != 1:
                raise ValueError(f"Each clip must be mono, of shape (samples,), not {clip.shape}.")
            if len(clip) < self.sample_size:
                raise ValueError(
                    f"A clip must have {self.sample_size} samples ({self.win_length} ms) at least, not {len(clip)}."
                )
        return clips

    def _log_mel(self, clip: np.ndarray) -> np.ndarray:
        """(samples,) -> (frames, features), float32."""
        samples = clip.astype(np.float64) * self.frame_signal_scale
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.sample_size)[:: self.sample_stride]
        blocks = [
            self._mel(windows[start : start + FRAMES_AT_ONCE]) for start in range(0, len(windows), FRAMES_AT_ONCE)
        ]
        return np.log(np.concatenate(blocks)).astype(np.float32)

    def _mel(self, windows: np.ndarray) -> np.ndarray:
        # Each window is emphasised by itself; its first sample has only itself to be compared with.
        before = np.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
        emphasised = windows - self.preemphasis_coeff * before
        # Rounded here and after the logarithm, as Transformers' spectrogram is: the features are the same bit by bit.
        spectra = np.fft.rfft(emphasised * self.window, self.n_fft).astype(np.complex64)
        return np.maximum(np.abs(spectra, dtype=np.float64) @ self.mel_filters, self.mel_floor)

    def _normalise(self, features: np.ndarray) -> np.ndarray:
        """Each feature to mean 0 and variance 1 over the clip."""
        if self.normalize_means:
            features = features - features.mean(axis=0)
        if self.normalize_vars:
            deviation = features.std(axis=0)
            features = features / np.where(deviation > LEAST_DEVIATION, deviation, np.float32(1))
        return features
