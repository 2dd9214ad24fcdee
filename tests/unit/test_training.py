"""The faults of CTC fine-tuning that nobody is told of: each test fails without what avoids the fault."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, TrainingArguments

from tests.fakes.models import files_in, save_tiny_base
from tests.fakes.sounds import say
from tests.fakes.training import examples_of, trainer_for
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.inference import logits_of
from trainer.models.model_files import read_notes
from trainer.models.vocabulary import read_vocabulary, vocabulary_for
from trainer.speech.locales import LOCALES
from trainer.training import data
from trainer.training.data import BatchRange, ClipDataset, Collator, LengthBatchSampler, augment, padded_length
from trainer.training.evaluation import ctc_loss, evaluate
from trainer.training.recipe import Recipe
from trainer.training.state import Generators, preserve_rng

EN = LOCALES["en-US"]
TEXTS = ["abc", "hello there", "no", "what is this"]


@pytest.fixture(params=["group", "layer"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoint:
    base = save_tiny_base(tmp_path / "base", request.param)
    silent = {"mask_time_prob": 0.0, "layerdrop": 0.0, "hidden_dropout": 0.0, "activation_dropout": 0.0}
    silent |= {"attention_dropout": 0.0, "feat_proj_dropout": 0.0, "final_dropout": 0.0}
    return open_base(files_in(base), vocabulary_for(TEXTS, EN), silent, keep_head=False)


def _first_loss(checkpoint: Checkpoint, folder: Path, accumulation: int) -> float:
    """The first logged loss over the same four clips, in one batch or in four."""
    recipe = Recipe(batch_seconds=None, batch_clips=4 // accumulation, gradient_accumulation=accumulation)
    arguments = TrainingArguments(
        str(folder), max_steps=1, gradient_accumulation_steps=accumulation, logging_steps=1, use_cpu=True, report_to=[],
        remove_unused_columns=False, save_strategy="no", disable_tqdm=True, learning_rate=1e-9,
    )  # fmt: skip
    trainer = trainer_for(checkpoint, examples_of(["abcd"] * 4), recipe, arguments)
    trainer.train()
    return float(next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry))


def test_gradient_accumulation_does_not_inflate_the_loss(checkpoint: Checkpoint, tmp_path: Path) -> None:
    whole = _first_loss(checkpoint, tmp_path / "one", 1)
    assert _first_loss(checkpoint, tmp_path / "four", 4) == pytest.approx(whole, rel=0.02)


def test_the_loss_counts_each_clips_own_frames() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 50, 6), torch.tensor([[1, 2, 3], [4, -100, -100]])
    together = ctc_loss(logits, torch.tensor([50, 20]), labels, blank=0)
    alone = [
        ctc_loss(logits[:1], torch.tensor([50]), labels[:1], blank=0),
        ctc_loss(logits[1:, :20], torch.tensor([20]), labels[1:, :1], blank=0),
    ]
    assert together.item() == pytest.approx((alone[0] + alone[1]).item() / 2, rel=1e-5)
    padded_counts = ctc_loss(logits, torch.tensor([50, 50]), labels, blank=0)
    assert abs(padded_counts.item() - together.item()) > 0.1


def test_a_clip_is_heard_alike_alone_and_among_others(checkpoint: Checkpoint) -> None:
    examples = examples_of(TEXTS)
    together = evaluate(checkpoint, examples, EN)
    for example, hypothesis in zip(examples, together.hypotheses, strict=True):
        assert evaluate(checkpoint, [example], EN).hypotheses == [hypothesis]
    assert together.loss == pytest.approx(
        float(np.mean([evaluate(checkpoint, [example], EN).loss for example in examples])), rel=1e-5
    )


def test_a_batch_is_heard_as_each_clip_alone(checkpoint: Checkpoint) -> None:
    dataset = ClipDataset(examples_of(TEXTS), checkpoint)
    batch = Collator(checkpoint)([dataset[index] for index in range(4)])
    assert batch["lengths"].tolist() == [len(example.samples) for example in dataset.examples]
    assert (batch["labels"] == -100).sum() == sum(12 - len(text) for text in TEXTS)
    assert batch["input_values"].shape[1] > max(batch["lengths"])
    checkpoint.model.eval()
    with torch.no_grad(), checkpoint.clip_lengths(batch["lengths"]):
        logits = checkpoint.model(batch["input_values"], batch["attention_mask"]).logits
    for row, example in zip(logits, dataset.examples, strict=True):
        alone = logits_of(checkpoint, example.waveform())
        torch.testing.assert_close(row[: len(alone)], alone, atol=1e-4, rtol=0)


def test_each_clip_is_normalised_by_itself(checkpoint: Checkpoint) -> None:
    dataset = ClipDataset(examples_of(TEXTS), checkpoint)
    batch = Collator(checkpoint)([dataset[index] for index in range(4)])
    for row, length in zip(batch["input_values"], batch["lengths"], strict=True):
        assert row[: int(length)].std() == pytest.approx(1.0, abs=0.01)


def test_batches_are_of_like_length_and_hear_every_clip() -> None:
    rng = np.random.default_rng(0)
    lengths = list(rng.uniform(1, 20, 500))
    sampler = LengthBatchSampler(lengths, 60.0, None, seed=1)
    stream = [batch for _ in range(3) for batch in sampler]
    assert len(stream) == 3 * len(sampler)
    assert all(max(lengths[i] for i in batch) * len(batch) <= 60 for batch in stream)
    heard = [index for batch in stream for index in batch]
    assert {Counter(heard)[index] for index in range(500)} <= {2, 3}  # what fills no batch waits for the next epoch
    padding = sum(max(lengths[i] for i in batch) * len(batch) - sum(lengths[i] for i in batch) for batch in stream)
    assert padding / sum(lengths[i] for i in heard) < 0.15  # batches drawn at random waste some 0.5
    again = LengthBatchSampler(lengths, 60.0, None, seed=1)
    assert [batch for _ in range(3) for batch in again] == stream
    assert list(LengthBatchSampler(lengths, 60.0, None, seed=2)) != stream[: len(sampler)]


def test_batches_by_clips_and_clips_longer_than_a_batch() -> None:
    sampler = LengthBatchSampler([5.0] * 20, None, 8, seed=0)
    stream = [batch for _ in range(5) for batch in sampler]
    assert [len(batch) for batch in stream] == [8] * 10
    assert Counter(index for batch in stream for index in batch) == dict.fromkeys(range(20), 4)
    assert list(map(len, LengthBatchSampler([30.0] * 4, 10.0, None, seed=0))) == [1] * 4


def test_a_batch_stays_within_its_seconds_though_its_clips_are_slowed(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "SPEEDS", (0.85, 0.85))  # every clip, by as much as can be drawn
    examples = examples_of(["hello there what is this", "no no no no no no no no ."] * 8)  # 3 s each
    recipe = Recipe(batch_seconds=20.0, augment=True, max_steps=6)
    arguments = TrainingArguments(str(tmp_path), max_steps=6, use_cpu=True, report_to=[], remove_unused_columns=False)
    trainer = trainer_for(checkpoint, examples, recipe, arguments)
    heard = [batch["lengths"] for batch in trainer.get_train_dataloader()]
    assert len(heard) == 6
    for lengths in heard:
        assert min(lengths) > 16_000 * 3.4, "they are slowed"
        assert len(lengths) == 5 and max(lengths) * len(lengths) <= 20 * 16_000
    as_recorded = trainer_for(checkpoint, examples, recipe.change(augment=False), arguments)
    assert {len(batch["lengths"]) for batch in as_recorded.get_train_dataloader()} == {6}


def test_batches_have_few_shapes() -> None:
    lengths = np.random.default_rng(0).uniform(1, 12, 800)
    sampler = LengthBatchSampler(list(lengths), 60.0, None, seed=1)
    shapes = {(len(batch), padded_length(int(16_000 * max(lengths[batch])))) for _ in range(10) for batch in sampler}
    assert len(shapes) < 60
    assert all(length <= padded_length(length) <= 1.12 * length for length in range(8_000, 200_000, 777))


def test_the_saved_tokenizer_adds_no_labels(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model", {"locale": "en-US"})
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert len(tokenizer) == checkpoint.model.config.vocab_size == len(checkpoint.vocabulary.tokens)
    assert tokenizer("ab c").input_ids == checkpoint.vocabulary.encode("ab|c")
    loaded = open_checkpoint(files_in(tmp_path / "model"))
    assert dict(loaded.vocabulary.tokens) == dict(checkpoint.vocabulary.tokens)
    assert read_notes(tmp_path / "model") == {"locale": "en-US"}


@pytest.mark.parametrize("pad_id", [0, 31])
def test_a_foreign_vocabulary_keeps_its_own_blank(tmp_path: Path, pad_id: int) -> None:
    base = save_tiny_base(tmp_path / "base")
    letters = ["|", *"abcdefghijklmnopqrstuvwxyz'", "<s>", "</s>", "<unk>"]
    letters.insert(pad_id, "<pad>")
    (base / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    vocabulary = read_vocabulary(base)
    assert vocabulary is not None and vocabulary.blank == pad_id and vocabulary.unknown == "<unk>"
    assert vocabulary.covers(TEXTS, EN) and not vocabulary.covers(["größe"], LOCALES["de-DE"])
    kept = open_base(files_in(base), vocabulary, {}, keep_head=True)
    assert kept.model.config.pad_token_id == pad_id and kept.model.config.vocab_size == 32
    assert "<" not in "".join(vocabulary.letters.values())


def test_a_check_leaves_the_generators_as_they_were(checkpoint: Checkpoint) -> None:
    import random

    before = Generators.now()
    with preserve_rng():
        drawn = random.random(), np.random.random(), torch.rand(1).item()
        evaluate(checkpoint, examples_of(TEXTS), EN)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == drawn
    kept = Generators.read(json.loads(json.dumps(before.as_json())), before.tensors())
    kept.put_back()
    assert (random.random(), np.random.random(), torch.rand(1).item()) == drawn


def test_a_stretch_begins_where_an_earlier_one_ended() -> None:
    lengths = list(np.random.default_rng(0).uniform(1, 9, 40))
    whole = list(BatchRange(LengthBatchSampler(lengths, 20.0, None, seed=3), 0, 60))
    assert whole[37:] == list(BatchRange(LengthBatchSampler(lengths, 20.0, None, seed=3), 37, 60))
    assert len(whole) == 60 and Counter(map(tuple, whole)).most_common(1)[0][1] < 10


def test_half_the_batch_hears_as_much_a_step() -> None:
    halved = Recipe(batch_seconds=40.0, gradient_accumulation=2).halved()
    assert (halved.batch_seconds, halved.gradient_accumulation) == (20.0, 4)
    assert Recipe(batch_seconds=None, batch_clips=8).halved().batch_clips == 4


def test_augmented_speech_stays_speech() -> None:
    waveform = say("hello there")
    lengths = set()
    for _ in range(20):
        changed = augment(waveform, shortest=100)
        assert changed.dtype == np.float32 and np.isfinite(changed).all()
        assert len(waveform) / 1.21 < len(changed) < len(waveform) / 0.84
        assert np.abs(changed).max() < 1
        lengths.add(len(changed))
    assert len(lengths) > 10
    assert len(augment(waveform, shortest=len(waveform))) >= len(waveform) - 1
