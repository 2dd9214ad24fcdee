"""The faults of CTC fine-tuning that nobody is told of: each test fails without what avoids the fault."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, TrainingArguments

from tests.fakes.models import save_tiny_base
from tests.fakes.sounds import save_folder, say
from trainer.errors import UserError
from trainer.models.loading import Checkpoint, open_base, open_checkpoint, read_notes
from trainer.models.vocabulary import Vocabulary, read_vocabulary, vocabulary_for
from trainer.settings import Settings
from trainer.speech.audio import load_audio, to_16_bit
from trainer.speech.dataset import Example
from trainer.speech.locales import LOCALES
from trainer.training.augmenting import augment
from trainer.training.batching import LengthBatchSampler, padded_length
from trainer.training.clips import ClipDataset, Collator
from trainer.training.ctc_trainer import CTCTrainer
from trainer.training.device import choose_device
from trainer.training.evaluating import Evaluation, evaluate, hear
from trainer.training.finetune import finetune
from trainer.training.loss import ctc_loss
from trainer.training.recipe import Recipe
from trainer.training.session import Places
from trainer.training.stopping import StopSignal

EN = LOCALES["en-US"]
TEXTS = ["abc", "hello there", "no", "what is this"]


def _examples(texts: list[str]) -> list[Example]:
    sounds = [(say(text, number) * 32767).astype(np.int16) for number, text in enumerate(texts)]
    return [
        Example(str(number), sound, text, text.replace(" ", "|"))
        for number, (text, sound) in enumerate(zip(texts, sounds, strict=True))
    ]


@pytest.fixture(params=["group", "layer"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoint:
    base = save_tiny_base(tmp_path / "base", request.param)
    silent = {"mask_time_prob": 0.0, "layerdrop": 0.0, "hidden_dropout": 0.0, "activation_dropout": 0.0}
    silent |= {"attention_dropout": 0.0, "feat_proj_dropout": 0.0, "final_dropout": 0.0}
    return open_base(base, vocabulary_for(TEXTS, EN), silent, keep_head=False)


def _unused(step: int) -> Evaluation:
    raise AssertionError("no evaluation was asked for")


def _first_loss(checkpoint: Checkpoint, folder: Path, accumulation: int) -> float:
    """The first logged loss over the same four clips, in one batch or in four."""
    recipe = Recipe(batch_seconds=None, batch_clips=4 // accumulation, gradient_accumulation=accumulation)
    arguments = TrainingArguments(
        str(folder), max_steps=1, gradient_accumulation_steps=accumulation, logging_steps=1, use_cpu=True, report_to=[],
        remove_unused_columns=False, save_strategy="no", disable_tqdm=True, learning_rate=1e-9,
    )  # fmt: skip
    dataset = ClipDataset(_examples(["abcd"] * 4), checkpoint)
    trainer = CTCTrainer(checkpoint, recipe, choose_device("fp32"), arguments, dataset, dataset, check_model=_unused)
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
    examples = _examples(TEXTS)
    together = evaluate(checkpoint, examples, EN)
    for example, hypothesis in zip(examples, together.hypotheses, strict=True):
        assert evaluate(checkpoint, [example], EN).hypotheses == [hypothesis]
    assert together.loss == pytest.approx(
        float(np.mean([evaluate(checkpoint, [example], EN).loss for example in examples])), rel=1e-5
    )


def test_a_batch_is_heard_as_each_clip_alone(checkpoint: Checkpoint) -> None:
    dataset = ClipDataset(_examples(TEXTS), checkpoint)
    batch = Collator(checkpoint)([dataset[index] for index in range(4)])
    assert batch["lengths"].tolist() == [len(example.samples) for example in dataset.examples]
    assert (batch["labels"] == -100).sum() == sum(12 - len(text) for text in TEXTS)
    assert batch["input_values"].shape[1] > max(batch["lengths"])
    checkpoint.model.eval()
    with torch.no_grad(), checkpoint.clip_lengths(batch["lengths"]):
        logits = checkpoint.model(batch["input_values"], batch["attention_mask"]).logits
    for row, example in zip(logits, dataset.examples, strict=True):
        alone = hear(checkpoint, example.waveform())
        torch.testing.assert_close(row[: len(alone)], alone, atol=1e-4, rtol=0)


def test_each_clip_is_normalised_by_itself(checkpoint: Checkpoint) -> None:
    dataset = ClipDataset(_examples(TEXTS), checkpoint)
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
    loaded = open_checkpoint(tmp_path / "model")
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
    kept = open_base(base, vocabulary, {}, keep_head=True)
    assert kept.model.config.pad_token_id == pad_id and kept.model.config.vocab_size == 32
    assert "<" not in "".join(vocabulary.letters.values())


def _finetune(recipe: Recipe, folder: Path) -> tuple[list[dict[str, Any]], Places]:
    events: list[dict[str, Any]] = []
    settings = Settings(data_dir=folder, hub_endpoint="http://127.0.0.1:9", hub_timeout=0.2)
    places = Places(folder / "model", folder / "checkpoints", folder / "clips")
    try:
        finetune(
            recipe, settings, places, lambda kind, **fields: events.append({"event": kind, **fields}), StopSignal()
        )
    except UserError as error:
        events.append({"event": "failed", "what": error.what})
    return events, places


def _recipe(tmp_path: Path, texts: list[str], **values: Any) -> Recipe:
    data = save_folder(tmp_path / "data", [(text, split) for split in ("train", "test") for text in texts])
    base = tmp_path / "base"
    if not base.exists():
        save_tiny_base(base)
    settings: dict[str, Any] = {"max_steps": 2, "eval_steps": 2, "batch_seconds": 10.0, "warmup_steps": 0} | values
    return Recipe(data=str(data), base=str(base), **settings)


def test_a_fine_tune_tells_its_story(tmp_path: Path) -> None:
    events, places = _finetune(_recipe(tmp_path, TEXTS, max_steps=4), tmp_path)
    evaluated = [event for event in events if event["event"] == "evaluated"]
    assert [event["step"] for event in evaluated] == [0, 2, 4]
    assert all(len(event["guesses"]) == 4 and event["wer"] >= 0 for event in evaluated)
    assert [event["step"] for event in events if event["event"] == "log"] == [1, 2, 3, 4]
    data = next(event for event in events if event["event"] == "data")
    assert (data["train_clips"], data["test_clips"], data["left_out"]) == (4, 4, {})
    assert sorted(path.name for path in places.clips.iterdir()) == [f"{number}.wav" for number in range(4)]
    best = [event["step"] for event in events if event["event"] == "model_saved"][-1]
    notes = read_notes(places.model)
    assert notes["step"] == best and notes["untrained"]["wer"] == evaluated[0]["wer"]
    kept = evaluate(open_checkpoint(places.model), _examples(TEXTS), EN)
    assert kept.hypotheses is not None


def test_going_on_from_a_model_keeps_its_letters_where_they_are_enough(tmp_path: Path) -> None:
    _, first = _finetune(_recipe(tmp_path, TEXTS), tmp_path / "first")
    letters = (first.model / "vocab.json").read_text()
    recipe = _recipe(tmp_path, TEXTS[:3]).change(base=str(first.model))
    events, second = _finetune(recipe, tmp_path / "second")
    assert (second.model / "vocab.json").read_text() == letters
    assert any(event["event"] == "note" and "keeps its letters" in event["text"] for event in events)
    recipe = _recipe(tmp_path / "more", ["größe äß", "nö"]).change(base=str(first.model))
    events, third = _finetune(recipe, tmp_path / "third")
    note = next(event["text"] for event in events if event["event"] == "note")
    assert "cannot write “ö”, “ß”, “g”, “ä”:" in note and "learns its letters anew" in note
    assert "ß" in json.loads((third.model / "vocab.json").read_text())


def test_equal_recipes_give_equal_weights(tmp_path: Path) -> None:
    states = []
    for name in ("first", "second"):
        recipe = _recipe(tmp_path, TEXTS, augment=True, mask_time_prob=0.3, dropout=0.1, max_steps=3)
        _, places = _finetune(recipe, tmp_path / name)
        states.append(open_checkpoint(places.model).model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_loss_that_is_no_number_is_told_and_ends_the_run(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, TEXTS)
    base = Path(recipe.base)
    from transformers import AutoModelForCTC

    model = AutoModelForCTC.from_pretrained(base)
    with torch.no_grad():
        model.wav2vec2.encoder.layers[0].feed_forward.output_dense.weight.fill_(math.nan)
    model.save_pretrained(base)
    events, _ = _finetune(recipe, tmp_path)
    assert any(event["event"] == "log" and math.isnan(event["loss"]) for event in events)
    assert events[-1]["event"] == "failed" and "no longer a number" in events[-1]["what"]


def test_clips_shorter_than_the_mask_are_trained_on(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, ["a", "b"], mask_time_prob=0.5, augment=True)  # 0.22 s: 10 frames, the mask's length
    events, places = _finetune(recipe, tmp_path)
    assert places.model.is_dir() and not any(event["event"] == "failed" for event in events)


def test_labels_that_do_not_fit_are_counted_not_skipped_in_silence(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, TEXTS)
    table = Path(recipe.data) / "clips.tsv"
    table.write_text(table.read_text() + f"0.wav\t{'hopelessly long ' * 5}\ttrain\n")
    events, _ = _finetune(recipe, tmp_path)
    data = next(event for event in events if event["event"] == "data")
    assert data["left_out"] == {"too short for their text": 1} and data["train_clips"] == 4


def test_the_base_may_be_fp16_and_training_is_not(tmp_path: Path) -> None:
    from transformers import AutoModelForCTC

    base = save_tiny_base(tmp_path / "base")
    AutoModelForCTC.from_pretrained(base).half().save_pretrained(base)
    checkpoint = open_base(base, Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, "a": 3}), {}, keep_head=False)
    assert {weight.dtype for weight in checkpoint.model.parameters()} == {torch.float32}


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


def test_what_is_told_is_what_the_saved_model_does(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, TEXTS, precision="bf16")
    events, places = _finetune(recipe, tmp_path)
    told = [event for event in events if event["event"] == "evaluated"][-1]
    files = [tmp_path / "data" / f"{number}.wav" for number in range(4, 8)]  # those of the test split
    samples = [to_16_bit(load_audio(file).samples) for file in files]
    examples = [replace(example, samples=sound) for example, sound in zip(_examples(TEXTS), samples, strict=True)]
    saved = evaluate(open_checkpoint(places.model), examples, EN)
    assert saved.loss == pytest.approx(told["loss"], rel=1e-5)  # in bf16 it is off by 1e-3 or more
