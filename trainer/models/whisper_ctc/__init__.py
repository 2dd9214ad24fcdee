"""Whisper's encoder (Radford et al. 2022, arXiv 2212.04356) with a CTC head in place of its decoder.

Weights have the names of Transformers' Whisper, so any of its checkpoints can be the body. After `register()` the Auto
classes know it as "whisper_ctc".
"""

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForCTC

from trainer.models.whisper_ctc.configuration_whisper_ctc import WhisperCTCConfig
from trainer.models.whisper_ctc.feature_extraction_whisper_ctc import WhisperCTCFeatureExtractor
from trainer.models.whisper_ctc.modeling_whisper_ctc import WhisperCTCModel, WhisperForCTC

__all__ = ["WhisperCTCConfig", "WhisperCTCFeatureExtractor", "WhisperCTCModel", "WhisperForCTC", "register"]


def register() -> None:
    """Tell the Auto classes. Doing it again changes nothing."""
    AutoConfig.register(WhisperCTCConfig.model_type, WhisperCTCConfig, exist_ok=True)
    AutoFeatureExtractor.register(WhisperCTCConfig, WhisperCTCFeatureExtractor, exist_ok=True)
    AutoModel.register(WhisperCTCConfig, WhisperCTCModel, exist_ok=True)
    AutoModelForCTC.register(WhisperCTCConfig, WhisperForCTC, exist_ok=True)
