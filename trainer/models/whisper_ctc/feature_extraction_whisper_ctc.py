"""From a waveform to what Whisper hears, at the clip's own length."""

from typing import Any

from transformers import BatchFeature, WhisperFeatureExtractor


class WhisperCTCFeatureExtractor(WhisperFeatureExtractor):
    """Whisper's log mel features, which end where the clip does instead of at 30 seconds."""

    model_input_names = ["input_features", "attention_mask"]  # noqa: RUF012  # as the base class has it

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**({"return_attention_mask": True} | kwargs))

    def __call__(self, *args: Any, **kwargs: Any) -> BatchFeature:
        """One clip or several, mono float32 -> `input_features` (clips, mel bands, frames of 10 ms), `attention_mask`
        (clips, frames). Arguments are WhisperFeatureExtractor's.

        Clips of a batch are padded with silence to the longest, and the loudest moment, from which what is too quiet to
        be heard is counted, is each clip's own. The mask is left out only where `return_attention_mask` is False.
        """
        usual = {"padding": "longest", "truncation": False, "return_attention_mask": self.return_attention_mask}
        given = {name: value for name, value in kwargs.items() if value is not None}
        return super().__call__(*args, **(usual | given))
