"""The architectures' table against the real models."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import ParakeetFeatureExtractor, SeamlessM4TFeatureExtractor

from tests.fakes.tiny_models import TINY, tiny_model
from trainer.models.architectures import ARCHITECTURES
from trainer.models.mctct import MCTCTFeatureExtractor
from trainer.models.whisper_ctc import WhisperCTCFeatureExtractor

LENGTHS = (400, 719, 720, 1040, 3200, 4799, 8000, 8017, 12345, 16000, 24001, 32000)  # samples at 16 kHz
EXTRACTORS: dict[str, Any] = {
    "mctct": MCTCTFeatureExtractor,
    "wav2vec2-bert": lambda: SeamlessM4TFeatureExtractor(feature_size=80, stride=2),
    "parakeet_ctc": lambda: ParakeetFeatureExtractor(feature_size=80),
    "whisper_ctc": WhisperCTCFeatureExtractor,
}


def test_there_is_a_tiny_model_a_row() -> None:
    assert set(TINY) == set(ARCHITECTURES)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_the_table_tells_the_model_s_frames(model_type: str) -> None:
    row, model = ARCHITECTURES[model_type], tiny_model(model_type)
    config = model.config.to_dict()
    for samples in LENGTHS:
        sound = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
        sound = sound[: row.kept(config, samples)]
        if not row.frames(config, samples) and row.input_name == "input_values":
            with pytest.raises(RuntimeError):
                model(torch.from_numpy(sound)[None])
            continue
        if row.input_name == "input_values":
            given = model(torch.from_numpy(sound)[None]).logits.shape[1]
        else:
            inputs = EXTRACTORS[model_type]()(sound, sampling_rate=16000, return_tensors="pt")
            lengths = inputs["attention_mask"].sum(-1)
            names = {"parakeet_ctc": "_get_subsampling_output_length"}
            measure: Any = getattr(model, names.get(model_type, "_get_feat_extract_output_lengths"))
            given = int(measure(lengths)[0])
        assert row.frames(config, samples) == given, samples


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_the_table_names_the_head_and_what_can_be_frozen(model_type: str) -> None:
    row, model = ARCHITECTURES[model_type], tiny_model(model_type)
    output: Any = model.get_submodule(row.output_layer)
    assert output.weight.shape[0] == len(output.bias) == 8
    assert row.output_layer.startswith(row.head)
    assert hasattr(model, "freeze_feature_encoder") == row.freezes
    config = getattr(model.config, row.part) if row.part else model.config
    for key in (*row.dropouts, *row.zeroed):
        assert hasattr(config, key), key
    assert hasattr(model.config, "mask_time_prob") == row.masks_time
    assert hasattr(model.config, "mask_feature_prob") == (row.masks_features or model_type == "wavlm")
    assert row.positions is None or hasattr(model.config, row.positions)
    assert row.attention == (("eager", "sdpa") if model._supports_sdpa else ("eager",))
