"""How sound goes into each architecture: alone, in a batch, too short, too long, and as the stock classes see it."""

import json
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoProcessor, AutoTokenizer

from tests.fakes.models import files_in
from tests.fakes.sounds import say, wav
from tests.fakes.tiny_models import tiny_model
from trainer.errors import UserError
from trainer.models.architectures import ARCHITECTURES
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.inference import (
    LONGEST_PIECE,
    SHORTEST_PIECE,
    Transcriber,
    clip_seconds,
    hearing_of,
    logits_of,
    piece_seconds_of,
)
from trainer.models.vocabulary import vocabulary_for
from trainer.settings import Settings
from trainer.speech.dataset import Preparation, Splitting
from trainer.speech.locales import LOCALES
from trainer.speech.sources import RawClip, Source
from trainer.training.data import Batch, ClipDataset, Collator, Item, padded_length

EN = LOCALES["en-US"]
TEXTS = ["abc", "hello there", "no", "what is this"]
# Odd numbers of frames for some, and ends that fill no window
WAVEFORMS = [say(text, number)[: -137 * number or None] for number, text in enumerate(TEXTS)]


@pytest.fixture(params=ARCHITECTURES)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoint:
    """With weights so large that what is heard amiss shows."""
    tiny_model(request.param).save_pretrained(tmp_path / "base")
    silent = ARCHITECTURES[request.param].with_dropout(0.0)
    opened = open_base(files_in(tmp_path / "base"), vocabulary_for(TEXTS, EN), silent, keep_head=False)
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
        alone = logits_of(checkpoint, waveform)
        assert len(alone) == checkpoint.frames(int(length)) == checkpoint.frames(len(waveform)) > 0
        torch.testing.assert_close(row[: len(alone)], alone, atol=1e-4, rtol=0)
        assert alone.std() > 0.1


