"""A config that would take all memory, run code or lead to files is refused before anything is built."""

from typing import Any

import pytest
from transformers import HubertConfig, SEWConfig, SEWDConfig, Wav2Vec2Config, Wav2Vec2ConformerConfig, WavLMConfig

from trainer.errors import UserError
from trainer.models.config_limits import check_limits


@pytest.mark.parametrize(
    "kind", [HubertConfig, SEWConfig, SEWDConfig, Wav2Vec2Config, Wav2Vec2ConformerConfig, WavLMConfig]
)
def test_a_real_config_passes(kind: Any) -> None:
    check_limits(kind().to_dict())


@pytest.mark.parametrize(
    "config",
    [
        {"auto_map": {"AutoConfig": "evil.Config"}},
        {"inner": {"auto_map": {}}},
        {"hidden_size": 10**9},
        {"hidden_size": -1},
        {"hidden_size": "768"},
        {"hidden_size": 768.0},
        {"hidden_size": True},
        {"hidden_size": [768]},
        {"num_hidden_layers": 10**6},
        {"vocab_size": 10**8},
        {"layerdrop": float("nan")},
        {"other": 10**12},
        {"conv_dim": [512] * 33},
        {"conv_dim": [10**6]},
        {"conv_kernel": [3, "3"]},
        {"conv_stride": []},
        {"conv_dim": [512], "conv_kernel": [3, 3], "conv_stride": [2]},
        {"encoder_config": {"num_hidden_layers": 10**6}},
        {"encoder_config": {"deeper": [{"hidden_size": 10**6}]}},
        {"initializer_range": -1.0},
        {"attn_implementation": "evil/kernel"},
        {"quantization_config": {"quant_method": "gptq"}},
        {"transformers_weights": "evil.bin"},
        {"tokenizer_file": "/etc/passwd"},
        {"tokenizer_file": "file:///etc/passwd"},
        {"tokenizer_file": "../secret"},
    ],
)
def test_a_hostile_config_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        check_limits(config)
    assert "etc" not in str(caught.value)
