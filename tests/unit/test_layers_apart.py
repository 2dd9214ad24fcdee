"""Wav2Vec2 and its kin in two parts: above what is computed once a clip it hears, learns and is saved as the whole."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments

from tests.fakes.models import files_in
from tests.fakes.sounds import save_folder, say
from tests.fakes.tiny_models import save_tiny
from tests.fakes.training import Events, context_in, inputs_for
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.inference import logits_of
from trainer.models.vocabulary import vocabulary_for
from trainer.settings import Settings
from trainer.speech.audio import to_16_bit
from trainer.speech.dataset import Example
from trainer.speech.locales import LOCALES
from trainer.training.ctc_trainer import CTCTrainer
from trainer.training.evaluation import Evaluation
from trainer.training.finetune import finetune
from trainer.training.frozen import FrozenLayers, StatesStore
from trainer.training.recipe import Recipe, keeps_states

TEXTS = ["abc", "hello there", "no", "what is this"]
EXAMPLES = [
    Example(str(number), to_16_bit(say(text, number)), text, text.replace(" ", "|"))
    for number, text in enumerate(TEXTS)
]
NEWER = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
KINDS = [("wav2vec2", {}), ("wav2vec2", NEWER), ("hubert", {}), ("unispeech", {}), ("unispeech-sat", NEWER)]


def opened(folder: Path, model_type: str, **values: Any) -> Checkpoint:
    save_tiny(model_type, folder, num_hidden_layers=3, initializer_range=0.1, **values)
    vocabulary = vocabulary_for(TEXTS, LOCALES["en-US"])
    checkpoint = open_base(files_in(folder), vocabulary, {"mask_time_prob": 0.0, "layerdrop": 0.0}, keep_head=False)
    head: Any = checkpoint.model
    torch.nn.init.normal_(head.lm_head.weight)  # else all labels are nearly alike
    return checkpoint


@pytest.mark.parametrize(("model_type", "values"), KINDS)
def test_a_clip_sounds_as_in_the_whole_model(model_type: str, values: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, model_type, **values)
    for count in (0, 2, 3):
        checkpoint.freeze_layers(count)
        for in_bf16, nearness in ((False, 0.01), (True, 0.1)):
            layers = FrozenLayers(checkpoint, count, in_bf16)
            for example in EXAMPLES:
                whole, above = logits_of(checkpoint, example.waveform()), layers.logits(layers(example.waveform()))
                assert above.shape == whole.shape
                assert (above - whole).abs().max() < nearness * whole.abs().max(), (count, in_bf16)


@pytest.mark.parametrize(("model_type", "values"), KINDS)
@pytest.mark.parametrize("count", [0, 2])
def test_a_step_on_states_is_a_step_on_the_sound(
    model_type: str, values: dict[str, Any], count: int, tmp_path: Path
) -> None:
    checkpoint = opened(tmp_path / "base", model_type, **values)
    for module in checkpoint.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # type: ignore[assignment]
    checkpoint.freeze_layers(count)
    recipe = Recipe(batch_seconds=None, batch_clips=4, max_steps=1, frozen_layers=count)
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], remove_unused_columns=False)

    def unused(step: int) -> Evaluation:
        raise AssertionError("no check was asked for")

    store = StatesStore(FrozenLayers(checkpoint, count, in_bf16=False), checkpoint, 0, 1, 10**9, lambda: None)
    found = []
    for kept in (None, store):
        inputs = inputs_for(checkpoint, EXAMPLES, recipe)
        trainer = CTCTrainer(inputs, context_in(tmp_path, []), arguments, unused, store=kept)
        (batch,) = trainer.get_train_dataloader()
        checkpoint.model.zero_grad()
        with checkpoint.clip_lengths(batch["lengths"]):
            loss = trainer.compute_loss(checkpoint.model, batch)
        loss.backward()
        grads = {name: w.grad.clone() for name, w in checkpoint.model.named_parameters() if w.grad is not None}
        found.append((loss.item(), grads))
    (whole, of_sound), (above, of_states) = found
    assert above == pytest.approx(whole, rel=0.01)
    assert of_sound.keys() == of_states.keys()
    assert not any("feature_extractor" in name for name in of_states)
    assert any("feature_projection" in name for name in of_states) == (count == 0)
    for name, gradient in of_sound.items():
        assert (of_states[name] - gradient).norm() < 0.1 * gradient.norm() + 1e-3, name


@pytest.mark.parametrize("count", [0, 2])
def test_a_fine_tune_leaves_a_whole_model_of_its_kind(count: int, tmp_path: Path) -> None:
    base = tmp_path / "base"
    save_tiny("wav2vec2", base, num_hidden_layers=3)
    rows = [(text, split) for split in ("train", "validation", "test") for text in TEXTS]
    recipe = Recipe(
        base=str(base), data=str(save_folder(tmp_path / "data", rows)), max_steps=3, eval_steps=3, batch_seconds=10.0,
        warmup_steps=0, mask_time_prob=0.3, frozen_layers=count,
    )  # fmt: skip
    events: Events = []
    nowhere = Settings(data_dir=tmp_path, hub_endpoint="http://127.0.0.1:9", hub_timeout=0.2)
    finetune(recipe, nowhere, context_in(tmp_path, events))
    assert [event["step"] for event in events if event["event"] == "evaluated"] == [0, 3]
    assert json.loads((tmp_path / "model/config.json").read_text())["architectures"] == ["Wav2Vec2ForCTC"]
    saved = open_checkpoint(files_in(tmp_path / "model")).model.state_dict()
    before = open_base(files_in(base), vocabulary_for(TEXTS, LOCALES["en-US"]), {}, keep_head=False).model.state_dict()
    assert saved.keys() == before.keys()
    same = {name for name, weight in before.items() if torch.equal(weight, saved[name])}
    assert {name for name in before if "feature_extractor" in name} <= same
    moved = {name for name in before if ".layers.2." in name and name.endswith("dense.weight")}
    assert moved and not moved & same
    lower = {name for name in before if ".layers.0." in name and name.endswith("dense.weight")}
    assert (lower <= same) if count else not lower & same


def test_a_front_end_is_computed_once_where_nothing_changes_the_clips(tmp_path: Path) -> None:
    config = opened(tmp_path / "a", "wav2vec2").config
    assert keeps_states(Recipe(), config)
    assert not keeps_states(Recipe(augment=True), config)
    assert not keeps_states(Recipe(freeze_feature_encoder=False), config)
    assert keeps_states(Recipe(augment=True, frozen_layers=1), config)
    assert not keeps_states(Recipe(), opened(tmp_path / "b", "wavlm").config)
