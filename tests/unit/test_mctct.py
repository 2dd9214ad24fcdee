"""M-CTC-T beside what Transformers 4.57.6 recorded (tests/parity), saved and loaded."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForCTC, PreTrainedConfig

from tests.parity.mctct_cases import CASES, EVERY, RATE, draw_features, draw_labels, draw_waveform
from tests.parity.mctct_ours import CLOSE, apart, drawn_batch, drawn_model, facts, logits_of, recording
from trainer.models.mctct import MCTCTConfig, MCTCTFeatureExtractor, MCTCTForCTC, register
from trainer.models.mctct.modeling_mctct import frames_after_convolutions

register()


@pytest.mark.parametrize("name", CASES)
def test_weights_have_the_names_and_shapes_of_the_original(name: str) -> None:
    ours = {key: list(value.shape) for key, value in drawn_model(name).state_dict().items()}
    assert ours == facts()["names"][name]


def test_the_published_model_has_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(facts()["config"]))
    config = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, MCTCTConfig)
    assert (config.num_hidden_layers, config.hidden_size, config.vocab_size) == (36, 1536, 8065)
    defaults = json.loads(MCTCTConfig().to_json_string(use_diff=False))
    own = {field.name for field in dataclasses.fields(MCTCTConfig)}
    own -= {field.name for field in dataclasses.fields(PreTrainedConfig)}
    for key in own - {name for name in own if name.startswith("mask_")}:  # SpecAugment is ours
        assert getattr(config, key) == facts()["config"][key], key
        assert defaults[key] == facts()["config"][key], key
    with torch.device("meta"):
        model = AutoModelForCTC.from_config(config)
    ours = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert ours == facts()["names"]["published"]
    assert sum(weight.numel() for weight in model.parameters()) == facts()["parameters"] == 1_058_978_691


@pytest.mark.parametrize("name", CASES)
def test_logits_without_a_mask_are_those_of_the_original(name: str) -> None:
    model, every = drawn_model(name), EVERY if name == "limit" else 1
    for frames in CASES[name].single:
        features = torch.from_numpy(draw_features(CASES[name].config, frames))[None]
        assert apart(logits_of(model, features)[:, ::every], f"{name}/single {frames}") < CLOSE
    logits = logits_of(model, drawn_batch(name)["input_features"])
    assert apart(logits[:, ::every], f"{name}/batch without mask") < CLOSE


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.masks])
def test_logits_with_a_mask_and_the_loss_are_those_of_the_original(name: str) -> None:
    model, batch, every = drawn_model(name), drawn_batch(name), EVERY if name == "limit" else 1
    logits = logits_of(model, batch["input_features"], batch["attention_mask"])
    assert apart(logits[:, ::every], f"{name}/batch") < CLOSE
    labels = torch.from_numpy(draw_labels(CASES[name].config, len(logits)))
    loss = model(**batch, labels=labels).loss
    assert float(loss.detach()) == pytest.approx(float(recording()[f"{name}/loss"][0]), rel=1e-5)


def test_from_sound_to_logits_and_what_lies_between() -> None:
    model = drawn_model("one_convolution")
    heard = MCTCTFeatureExtractor()(draw_waveform("clip"), sampling_rate=RATE, return_tensors="pt")
    assert apart(logits_of(model, heard["input_features"]), "one_convolution/heard") < CLOSE
    features = drawn_batch("one_convolution")["input_features"]
    with torch.inference_mode():
        outputs = model(features, output_hidden_states=True, output_attentions=True)
    assert len(outputs.hidden_states) == 3
    assert apart(outputs.hidden_states[0][0], "one_convolution/hidden 0") < CLOSE
    assert apart(outputs.hidden_states[1][0], "one_convolution/hidden 1") < CLOSE
    assert apart(outputs.attentions[1][0], "one_convolution/attention 1") < CLOSE


@pytest.mark.parametrize("name", CASES)
def test_frames_are_as_many_as_told(name: str) -> None:
    model = drawn_model(name)
    for frames in (1, 2, 3, 4, 11, 18, 19, 20, 50):
        told = frames_after_convolutions(model.config, frames)
        features = torch.from_numpy(draw_features(CASES[name].config, frames))[None]
        if told > 0:
            assert logits_of(model, features).shape[1] == told
        else:
            with pytest.raises(RuntimeError, match="Kernel size"):
                model(features)
    lengths = frames_after_convolutions(model.config, torch.tensor([0, 1, 12]))
    assert lengths.tolist() == [frames_after_convolutions(model.config, frames) for frames in (0, 1, 12)]


@pytest.mark.parametrize("name", CASES)
def test_a_mask_keeps_padding_from_a_clip(name: str) -> None:
    """As in the original, where the scale's offset is 0: else padding, which is put on before it, is no silence."""
    model, batch = drawn_model(name), drawn_batch(name)
    torch.nn.init.zeros_(model.mctct.encoder.layer_norm.singleton_bias)
    together = logits_of(model, batch["input_features"], batch["attention_mask"])
    for row, frames in enumerate(CASES[name].batch):
        alone = logits_of(model, batch["input_features"][row : row + 1, :frames])[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=0, atol=2e-5)


