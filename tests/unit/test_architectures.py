"""The architectures' table against the real models."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import ParakeetFeatureExtractor, SeamlessM4TFeatureExtractor

from tests.fakes.tiny_models import TINY, tiny_model
from trainer.models.architectures import ARCHITECTURES
from trainer.models.mctct import MCTCTFeatureExtractor

LENGTHS = (400, 719, 720, 1040, 3200, 4799, 8000, 8017, 12345, 16000, 24001, 32000)  # samples at 16 kHz
EXTRACTORS: dict[str, Any] = {
    "mctct": MCTCTFeatureExtractor,
    "wav2vec2-bert": lambda: SeamlessM4TFeatureExtractor(feature_size=80, stride=2),
    "parakeet_ctc": lambda: ParakeetFeatureExtractor(feature_size=80),
}


def test_there_is_a_tiny_model_a_row() -> None:
    assert set(TINY) == set(ARCHITECTURES)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_the_table_tells_the_model_s_frames(model_type: str) -> None:
    row, model = ARCHITECTURES[model_type], tiny_model(model_type)
    for samples in LENGTHS:
        if model_type.startswith("sew") and samples < 720:
            continue  # one frame: it pools two to one, and raises
        sound = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
        if row.input_name == "input_values":
            given = model(torch.from_numpy(sound)[None]).logits.shape[1]
        else:
            inputs = EXTRACTORS[model_type]()(sound, sampling_rate=16000, return_tensors="pt")
            lengths = inputs["attention_mask"].sum(-1)
            names = {"parakeet_ctc": "_get_subsampling_output_length"}
            measure: Any = getattr(model, names.get(model_type, "_get_feat_extract_output_lengths"))
            given = int(measure(lengths)[0])
        assert row.frames(model.config.to_dict(), samples) == given, samples


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_the_table_names_the_head_and_what_can_be_frozen(model_type: str) -> None:
    row, model = ARCHITECTURES[model_type], tiny_model(model_type)
    assert getattr(model, row.head).weight.shape[0] == 8
    assert hasattr(model, "freeze_feature_encoder") == row.freezes
    for key in (*row.dropouts, *row.zeroed):
        assert hasattr(model.config, key), key
    assert row.attention == (("eager", "sdpa") if model._supports_sdpa else ("eager",))
