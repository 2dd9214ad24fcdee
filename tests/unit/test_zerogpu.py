"""ZeroGPU as the `spaces` package offers it: a fork a call, pickles to and fro, errors that carry a title.

There is no such GPU here: a state-in for the package forks and pickles as the real one does, and "cuda" is the
processor. What the real package does with its own hardware is not tested.
"""

import importlib
import multiprocessing
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch

from tests.fakes.models import save_answering
from trainer.errors import UserError
from trainer.settings import Settings
from trainer.transcription import transcribe, zerogpu

RATE = 16_000
TONE = (0.3 * np.sin(np.arange(2 * RATE) / 9)).astype(np.float32)


class FakeSpaces(types.ModuleType):
    """`GPU` as the package has it; keeps the durations asked for, and refuses where `refusal` is set."""

    def __init__(self) -> None:
        super().__init__("spaces")
        self.asked: list[int] = []
        self.refusal: Exception | None = None

    def GPU(self, duration: Callable[..., int]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: N802
        def decorate(task: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                self.asked.append(duration(*arguments))
                if self.refusal:
                    raise self.refusal
                queue = multiprocessing.get_context("fork").SimpleQueue()
                child = multiprocessing.get_context("fork").Process(
                    target=lambda: queue.put(task(*arguments)), daemon=True
                )
                child.start()
                answer = queue.get()
                child.join()
                return answer

            return call

        return decorate


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSpaces]:
    fake = FakeSpaces()
    monkeypatch.setitem(sys.modules, "spaces", fake)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    importlib.reload(zerogpu)
    monkeypatch.setattr(zerogpu, "WORTH_BYTES", 1)
    move = torch.nn.Module.to
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, where, **k: move(self, "cpu" if where == "cuda" else where))
    yield fake
    monkeypatch.undo()
    importlib.reload(zerogpu)


def test_elsewhere_the_package_is_not_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)  # importing it raises
    importlib.reload(zerogpu)
    assert not zerogpu.lent() and not zerogpu.helps(tmp_path)


def test_a_sound_is_written_down_in_the_forked_process(spaces: FakeSpaces, tmp_path: Path) -> None:
    model = save_answering(tmp_path / "model", "h")
    heard = transcribe.transcribe_samples(TONE, model, Settings(data_dir=tmp_path), "your model")
    assert heard.text == "h"
    assert model not in transcribe.loaded_models(), "it was opened where the GPU is"
    assert spaces.asked == [zerogpu.SECONDS_TO_OPEN + 1]
    assert zerogpu.seconds_for(300 * RATE) == zerogpu.SECONDS_TO_OPEN + 15


def test_small_models_borrow_nothing(spaces: FakeSpaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerogpu, "WORTH_BYTES", 100 * 2**20)
    model = save_answering(tmp_path / "model", "h")
    heard = transcribe.transcribe_samples(TONE, model, Settings(data_dir=tmp_path), "your model")
    assert heard.text == "h" and spaces.asked == []
    assert model in transcribe.loaded_models()


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("ZeroGPU quota exceeded", "used up for now"),
        ("ZeroGPU queue timeout", "No GPU was free"),
        ("ZeroGPU illegal duration", "longer than a GPU is lent for"),
    ],
)
def test_a_refusal_is_said_in_plain_words(spaces: FakeSpaces, tmp_path: Path, title: str, words: str) -> None:
    model = save_answering(tmp_path / "model", "h")
    spaces.refusal = gr.Error("You have exceeded your free ZeroGPU quota (60s requested vs. 0s left).", title=title)
    with pytest.raises(UserError, match=words):
        transcribe.transcribe_with(str(save_tone(tmp_path)), model, Settings(data_dir=tmp_path))


def test_what_is_wrong_with_a_model_is_still_said(spaces: FakeSpaces, tmp_path: Path) -> None:
    model = save_answering(tmp_path / "model", "h")
    (model / "vocab.json").unlink()
    with pytest.raises(UserError, match="only pretrained"):
        zerogpu.transcribe_on_gpu(model, TONE, Settings.max_load_bytes)


def test_other_faults_stay_faults(spaces: FakeSpaces, tmp_path: Path) -> None:
    spaces.refusal = gr.Error("RuntimeError", title="ZeroGPU worker error")
    with pytest.raises(gr.Error):
        zerogpu.transcribe_on_gpu(save_answering(tmp_path / "model", "h"), TONE, Settings.max_load_bytes)


def save_tone(folder: Path) -> Path:
    import soundfile

    soundfile.write(folder / "tone.wav", TONE, RATE)
    return folder / "tone.wav"
