"""Models that listen with bf16 instructions hear what they hear in fp32; where a machine has none, nothing changes."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.fakes.models import files_in, save_answering
from tests.fakes.sounds import say
from tests.fakes.tiny_models import tiny_model
from trainer.errors import UserError
from trainer.models import listening_precision as precision
from trainer.models.architectures import ARCHITECTURES
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.inference import logits_of
from trainer.models.quick_layers import FrameConvolution, NormedConvolution, quicken
from trainer.models.recognizer import CTCRecognizer
from trainer.models.vocabulary import vocabulary_for
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.transcription import transcribe
from trainer.transcription.warm_models import MakeRoom, WarmModels

EN = LOCALES["en-US"]
TEXTS = ["abc", "hello there"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_hears_nearly_the_same(architecture: str, tmp_path: Path) -> None:
    tiny_model(architecture).save_pretrained(tmp_path / "base")
    base = open_base(files_in(tmp_path / "base"), vocabulary_for(TEXTS, EN), {}, keep_head=False)
    torch.manual_seed(1)
    for weight in base.model.parameters():
        if weight.dim() > 1:
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    base.save(tmp_path / "model", {})
    usual, quick = open_checkpoint(files_in(tmp_path / "model")), open_checkpoint(files_in(tmp_path / "model"))
    before = quick.bytes
    quick = quick.quickened()
    assert quick.bytes < before
    for number, text in enumerate(TEXTS):
        sound = say(text, number)[: -137 * number or None]
        exact, near = logits_of(usual, sound), logits_of(quick, sound)
        assert near.dtype == torch.float32 and near.shape == exact.shape and exact.std() > 0.1
        apart = (near - exact).abs()
        assert 0 < float(apart.mean()) < 0.03 * float(exact.std()) and float(apart.max()) < 0.5 * float(exact.std())


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 0), (3, 1, 1), (1, 1, 0), (3, 2, 1)])
@pytest.mark.parametrize("clips", [1, 3])
def test_a_convolution_by_rows_is_the_same_convolution(kernel: int, stride: int, padding: int, clips: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv1d(16, 24, kernel, stride, padding)
    sound = torch.randn(clips, 16, 37)
    with torch.no_grad():
        ours, theirs = FrameConvolution(convolution)(sound), convolution(sound)
    torch.testing.assert_close(ours.float(), theirs, atol=0.03, rtol=0.02)
    assert ours.transpose(1, 2).is_contiguous(), "frames stay rows"


@pytest.mark.parametrize(("channels", "groups", "kernel"), [(16, 2, 8), (96, 96, 5), (64, 4, 16), (96, 2, 128)])
def test_convolutions_of_groups_are_right_too(channels: int, groups: int, kernel: int) -> None:
    """oneDNN's in bf16 are not, with 8 channels a group."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=groups), nn.Linear(1, 1))
    sound = torch.randn(1, channels, 50)
    with torch.inference_mode():
        theirs = model[0](sound)
        quicken(model, "1")
        with torch.autocast("cpu", torch.bfloat16):
            ours = model[0](sound)
    torch.testing.assert_close(ours.float(), theirs, atol=0.03, rtol=0.02)


def test_the_first_convolution_and_its_norm_are_one_and_hear_what_is_quiet() -> None:
    torch.manual_seed(0)
    convolution, norm = nn.Conv1d(1, 32, 10, 5, bias=True), nn.GroupNorm(32, 32)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    for offset, loudness in ((0.0, 1.0), (0.3, 1e-3)):
        sound = offset + loudness * torch.randn(2, 1, 4000)
        with torch.no_grad():
            ours, theirs = NormedConvolution(convolution, norm)(sound), norm(convolution(sound.double().float()))
        torch.testing.assert_close(ours.float(), theirs, atol=0.03, rtol=0.02)


def test_what_was_found_is_kept_until_torch_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gains = iter([3.0, 1.1])
    monkeypatch.setattr(precision, "_tried", lambda: next(gains))
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    found = precision.listening_precision(tmp_path)
    assert found.name == "bf16" and "3.0 times" in found.reason
    assert precision.listening_precision(tmp_path) == found
    monkeypatch.setattr(torch, "__version__", "99.0")
    anew = precision.listening_precision(tmp_path)
    assert anew.name == "fp32" and "only 1.1 times" in anew.reason
    (tmp_path / precision.KEPT).write_text('{"gain": "9"}')
    with pytest.raises(StopIteration):  # a broken file is no answer
        precision.listening_precision(tmp_path)


def checkpoint_of(folder: Path, settings: Settings) -> Checkpoint:
    """The model that hears for the app."""
    recognizer = transcribe.recognizer_of(folder, settings)
    assert isinstance(recognizer, CTCRecognizer)
    return recognizer.transcriber.checkpoint


def test_without_bf16_instructions_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert precision.listening_precision(tmp_path).name == "fp32" and not list(tmp_path.iterdir())
    model = save_answering(tmp_path / "model", "h")
    assert not checkpoint_of(model, Settings(data_dir=tmp_path)).quick


def test_the_trial_measures_and_needs_no_folder(tmp_path: Path) -> None:
    assert precision._tried() > 0
    assert precision.listening_precision(tmp_path / "not there").reason


def test_a_model_that_is_heard_is_quick_where_the_machine_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    monkeypatch.setattr(precision, "_tried", lambda: 3.0)
    model = save_answering(tmp_path / "model", "h")
    sound = (0.3 * np.sin(np.arange(32_000) / 9)).astype(np.float32)
    settings = Settings(data_dir=tmp_path)
    assert transcribe.transcribe_samples(sound, model, settings, "yours").text == "h"
    assert checkpoint_of(model, settings).quick and model in transcribe.loaded_models()


def opening(size: int, opened: list[str], name: str) -> Any:
    def open_model(make_room: MakeRoom) -> tuple[str, int]:
        make_room(size)
        opened.append(name)
        return name, size

    return open_model


def test_models_stay_warm_within_their_bound_and_the_newest_always() -> None:
    opened: list[str] = []
    warm: WarmModels[str] = WarmModels(lambda: 10)
    a, b, c, large = (Path(name) for name in ("a", "b", "c", "large"))
    for folder, size in ((a, 4), (b, 4), (a, 4), (c, 4), (a, 4)):
        warm.get(folder, 1, opening(size, opened, folder.name))
    assert opened == ["a", "b", "c"] and warm.folders() == [c, a]  # b was used least recently
    warm.get(large, 1, opening(99, opened, "large"))
    assert warm.folders() == [large]
    warm.get(large, 2, opening(3, opened, "trained further"))
    assert opened[-1] == "trained further" and warm.folders() == [large]


def test_two_threads_open_a_model_once_and_a_failure_is_tried_again() -> None:
    warm: WarmModels[str] = WarmModels(lambda: 10)
    began, go_on, opened = threading.Event(), threading.Event(), list[str]()

    def slowly(make_room: MakeRoom) -> tuple[str, int]:
        began.set()
        assert go_on.wait(60)
        opened.append("slowly")
        return "model", 1

    def refused(make_room: MakeRoom) -> tuple[str, int]:
        raise UserError("It is broken.", "Choose another.")

    with pytest.raises(UserError):
        warm.get(Path("a"), 1, refused)
    first = threading.Thread(target=warm.get, args=(Path("a"), 1, slowly))
    second = threading.Thread(target=warm.get, args=(Path("a"), 1, opening(1, opened, "again")))
    first.start()
    assert began.wait(60)
    second.start()
    go_on.set()
    first.join()
    second.join()
    assert opened == ["slowly"]
