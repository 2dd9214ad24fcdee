"""Teaching M-CTC-T: gradients, the frozen front end, SpecAugment, and that it learns."""

from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainingArguments

from tests.parity.mctct_cases import CASES, RATE, draw_waveform
from tests.parity.mctct_ours import QUIET, drawn_batch, drawn_model, logits_of
from trainer.models.mctct import MCTCTConfig, MCTCTFeatureExtractor, MCTCTForCTC
from trainer.models.mctct.modeling_mctct import frames_after_convolutions, spec_augment


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_loss_reaches_every_weight(checkpointing: bool) -> None:
    model = drawn_model("one_convolution", **QUIET).train()
    if checkpointing:
        model.activation_checkpointing_enable()
    model(**drawn_batch("one_convolution"), labels=torch.tensor([[2, 3], [4, -100], [5, -100]])).loss.backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name


def test_a_frozen_front_end_gets_no_gradient() -> None:
    model = drawn_model("one_convolution").train()
    model.freeze_feature_encoder()
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert {name.removeprefix("mctct.encoder.").split(".")[0] for name in frozen} == {"layer_norm", "conv"}


def test_the_stock_trainer_gets_the_same_loss_however_a_batch_is_split(tmp_path: Path) -> None:
    """Else Trainer takes the loss for one that is divided by the batch's items already, and adds them up."""
    clip = {"input_features": drawn_batch("one_convolution")["input_features"][0], "labels": torch.tensor([2, 3])}
    losses = []
    for clips, batches in ((4, 1), (1, 4)):
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=clips,
            gradient_accumulation_steps=batches,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        model = drawn_model("one_convolution", **QUIET, ctc_loss_reduction="mean")
        trainer = Trainer(model, arguments, train_dataset=[clip] * 4)
        trainer.train()
        losses.append(trainer.state.log_history[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_spec_augment_silences_about_its_share_inside_each_clip() -> None:
    torch.manual_seed(0)
    config = MCTCTConfig(mask_time_prob=0.3, mask_time_length=5, mask_feature_prob=0.1, mask_feature_length=4)
    features = torch.ones(200, 300, 80)
    mask = torch.ones(200, 300, dtype=torch.long)
    mask[100:, 90:] = 0
    heard = spec_augment(config, features, mask)
    silent_frames = (heard == 0).all(-1)
    assert not silent_frames[100:, 90:].any()
    for rows, frames in ((slice(0, 100), 300), (slice(100, 200), 90)):
        assert 0.2 < float(silent_frames[rows, :frames].float().mean()) < 0.3  # spans overlap
    bands = (heard == 0).all(1)[:100]
    assert 0.05 < float(bands.float().mean()) < 0.1
    edges = torch.diff(silent_frames[0].int()).nonzero().flatten() + 1
    assert set((edges % 3).tolist()) <= {0}  # whole output frames


def test_spec_augment_is_off_as_published_and_when_listening() -> None:
    batch, plain = drawn_batch("one_convolution"), drawn_model("one_convolution", **QUIET)
    masking = drawn_model("one_convolution", **QUIET, mask_time_prob=0.5)
    expected = plain(**batch).logits
    assert torch.equal(plain.train()(**batch).logits, expected)
    assert torch.equal(masking(**batch).logits, expected)
    assert not torch.equal(masking.train()(**batch).logits, expected)


def test_it_learns_two_clips_by_heart() -> None:
    torch.manual_seed(0)
    small = {**CASES["one_convolution"].config, **QUIET, "initializer_range": 0.2}
    config = MCTCTConfig(**small, ctc_loss_reduction="mean")
    model = MCTCTForCTC(config).train()
    heard = MCTCTFeatureExtractor()(
        [draw_waveform("clip"), draw_waveform("shorter")], sampling_rate=RATE, padding=True, return_tensors="pt"
    )
    labels = torch.tensor([[2, 3, 3, 4], [5, 6, -100, -100]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        loss = model(**heard, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.05:
            break
    assert loss.item() < 0.05
    guesses = logits_of(model.eval(), heard["input_features"], heard["attention_mask"]).argmax(-1)
    own = frames_after_convolutions(config, heard["attention_mask"].sum(-1))
    for guess, frames, expected in zip(guesses, own, ([2, 3, 3, 4], [5, 6]), strict=True):
        collapsed = torch.unique_consecutive(guess[:frames])
        assert collapsed[collapsed != config.pad_token_id].tolist() == expected
