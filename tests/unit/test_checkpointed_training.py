"""Gradient checkpointing hears a batch a second time, in the backward pass: it must hear the same."""

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainingArguments, set_seed

from tests.fakes.models import files_in
from tests.fakes.sounds import say
from tests.fakes.tiny_models import tiny_model
from tests.fakes.training import trainer_for
from trainer.models.architectures import ARCHITECTURES
from trainer.models.ctc_model import open_base
from trainer.models.vocabulary import vocabulary_for
from trainer.speech.audio import to_16_bit
from trainer.speech.dataset import Example
from trainer.speech.locales import LOCALES
from trainer.training.recipe import Recipe

TEXTS = ["no", "what is this"]
EXAMPLES = [Example(text, to_16_bit(say(text, 0)), text, text.replace(" ", "|")) for text in TEXTS]


def _gradient_norm(model_type: str, folder: Path, checkpointing: bool) -> float:
    tiny_model(model_type).save_pretrained(folder / "base")
    silent: dict[str, Any] = ARCHITECTURES[model_type].with_dropout(0.0)
    if ARCHITECTURES[model_type].masks_time:
        silent["mask_time_prob"] = 0.0
    vocabulary = vocabulary_for(TEXTS, LOCALES["en-US"])
    set_seed(0)
    checkpoint = open_base(files_in(folder / "base"), vocabulary, silent, keep_head=False)
    arguments = TrainingArguments(
        str(folder), max_steps=1, logging_steps=1, use_cpu=True, report_to=[], remove_unused_columns=False,
        save_strategy="no", disable_tqdm=True, activation_checkpointing=checkpointing, max_grad_norm=1e9,
    )  # fmt: skip
    recipe = Recipe(batch_seconds=None, batch_clips=2)
    trainer = trainer_for(checkpoint, EXAMPLES, recipe, arguments)
    trainer.train()
    return float(next(entry["grad_norm"] for entry in trainer.state.log_history if "grad_norm" in entry))


@pytest.mark.parametrize(
    "model_type", ["wav2vec2", "wav2vec2-conformer", "mctct", "wav2vec2-bert", "parakeet_ctc", "whisper_ctc"]
)
def test_gradients_are_the_same_with_and_without(model_type: str, tmp_path: Path) -> None:
    plain = _gradient_norm(model_type, tmp_path, checkpointing=False)
    assert _gradient_norm(model_type, tmp_path, checkpointing=True) == pytest.approx(plain, rel=1e-4)
