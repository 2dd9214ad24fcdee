"""When each word was said: as the stock pipeline tells it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import pipeline

from tests.fakes.models import files_in
from tests.fakes.sounds import say
from tests.fakes.tiny_models import save_tiny
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.inference import Transcriber, logits_of
from trainer.models.vocabulary import vocabulary_for
from trainer.speech.audio import SAMPLE_RATE, from_16_bit, to_16_bit
from trainer.speech.locales import LOCALES

EN = LOCALES["en-US"]


def babbling(folder: Path) -> Checkpoint:
    """A random model that writes several words of a sound: spaces are made as likely as letters, blanks rare."""
    save_tiny("wav2vec2", folder / "base")
    base = open_base(files_in(folder / "base"), vocabulary_for(["abc defg"], EN), {}, keep_head=False)
    torch.manual_seed(3)
    for weight in base.model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    base.save(folder / "model", {})
    return open_checkpoint(files_in(folder / "model"))


@pytest.mark.parametrize("sentence", ["hello there", "what is this now"])
def test_words_begin_and_end_where_the_stock_pipeline_says(sentence: str, tmp_path: Path) -> None:
    checkpoint, sound = babbling(tmp_path), say(sentence)
    words = Transcriber(checkpoint)(sound).words
    heard: Any = pipeline("automatic-speech-recognition", model=str(tmp_path / "model"))(
        {"raw": from_16_bit(to_16_bit(sound)), "sampling_rate": SAMPLE_RATE}, return_timestamps="word"
    )
    theirs = heard["chunks"]
    assert len(words) > 3 and len(logits_of(checkpoint, sound)) > 30
    assert [word.text for word in words] == [chunk["text"].strip() for chunk in theirs]
    frame = checkpoint.stride / SAMPLE_RATE
    ours = np.array([(word.start, word.end) for word in words])
    assert np.abs(ours - np.array([chunk["timestamp"] for chunk in theirs])).max() <= frame + 1e-3