def test_training_hears_the_same_whatever_the_padding(checkpoint: Checkpoint) -> None:
    """Batch norms too: they take mean and variance over the batch while training."""
    batch = _batch(checkpoint)
    row = checkpoint.architecture
    wider = dict(batch)
    for key, axis in ((row.input_name, row.time_axis + 1), ("attention_mask", 1)):
        values = batch[key]
        more = torch.zeros_like(values.narrow(axis, 0, values.shape[axis] // 2))
        wider[key] = torch.cat([values, more], dim=axis)
    checkpoint.model.train().config.mask_time_prob = 0.0
    with torch.no_grad():
        narrow, wide = _together(checkpoint, batch), _together(checkpoint, wider)
    for row, other, length in zip(narrow, wide, batch["lengths"], strict=True):
        own = checkpoint.frames(int(length))
        torch.testing.assert_close(row[:own], other[:own], atol=1e-4, rtol=0)


def test_batches_have_the_shapes_of_the_grid(checkpoint: Checkpoint) -> None:
    longest, row = max(map(len, WAVEFORMS)), checkpoint.architecture
    one = Collator(checkpoint)([Item(waveform=np.zeros(longest - 5, np.float32) + 0.1, labels=[3])])
    batch, axis = _batch(checkpoint), row.time_axis + 1
    inputs, mask = batch[row.input_name], batch["attention_mask"]
    assert (len(inputs), inputs.shape[axis]) == mask.shape
    frames = padded_length(longest) // row.hop + (row.hop > 1)
    assert one[row.input_name].shape[axis] == inputs.shape[axis] == frames


def test_too_short_a_clip_is_heard_with_silence(checkpoint: Checkpoint) -> None:
    checkpoint.model.eval()
    shortest = checkpoint.config.shortest
    assert checkpoint.frames(shortest - 1) == 0 < checkpoint.frames(shortest) and shortest <= 720
    for samples in (0, 1, 399, shortest - 1, shortest):
        sound = say("a")[:samples]
        logits = logits_of(checkpoint, sound)
        assert len(logits) == checkpoint.frames(shortest) and torch.isfinite(logits).all(), samples
        Transcriber(checkpoint)(sound)


def test_too_short_a_clip_is_left_out_of_training_and_counted(checkpoint: Checkpoint, tmp_path: Path) -> None:
    shortest = checkpoint.config.shortest
    clips = [RawClip(str(size), wav(say("a")[:size]), "a", "train") for size in (shortest - 1, shortest)]
    prepare = Preparation(EN, "lower", Settings(data_dir=tmp_path), checkpoint.frames)
    dataset = prepare(Source("folder", clips), Splitting(clips, clips[1:], clips[1:]))
    assert dataset.left_out == {"too short for their text": 1}
    batch = Collator(checkpoint)([ClipDataset(dataset.train, checkpoint)[0]])
    assert torch.isfinite(_together(checkpoint, batch)).all()


def test_stock_classes_open_what_is_saved(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model", {})
    checkpoint.model.eval()
    opened = open_checkpoint(files_in(tmp_path / "model"))
    torch.testing.assert_close(logits_of(opened, WAVEFORMS[1]), logits_of(checkpoint, WAVEFORMS[1]))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert len(tokenizer) == len(checkpoint.vocabulary.tokens)
    extractor: Any = AutoFeatureExtractor.from_pretrained(tmp_path / "model")
    processor: Any = AutoProcessor.from_pretrained(tmp_path / "model")
    assert type(extractor) is type(processor.feature_extractor) is type(checkpoint.extractor)
    name = checkpoint.architecture.input_name
    given = extractor(WAVEFORMS[1], sampling_rate=16_000, return_tensors="pt")
    ours = checkpoint.extractor(WAVEFORMS[1], sampling_rate=16_000, return_tensors="pt")
    assert given.keys() == ours.keys() and torch.equal(given[name], ours[name])


def test_long_sound_is_heard_in_pieces_that_fit(monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint) -> None:
    heard: list[int] = []

    def stub(checkpoint: Checkpoint, waveform: np.ndarray) -> torch.Tensor:
        heard.append(len(waveform))
        return torch.zeros(checkpoint.frames(len(waveform)), 3)

    monkeypatch.setattr("trainer.models.inference.logits_of", stub)
    for seconds in (1.0, 15.0, 99.0):
        most = min(int(min(max(seconds, SHORTEST_PIECE), LONGEST_PIECE) * 16_000), checkpoint.longest or 10**9)
        for samples in (most, most + 1, 16_000 * 100 + 77):
            heard.clear()
            pieces = list(Transcriber(checkpoint, seconds).pieces(np.zeros(samples, np.float32)))
            assert max(heard) <= most and (len(heard) == 1) == (samples == most)
            assert [piece.done for piece in pieces] == list(range(1, len(heard) + 1))
            assert {piece.total for piece in pieces} == {len(heard)}
            assert pieces[-1].seconds == samples / 16_000
            positions = checkpoint.architecture.positions
            assert positions is None or max(map(checkpoint.frames, heard)) <= checkpoint.config.complete[positions]


def test_no_letter_is_lost_or_doubled_where_pieces_meet(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint
) -> None:
    """A model that knows where each frame lies: it writes a letter of the alphabet a frame, and spaces."""
    stride, alphabet = checkpoint.stride, "abcdefghijklmnopqrstuvwxyz"
    vocabulary = vocabulary_for([alphabet], EN)
    taught = replace(checkpoint, vocabulary=vocabulary)
    size = 16_000 * 100 // stride * stride
    sound = (np.arange(size) // stride).astype(np.float32)

    def stub(checkpoint: Checkpoint, waveform: np.ndarray) -> torch.Tensor:
        logits = np.zeros((checkpoint.frames(len(waveform)), vocabulary.labels), np.float32)
        for frame, row in enumerate(logits):
            place = int(waveform[frame * stride])
            row[vocabulary.tokens["|" if place % 9 == 8 else alphabet[place % 26]]] = 9.0
        return torch.from_numpy(logits)

    monkeypatch.setattr("trainer.models.inference.logits_of", stub)
    heard = Transcriber(taught, 5.0)(sound)
    places = range(len(heard.text))
    expected = "".join(" " if place % 9 == 8 else alphabet[place % 26] for place in places)
    assert heard.text == expected and abs(len(heard.text) - checkpoint.frames(size)) <= 1
    for number, word in enumerate(heard.words):
        assert abs(word.start - number * 9 * stride / 16_000) < 0.002, word
    blocks = Transcriber(taught, 5.0).pieces(sound[start : start + 50_000] for start in range(0, size, 50_000))
    assert hearing_of(blocks) == heard


def test_long_sound_that_nobody_waits_for_is_left_at_the_next_piece(checkpoint: Checkpoint) -> None:
    answers = iter([False, True])
    with pytest.raises(CancelledError):
        Transcriber(checkpoint)(np.zeros(16_000 * 100, np.float32), lambda: next(answers))
    assert list(answers) == []


@pytest.mark.parametrize(("said", "seconds"), [(4.2, 4.2), (9, 9.0), (None, 15.0), ("9", 15.0), (True, 15.0)])
def test_how_much_is_heard_at_once_is_what_the_notes_say(said: Any, seconds: float) -> None:
    assert piece_seconds_of({} if said is None else {"clip_seconds": said}) == seconds
    assert piece_seconds_of({"clip_seconds": float("nan")}) == piece_seconds_of({"clip_seconds": -1}) == 15.0
    assert clip_seconds([1.0, 2.0, 3.0]) == 2.8


def test_what_the_extractor_s_file_says_is_kept_or_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    kind = checkpoint.architecture.feature_extractor
    files: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "samples": ({"do_normalize": False}, {"sampling_rate": 8000}),
        "mctct": ({"normalize_means": False, "mel_floor": 2.0}, {"hop_length": 20}),
        "stacked": ({}, {"stride": 3}),
        "parakeet": ({"preemphasis": 0.5}, {"n_fft": 1024}),
        "whisper": ({}, {"hop_length": 320}),
    }
    said, refused = files[kind]
    file = tmp_path / "base" / "preprocessor_config.json"
    file.write_text(json.dumps(said))
    extractor = open_base(files_in(tmp_path / "base"), checkpoint.vocabulary, {}, keep_head=False).extractor
    assert {name: getattr(extractor, name) for name in said} == said
    file.write_text(json.dumps(refused))
    with pytest.raises(UserError):
        open_base(files_in(tmp_path / "base"), checkpoint.vocabulary, {}, keep_head=False)
