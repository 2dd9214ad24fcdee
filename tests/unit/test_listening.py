"""How sound goes into each architecture: alone, in a batch, too short, too long, and as the stock classes see it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoProcessor, AutoTokenizer

from tests.fakes.sounds import say, wav
from tests.fakes.tiny_models import tiny_model
from trainer.errors import UserError
from trainer.models.architectures import ARCHITECTURES, shortest_samples
from trainer.models.loading import Checkpoint, open_base, open_checkpoint
from trainer.models.vocabulary import vocabulary_for
from trainer.settings import Settings
from trainer.speech.dataset import Preparation, Splitting
from trainer.speech.locales import LOCALES
from trainer.speech.sources import RawClip, Source
from trainer.training.batching import padded_length
from trainer.training.clips import Batch, ClipDataset, Collator, Item
from trainer.training.evaluating import hear
from trainer.transcription.transcriber import MOST_SECONDS, Transcriber

EN = LOCALES["en-US"]
TEXTS = ["abc", "hello there", "no", "what is this"]
# Odd numbers of frames for some, and ends that fill no window
WAVEFORMS = [say(text, number)[: -137 * number or None] for number, text in enumerate(TEXTS)]


@pytest.fixture(params=ARCHITECTURES)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoint:
    """With weights so large that what is heard amiss shows."""
    tiny_model(request.param).save_pretrained(tmp_path / "base")
    silent = ARCHITECTURES[request.param].with_dropout(0.0)
    opened = open_base(tmp_path / "base", vocabulary_for(TEXTS, EN), silent, keep_head=False)
    torch.manual_seed(1)
    for weight in opened.model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    return opened


def _batch(checkpoint: Checkpoint) -> Batch:
    return Collator(checkpoint)([Item(waveform=waveform, labels=[3]) for waveform in WAVEFORMS])


def _together(checkpoint: Checkpoint, batch: Batch) -> torch.Tensor:
    names = (checkpoint.architecture.input_name, "attention_mask")
    with checkpoint.clip_lengths(batch["lengths"]):
        logits: torch.Tensor = checkpoint.model(**{name: batch[name] for name in names}).logits
    return logits


def test_a_clip_is_heard_alike_alone_and_in_a_batch(checkpoint: Checkpoint) -> None:
    batch = _batch(checkpoint)
    checkpoint.model.eval()
    with torch.no_grad():
        together = _together(checkpoint, batch)
    for row, waveform, length in zip(together, WAVEFORMS, batch["lengths"], strict=True):
        alone = hear(checkpoint, waveform)
        assert len(alone) == checkpoint.frames(int(length)) == checkpoint.frames(len(waveform)) > 0
        torch.testing.assert_close(row[: len(alone)], alone, atol=1e-4, rtol=0)
        assert alone.std() > 0.1


def test_training_hears_the_same_whatever_the_padding(checkpoint: Checkpoint) -> None:
    """Batch norms too: they take mean and variance over the batch while training."""
    batch = _batch(checkpoint)
    name = checkpoint.architecture.input_name
    wider = dict(batch)
    for key in (name, "attention_mask"):
        values = batch[key]
        more = values.new_zeros(len(values), values.shape[1] // 2, *values.shape[2:])
        wider[key] = torch.cat([values, more], dim=1)
    checkpoint.model.train().config.mask_time_prob = 0.0
    with torch.no_grad():
        narrow, wide = _together(checkpoint, batch), _together(checkpoint, wider)
    for row, other, length in zip(narrow, wide, batch["lengths"], strict=True):
        own = checkpoint.frames(int(length))
        torch.testing.assert_close(row[:own], other[:own], atol=1e-4, rtol=0)


def test_batches_have_the_shapes_of_the_grid(checkpoint: Checkpoint) -> None:
    longest, hop = max(map(len, WAVEFORMS)), checkpoint.architecture.hop
    one = Collator(checkpoint)([Item(waveform=np.zeros(longest - 5, np.float32) + 0.1, labels=[3])])
    batch, name = _batch(checkpoint), checkpoint.architecture.input_name
    assert batch[name].shape[:2] == batch["attention_mask"].shape
    assert one[name].shape[1] == batch[name].shape[1] == padded_length(longest) // hop + (hop > 1)


def test_too_short_a_clip_is_heard_with_silence(checkpoint: Checkpoint) -> None:
    checkpoint.model.eval()
    shortest = shortest_samples(checkpoint.config)
    assert checkpoint.frames(shortest - 1) == 0 < checkpoint.frames(shortest) and shortest <= 720
    for samples in (0, 1, 399, shortest - 1, shortest):
        sound = say("a")[:samples]
        logits = hear(checkpoint, sound)
        assert len(logits) == checkpoint.frames(shortest) and torch.isfinite(logits).all(), samples
        Transcriber(checkpoint)(sound)


def test_too_short_a_clip_is_left_out_of_training_and_counted(checkpoint: Checkpoint, tmp_path: Path) -> None:
    shortest = shortest_samples(checkpoint.config)
    clips = [RawClip(str(size), wav(say("a")[:size]), "a", "train") for size in (shortest - 1, shortest)]
    prepare = Preparation(EN, "lower", Settings(data_dir=tmp_path), checkpoint.frames)
    dataset = prepare(Source("folder", clips), Splitting(clips, clips[1:]))
    assert dataset.left_out == {"too short for their text": 1}
    batch = Collator(checkpoint)([ClipDataset(dataset.train, checkpoint)[0]])
    assert torch.isfinite(_together(checkpoint, batch)).all()


def test_stock_classes_open_what_is_saved(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model", {})
    checkpoint.model.eval()
    opened = open_checkpoint(tmp_path / "model")
    torch.testing.assert_close(hear(opened, WAVEFORMS[1]), hear(checkpoint, WAVEFORMS[1]))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert len(tokenizer) == len(checkpoint.vocabulary.tokens)
    extractor: Any = AutoFeatureExtractor.from_pretrained(tmp_path / "model")
    processor: Any = AutoProcessor.from_pretrained(tmp_path / "model")
    assert type(extractor) is type(processor.feature_extractor) is type(checkpoint.extractor)
    name = checkpoint.architecture.input_name
    given = extractor(WAVEFORMS[1], sampling_rate=16_000, return_tensors="pt")
    ours = checkpoint.extractor(WAVEFORMS[1], sampling_rate=16_000, return_tensors="pt")
    assert given.keys() == ours.keys() and torch.equal(given[name], ours[name])


def test_long_sound_is_heard_in_windows_that_fit(monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint) -> None:
    heard: list[int] = []

    def stub(checkpoint: Checkpoint, waveform: np.ndarray) -> torch.Tensor:
        heard.append(len(waveform))
        return torch.zeros(checkpoint.frames(len(waveform)), 3)

    monkeypatch.setattr("trainer.transcription.transcriber.hear", stub)
    most = min(int(MOST_SECONDS * 16_000), checkpoint.longest or 10**9)
    for samples in (most, most + 1, 16_000 * 100 + 77):
        heard.clear()
        logits = Transcriber(checkpoint)._logits(np.zeros(samples, np.float32))
        assert max(heard) <= most and (len(heard) == 1) == (samples == most)
        assert abs(len(logits) - checkpoint.frames(samples)) <= 1
        assert max(map(checkpoint.frames, heard)) <= 920 or checkpoint.longest is None


def test_what_the_extractor_s_file_says_is_kept_or_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    kind = checkpoint.architecture.listener
    files: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "samples": ({"do_normalize": False}, {"sampling_rate": 8000}),
        "mctct": ({"normalize_means": False, "mel_floor": 2.0}, {"hop_length": 20}),
        "stacked": ({}, {"stride": 3}),
        "parakeet": ({"preemphasis": 0.5}, {"n_fft": 1024}),
    }
    said, refused = files[kind]
    file = tmp_path / "base" / "preprocessor_config.json"
    file.write_text(json.dumps(said))
    extractor = open_base(tmp_path / "base", checkpoint.vocabulary, {}, keep_head=False).extractor
    assert {name: getattr(extractor, name) for name in said} == said
    file.write_text(json.dumps(refused))
    with pytest.raises(UserError):
        open_base(tmp_path / "base", checkpoint.vocabulary, {}, keep_head=False)