def test_several_convolutions_with_strides_have_a_mask_where_the_original_had_an_error() -> None:
    assert facts()["errors"].keys() == {"three_convolutions"}
    batch = drawn_batch("three_convolutions")
    labels = torch.from_numpy(draw_labels(CASES["three_convolutions"].config, 3))
    assert torch.isfinite(drawn_model("three_convolutions", ctc_zero_infinity=True)(**batch, labels=labels).loss)


def test_a_saved_model_and_extractor_come_back(tmp_path: Path) -> None:
    model = drawn_model("two_convolutions")
    model.save_pretrained(tmp_path)
    MCTCTFeatureExtractor(feature_size=10).save_pretrained(tmp_path)
    again = AutoModelForCTC.from_pretrained(tmp_path, layerdrop=0.0, hidden_dropout=0.1)
    assert isinstance(again, MCTCTForCTC)
    assert (again.config.layerdrop, again.config.hidden_dropout_prob) == (0.0, 0.1)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["MCTCTForCTC"]
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    features = drawn_batch("two_convolutions")["input_features"]
    assert torch.equal(logits_of(model, features), logits_of(again.eval(), features))
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert isinstance(extractor, MCTCTFeatureExtractor)
    assert extractor.feature_size == 10


def test_a_new_head_is_drawn_and_the_rest_kept(tmp_path: Path) -> None:
    model = drawn_model("one_convolution")
    model.save_pretrained(tmp_path)
    again, info = AutoModelForCTC.from_pretrained(
        tmp_path, vocab_size=7, ignore_mismatched_sizes=True, output_loading_info=True
    )
    assert {key[0] for key in info["mismatched_keys"]} == {"ctc_head.weight", "ctc_head.bias"}
    assert again.ctc_head.weight.shape == (7, 32)
    assert float(again.ctc_head.weight.detach().std()) == pytest.approx(0.02, rel=0.3)
    scale = again.mctct.encoder.layer_norm
    assert torch.equal(scale.singleton_bias, model.mctct.encoder.layer_norm.singleton_bias)


@pytest.mark.parametrize(
    "wrong",
    [
        {"conv_kernel": [7, 7]},
        {"attention_head_dim": 9},
        {"conv_glu_dim": 2},
        {"num_conv_layers": 2, "conv_kernel": [3, 3], "conv_stride": [1, 1]},
        {"num_conv_layers": 2, "conv_kernel": [3, 3], "conv_stride": [1, 1], "conv_channels": [8, 8]},
    ],
)
def test_numbers_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"kernels|heads|conv_"):
        MCTCTConfig(**{**CASES["one_convolution"].config, **wrong})


def test_a_label_outside_the_vocabulary_is_refused() -> None:
    model = drawn_model("one_convolution")
    with pytest.raises(ValueError, match="11 labels"):
        model(drawn_batch("one_convolution")["input_features"], labels=torch.tensor([[11]] * 3))
