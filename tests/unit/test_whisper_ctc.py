"""Whisper's encoder with a CTC head, beside Transformers' own encoder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from trainer.models.whisper_ctc import WhisperCTCConfig, WhisperCTCFeatureExtractor, WhisperForCTC, register

SIZES: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 3,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "vocab_size": 11,
}
HEAD = {"head_layers": 2, "head_size": 32}
CLOSE = 1e-4  # logits
RATE = 16_000

register()


def drawn_model(attention: str = "sdpa", **values: Any) -> WhisperForCTC:
    """Weights large enough that what each part does shows in the logits; in evaluation mode."""
    torch.manual_seed(0)
    config = WhisperCTCConfig(**{**SIZES, **HEAD, "initializer_range": 0.2, **values})
    model = AutoModelForCTC.from_config(config, attn_implementation=attention)
    for name, weight in model.named_parameters():
        if name.endswith(".bias"):  # new ones are zero, and would hide what padding does to convolutions
            torch.nn.init.normal_(weight, std=0.2)
    assert isinstance(model, WhisperForCTC)
    return model.eval()


def original_model(**values: Any) -> WhisperForConditionalGeneration:
    small = {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 32, "pad_token_id": 0}
    return WhisperForConditionalGeneration(WhisperConfig(**{**SIZES, **small, "vocab_size": 60, **values})).eval()


def drawn_batch(*frames: int, bins: int = 80) -> dict[str, torch.Tensor]:
    """Features of so many frames a clip. Padding is anything but silence."""
    draw = torch.Generator().manual_seed(1)
    features = torch.randn(len(frames), bins, max(frames), generator=draw)
    mask = (torch.arange(max(frames)) < torch.tensor(frames)[:, None]).long()
    return {"input_features": features, "attention_mask": mask}


@torch.inference_mode()
def logits_of(model: WhisperForCTC, **inputs: Any) -> torch.Tensor:
    logits: torch.Tensor = model(**inputs).logits
    return logits


def test_weights_have_the_names_and_shapes_of_the_original() -> None:
    original = original_model()
    shapes = {name: weight.shape for name, weight in original.state_dict().items() if ".encoder." in name}
    ours = {name: weight.shape for name, weight in drawn_model().state_dict().items()}
    assert {name: shape for name, shape in ours.items() if not name.startswith("ctc_head.")} == shapes
    assert {name for name in ours if name.startswith("ctc_head.")} == {
        f"ctc_head.{part}.{kind}"
        for part in ("convolutions.0", "convolutions.1", "output")
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("bins", [80, 128])
def test_thirty_seconds_are_heard_as_by_the_original(attention: str, bins: int) -> None:
    model = drawn_model(attention, num_mel_bins=bins)
    original = original_model(num_mel_bins=bins).model.encoder
    positions = original.embed_positions.weight.clone()
    original.load_state_dict(model.model.encoder.state_dict())
    torch.testing.assert_close(original.embed_positions.weight, positions, rtol=0, atol=1e-4)
    features = drawn_batch(3000, bins=bins)["input_features"]
    with torch.inference_mode():
        ours, theirs = model.model(features).last_hidden_state, original(features).last_hidden_state
    torch.testing.assert_close(ours, theirs, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("head", [{"head_layers": 0}, HEAD, {"head_layers": 2, "head_size": 24}])
def test_a_clip_sounds_the_same_alone_and_in_a_batch(attention: str, head: dict[str, Any]) -> None:
    model, lengths = drawn_model(attention, **head), (200, 101, 7, 2, 1)
    batch = drawn_batch(*lengths)
    together = logits_of(model, **batch)
    for row, frames in enumerate(lengths):
        alone = logits_of(model, input_features=batch["input_features"][row : row + 1, :, :frames])[0]
        assert len(alone) == (frames + 1) // 2
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=0, atol=CLOSE)


def test_logits_depend_on_order_and_company() -> None:
    """What the tests beside this one compare is not the same for any input."""
    model, batch = drawn_model(), drawn_batch(200, 101)
    unmasked = logits_of(model, input_features=batch["input_features"])
    masked = logits_of(model, **batch)
    assert (unmasked[1, :51] - masked[1, :51]).abs().max() > 0.1
    torch.nn.init.zeros_(model.model.encoder.embed_positions.weight)
    assert (logits_of(model, **batch)[0] - masked[0]).abs().max() > 0.1


@pytest.mark.parametrize("layers", range(4))
def test_what_lower_layers_make_goes_on_to_the_same_logits(layers: int) -> None:
    model, batch = drawn_model(), drawn_batch(200, 101)
    with torch.inference_mode():
        states = model.lower_states(**batch, layers=layers)
    assert states.shape == (2, 100, 32)
    own = torch.arange(100) < torch.tensor([100, 51])[:, None]
    labels = torch.tensor([[2, 3], [4, -100]])
    whole = model(**batch, labels=labels)
    # What lies beyond a clip may be anything: kept states are cut to its frames.
    kept = states.masked_fill(~own[:, :, None], 9.0)
    rest = model(hidden_states=kept, attention_mask=own.long(), first_layer=layers, labels=labels)
    for row, frames in enumerate((100, 51)):
        torch.testing.assert_close(rest.logits[row, :frames], whole.logits[row, :frames], rtol=0, atol=CLOSE)
    assert float(rest.loss.detach()) == pytest.approx(float(whole.loss.detach()), rel=1e-5)


def test_either_features_or_states_are_wanted() -> None:
    model, batch = drawn_model(), drawn_batch(20)
    for wrong in ({}, {**batch, "hidden_states": torch.zeros(1, 10, 32)}):
        with pytest.raises(ValueError, match="one of them"):
            model(**wrong)


def test_frames_after_the_last_position_are_heard() -> None:
    model, usual = drawn_model(max_source_positions=50), drawn_model()
    weights = usual.state_dict()
    weights["model.encoder.embed_positions.weight"] = weights["model.encoder.embed_positions.weight"][:50]
    model.load_state_dict(weights)
    short, long = drawn_batch(100)["input_features"], drawn_batch(300)["input_features"]
    assert torch.equal(logits_of(model, input_features=short), logits_of(usual, input_features=short))
    assert logits_of(model, input_features=long).shape == (1, 150, 11)
    assert torch.isfinite(logits_of(model, input_features=long)).all()


@pytest.mark.parametrize("samples", [400, 401, 559, 560, 8000, 12_345])
def test_clips_are_extracted_at_their_own_length(samples: int) -> None:
    extractor = WhisperCTCFeatureExtractor()
    sound = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    heard = extractor(sound, sampling_rate=RATE, return_tensors="pt")
    assert heard["input_features"].shape == (1, 80, samples // 160)
    assert heard["attention_mask"].tolist() == [[1] * (samples // 160)]
    longer = extractor([sound, np.zeros(2 * samples, np.float32)], sampling_rate=RATE, return_tensors="pt")
    assert longer["attention_mask"].sum(-1).tolist() == pytest.approx([samples / 160, 2 * samples / 160], abs=1)


def test_thirty_seconds_have_the_original_s_features() -> None:
    sound = np.random.default_rng(0).standard_normal(30 * RATE).astype(np.float32)
    ours = WhisperCTCFeatureExtractor()(sound, sampling_rate=RATE)["input_features"]
    assert np.array_equal(ours, WhisperFeatureExtractor()(sound, sampling_rate=RATE)["input_features"])


def test_a_saved_model_and_extractor_come_back(tmp_path: Path) -> None:
    model = drawn_model()
    model.save_pretrained(tmp_path)
    WhisperCTCFeatureExtractor(feature_size=128).save_pretrained(tmp_path)
    again = AutoModelForCTC.from_pretrained(tmp_path, dropout=0.1)
    assert isinstance(again, WhisperForCTC)
    assert again.config.dropout == 0.1
    batch = drawn_batch(60)
    assert torch.equal(logits_of(model, **batch), logits_of(again.eval(), **batch))
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert isinstance(extractor, WhisperCTCFeatureExtractor)
    assert (extractor.feature_size, extractor.return_attention_mask) == (128, True)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), WhisperCTCConfig)


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoder_attention_heads": 5},
        {"encoder_layers": -1},
        {"head_layers": -1},
        {"head_kernel": 4},
        {"head_kernel": -1},
        {"head_size": 0},
        {"d_model": 2, "encoder_attention_heads": 1},
        {"max_source_positions": 0},
    ],
)
def test_numbers_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"Sizes|positions|heads|head_kernel"):
        WhisperCTCConfig(**{**SIZES, **wrong})


def test_a_label_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="11 labels"):
        drawn_model()(**drawn_batch(20), labels=torch.tensor([[11]]))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_loss_reaches_every_weight_but_the_positions(checkpointing: bool) -> None:
    model = drawn_model().train()
    if checkpointing:
        model.activation_checkpointing_enable()
    model(**drawn_batch(60, 40), labels=torch.tensor([[2, 3], [4, -100]])).loss.backward()
    for name, weight in model.named_parameters():
        if "embed_positions" in name:
            assert weight.grad is None
            continue
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name


def test_what_is_frozen_gets_no_gradient() -> None:
    model = drawn_model().train()
    model.freeze_feature_encoder()
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert {name.split(".")[2] for name in frozen} == {"conv1", "conv2", "embed_positions"}
    model.freeze_layers(2)
    learns = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {".".join(name.split(".")[:4]) for name in learns if name.startswith("model.")} == {
        "model.encoder.layers.2",
        "model.encoder.layer_norm.weight",
        "model.encoder.layer_norm.bias",
    }


@pytest.mark.parametrize("layer", [None, 2, 3])
def test_spec_augment_hides_frames_where_learning_begins(layer: int | None) -> None:
    model, batch = drawn_model(mask_time_prob=0.5, mask_time_length=5).train(), drawn_batch(400, 100)
    own = torch.arange(200) < torch.tensor([200, 50])[:, None]
    seen: list[torch.Tensor] = []
    encoder = model.model.encoder
    begins = encoder.layers[layer or 0] if layer != 3 else encoder.layer_norm
    begins.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    if layer is None:
        model(**batch)
    else:
        states = model.eval().lower_states(**batch, layers=layer)
        seen.clear()
        model.train()(hidden_states=states, attention_mask=own.long(), first_layer=layer)
    silent = (seen[0] == 0).all(-1)
    assert 0.2 < float(silent[own].float().mean()) < 0.55
    assert not silent[~own].any()


def test_spec_augment_hides_bands_of_features() -> None:
    model, seen = drawn_model(mask_feature_prob=0.2, mask_feature_length=4).train(), list[torch.Tensor]()
    model.model.encoder.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(**drawn_batch(60, 60, 60, 60))
    silent = (seen[0] == 0).all(-1)
    assert 0.05 < float(silent.float().mean()) < 0.25
    assert len({tuple(row.tolist()) for row in silent}) == 4


def test_spec_augment_is_off_by_default_and_when_listening() -> None:
    batch, masking = drawn_batch(200), drawn_model(mask_time_prob=0.5, mask_feature_prob=0.5)
    expected = drawn_model()(**batch).logits
    assert torch.equal(drawn_model().train()(**batch).logits, expected)
    assert torch.equal(masking(**batch).logits, expected)
    assert not torch.equal(masking.train()(**batch).logits, expected)
