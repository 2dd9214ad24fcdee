"""How sound goes into each kind of model: its feature extractor, as the base was trained, and its processor's class."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import (
    ParakeetFeatureExtractor,
    ParakeetProcessor,
    ProcessorMixin,
    SeamlessM4TFeatureExtractor,
    SequenceFeatureExtractor,
    Wav2Vec2BertProcessor,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

from trainer.errors import UserError
from trainer.hub.reading import CONFIG_BYTES, read_json
from trainer.models.frames import HOP, WINDOW
from trainer.models.mctct import MCTCTFeatureExtractor
from trainer.speech.audio import SAMPLE_RATE

Values = dict[str, Any]

MS = SAMPLE_RATE // 1000  # samples a millisecond


@dataclass(frozen=True)
class Listener:
    """`extractor` makes one from config.json and the values saved of an extractor; `fixed` are those of the saved
    values on which `models.frames` counts."""

    extractor: Callable[[Values, Values], SequenceFeatureExtractor]
    processor: type[ProcessorMixin]
    fixed: dict[str, int]


def _samples(config: Values, saved: Values) -> SequenceFeatureExtractor:
    normalises = saved.get("do_normalize", True)  # the default of every published base
    return Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=SAMPLE_RATE, do_normalize=bool(normalises))


def _mctct(config: Values, saved: Values) -> SequenceFeatureExtractor:
    values: Values = {name: bool(saved.get(name, True)) for name in ("normalize_means", "normalize_vars")}
    for name in ("frame_signal_scale", "preemphasis_coeff", "mel_floor"):
        if _is_number(saved.get(name)):
            values[name] = saved[name]
    if saved.get("win_function") in ("hamming_window", "hann_window"):
        values["win_function"] = saved["win_function"]
    size = config.get("input_feat_per_channel", 80) * config.get("input_channels", 1)
    return MCTCTFeatureExtractor(feature_size=size, sampling_rate=SAMPLE_RATE, **values)


def _stacked(config: Values, saved: Values) -> SequenceFeatureExtractor:
    bins = config.get("feature_projection_input_dim", 160) // 2
    return SeamlessM4TFeatureExtractor(feature_size=bins, num_mel_bins=bins, sampling_rate=SAMPLE_RATE, stride=2)


def _parakeet(config: Values, saved: Values) -> SequenceFeatureExtractor:
    bins = (config.get("encoder_config") or {}).get("num_mel_bins", 80)
    emphasis = saved.get("preemphasis")
    given = {"preemphasis": emphasis} if _is_number(emphasis) else {}
    return ParakeetFeatureExtractor(feature_size=bins, sampling_rate=SAMPLE_RATE, **given)


LISTENERS = {
    "samples": Listener(_samples, Wav2Vec2Processor, {}),
    "mctct": Listener(_mctct, Wav2Vec2Processor, {"hop_length": HOP // MS, "win_length": WINDOW // MS}),
    "stacked": Listener(_stacked, Wav2Vec2BertProcessor, {"stride": 2}),
    "parakeet": Listener(_parakeet, ParakeetProcessor, {"hop_length": HOP, "win_length": WINDOW, "n_fft": 512}),
}


def read_saved(folder: Path) -> Values:
    """The values of the extractor saved beside a model, as Transformers 4 or 5 saves them; {} where there are none."""
    newer = _read(folder, "processor_config.json").get("feature_extractor")
    return _read(folder, "preprocessor_config.json") | (newer if isinstance(newer, dict) else {})


def _read(folder: Path, name: str) -> Values:
    return read_json(folder, name, CONFIG_BYTES) or {}  # both files are optional


def check_saved(saved: Values, fixed: dict[str, int]) -> None:
    """Raises UserError where a model was trained on sound cut in another way, or at another rate, than is done here."""
    for name, value in {"sampling_rate": SAMPLE_RATE, **fixed}.items():
        if saved.get(name, value) != value:
            raise UserError("This model cuts sound into pieces in a way I do not know.", "Choose another model.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
