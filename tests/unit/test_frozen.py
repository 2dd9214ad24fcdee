"""Frozen layers computed once a clip: as in the whole model, the same again, and in no more memory than there is."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from transformers import TrainingArguments, get_scheduler

from tests.fakes.models import files_in, save_tiny_base, save_tiny_encoder
from tests.fakes.sounds import save_folder, say
from tests.fakes.tiny_models import save_tiny
from tests.fakes.training import Events, context_in, inputs_for
from trainer.errors import UserError
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.inference import logits_of
from trainer.models.model_config import ModelConfig
from trainer.models.vocabulary import vocabulary_for
from trainer.settings import Settings
from trainer.speech.audio import to_16_bit
from trainer.speech.dataset import Example
from trainer.speech.locales import LOCALES
from trainer.training import session
from trainer.training.ctc_trainer import CTCTrainer, share_of_rate
from trainer.training.data import BatchRange, LengthBatchSampler
from trainer.training.evaluation import Evaluation, evaluate
from trainer.training.finetune import finetune
from trainer.training.frozen import FrozenLayers, StatesStore, VisitSampler, copies_that_fit
from trainer.training.recipe import Recipe, Schedule, check_base
from trainer.training.stop_signal import StopRequested

EN = LOCALES["en-US"]
TEXTS = ["abc", "hello there", "no", "what is this"]
KEPT = 2
PLENTY = 10**9
EXAMPLES = [
    Example(str(number), to_16_bit(say(text, number)), text, text.replace(" ", "|"))
    for number, text in enumerate(TEXTS)
]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    base = save_tiny_encoder(tmp_path / "base")
    opened = open_base(files_in(base), vocabulary_for(TEXTS, EN), {"mask_time_prob": 0.0}, keep_head=False)
    torch.nn.init.normal_(cast(Any, opened.model).ctc_head.output.weight)  # else all labels are nearly alike
    opened.freeze_layers(KEPT)
    return opened


def _store(checkpoint: Checkpoint, **values: Any) -> StatesStore:
    given: dict[str, Any] = {"copies": 3, "seed": 1, "most_bytes": PLENTY, "check": lambda: None} | values
    return StatesStore(FrozenLayers(checkpoint, KEPT, in_bf16=False), checkpoint, **given)


@pytest.mark.parametrize(("in_bf16", "nearness"), [(False, 0.02), (True, 0.06)])
def test_above_the_frozen_layers_a_clip_sounds_as_in_the_whole_model(
    checkpoint: Checkpoint, in_bf16: bool, nearness: float
) -> None:
    checkpoint.model.train()
    layers = FrozenLayers(checkpoint, KEPT, in_bf16)
    heard = [layers(example.waveform()) for example in EXAMPLES]
    assert checkpoint.model.training, "as it was"
    checkpoint.model.eval()
    for states, example in zip(heard, EXAMPLES, strict=True):
        assert states.hidden.dtype == torch.bfloat16 and states.samples == len(example.samples)
        whole, above = logits_of(checkpoint, example.waveform()), layers.logits(states)
        assert above.shape == whole.shape
        assert (above - whole).abs().max() < nearness * whole.abs().max()
    one, other = layers.logits(heard[0]), layers.logits(heard[2])
    assert (one[: len(other)] - other[: len(one)]).abs().max() > 3 * nearness * one.abs().max(), "clips differ by more"


def test_a_check_of_states_agrees_with_one_of_sound(checkpoint: Checkpoint) -> None:
    store = _store(checkpoint)
    once = evaluate(checkpoint, EXAMPLES, EN)
    for _ in range(2):
        again = evaluate(
            checkpoint,
            EXAMPLES,
            EN,
            logits_for=lambda number: store.layers.logits(store.of_validation(EXAMPLES[number], number)),
        )
        assert again.loss == pytest.approx(once.loss, rel=0.01)
    assert store.computed == pytest.approx(sum(example.seconds for example in EXAMPLES)), "each once"


def test_copies_are_the_same_whenever_they_are_drawn(checkpoint: Checkpoint) -> None:
    np.random.seed(0)
    before = np.random.get_state(legacy=False)["state"]["pos"]
    one, other, third = _store(checkpoint), _store(checkpoint, most_bytes=0), _store(checkpoint, seed=2)
    asked = [(index, copy) for index in range(len(EXAMPLES)) for copy in range(4)]
    first = {key: one.of_training(EXAMPLES[key[0]], *key).hidden for key in asked}
    for key in reversed(asked):
        assert torch.equal(other.of_training(EXAMPLES[key[0]], *key).hidden, first[key])
    assert np.random.get_state(legacy=False)["state"]["pos"] == before, "nothing else draws otherwise for it"
    assert not torch.equal(third.of_training(EXAMPLES[1], 1, 1).hidden, first[1, 1])
    assert len({len(first[1, copy]) for copy in range(4)}) > 1, "copies are slower and faster"
    assert len(first[1, 0]) == checkpoint.frames(len(EXAMPLES[1].samples)), "the clip itself comes first"


def test_what_is_computed_is_kept_as_far_as_it_fits(checkpoint: Checkpoint) -> None:
    one = _store(checkpoint).of_training(EXAMPLES[0], 0, 0)
    store = _store(checkpoint, most_bytes=2 * one.hidden.numel())
    for _ in range(3):
        store.of_training(EXAMPLES[0], 0, 0)
        store.of_training(EXAMPLES[2], 2, 0)
    seconds = [EXAMPLES[0].seconds, *[EXAMPLES[2].seconds] * 3]
    assert store.computed == pytest.approx(sum(seconds)), "the other is computed anew"


def test_as_many_copies_as_fit(checkpoint: Checkpoint) -> None:
    once = sum(checkpoint.frames(len(example.samples)) for example in EXAMPLES) * 16 * 2
    for room, copies in ((20 * once, 4), (4 * once, 2), (2 * once, 0), (2 * once - 1, None)):
        assert copies_that_fit(checkpoint, EXAMPLES, EXAMPLES, 4, room) == copies


def test_a_stop_comes_before_the_next_clip(checkpoint: Checkpoint) -> None:
    def stopped() -> None:
        raise StopRequested

    store = _store(checkpoint, check=stopped)
    with pytest.raises(StopRequested):
        store.of_training(EXAMPLES[0], 0, 0)


def test_visits_are_counted_across_epochs_and_a_resume() -> None:
    def draws(start: int) -> list[list[tuple[int, int]]]:
        sampler = VisitSampler(LengthBatchSampler([1.0] * 7, None, 3, seed=3))
        return list(BatchRange(sampler, start, 14))

    seen: dict[int, int] = {}
    for index, visits in (draw for batch in draws(0) for draw in batch):
        assert visits == seen.get(index, 0)
        seen[index] = visits + 1
    assert draws(9) == draws(0)[9:]


def _trainer(checkpoint: Checkpoint, folder: Path, recipe: Recipe, store: StatesStore | None) -> CTCTrainer:
    arguments = TrainingArguments(
        str(folder), max_steps=recipe.max_steps, learning_rate=0.01, logging_steps=1, use_cpu=True, report_to=[],
        remove_unused_columns=False, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip

    def unused(step: int) -> Evaluation:
        raise AssertionError("no check was asked for")

    inputs = inputs_for(checkpoint, EXAMPLES, recipe)
    return CTCTrainer(inputs, context_in(folder, []), arguments, unused, store=store)


def test_a_step_on_states_is_a_step_on_the_sound(checkpoint: Checkpoint, tmp_path: Path) -> None:
    recipe = Recipe(batch_seconds=None, batch_clips=4, max_steps=1, frozen_layers=KEPT)
    gradients = []
    for store in (None, _store(checkpoint, copies=0)):
        trainer = _trainer(checkpoint, tmp_path, recipe, store)
        (batch,) = trainer.get_train_dataloader()
        checkpoint.model.zero_grad()
        loss = trainer.compute_loss(checkpoint.model, batch)
        loss.backward()
        grads = {name: w.grad.clone() for name, w in checkpoint.model.named_parameters() if w.grad is not None}
        gradients.append((loss.item(), grads))
    (whole, of_sound), (above, of_states) = gradients
    assert above == pytest.approx(whole, rel=0.01)
    assert of_sound.keys() == of_states.keys() and not any("layers.0" in name or "conv1" in name for name in of_states)
    for name, gradient in of_sound.items():
        assert (of_states[name] - gradient).norm() < 0.1 * gradient.norm() + 1e-4, name


def test_the_head_learns_alone_at_first_and_what_is_frozen_never(checkpoint: Checkpoint, tmp_path: Path) -> None:
    recipe = Recipe(
        batch_seconds=None, batch_clips=4, max_steps=6, head_steps=3, warmup_steps=1, frozen_layers=KEPT,
        learning_rate=0.01, head_learning_rate=0.02,
    )  # fmt: skip
    trainer = _trainer(checkpoint, tmp_path, recipe, _store(checkpoint))
    trainer.create_optimizer_and_scheduler(recipe.max_steps)
    optimizer, scheduler = trainer.optimizer, trainer.lr_scheduler
    assert optimizer is not None and scheduler is not None
    trained = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    names = {name for name, weight in checkpoint.model.named_parameters() if id(weight) in trained}
    assert names and not any(part in name for name in names for part in ("layers.0", "layers.1", "conv1", "conv2"))
    assert any("layers.2" in name for name in names)
    trainer.current_gradient_accumulation_steps = 1
    moved = []
    for step, batch in enumerate(trainer.get_train_dataloader()):
        before = {name: weight.detach().clone() for name, weight in checkpoint.model.named_parameters()}
        trainer.open_body(step)
        optimizer.zero_grad()
        trainer.training_step(checkpoint.model, batch)
        optimizer.step()
        scheduler.step()
        after = dict(checkpoint.model.named_parameters())
        moved.append({name for name, weight in before.items() if not torch.equal(weight, after[name])})
    head = {name for name in names if name.startswith("ctc_head")}
    assert moved[0] == set() and moved[1] == moved[2] == head, "its warm-up begins at 0"
    assert moved[3] == head, "so does that of the rest"
    assert moved[4] > head and moved[4] <= names and any("layers.2" in name for name in moved[4])


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_schedules_are_those_of_transformers(schedule: Schedule) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    kind = "constant_with_warmup" if schedule == "constant" else schedule
    theirs = get_scheduler(kind, optimizer, num_warmup_steps=4, num_training_steps=20)
    for step in range(21):
        assert share_of_rate(schedule, step, 4, 20) == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        theirs.step()
    assert share_of_rate(schedule, -1, 4, 20) == 0


def _finetune(folder: Path, base: Path, **values: Any) -> Events:
    rows = [(text, split) for split in ("train", "validation", "test") for text in TEXTS]
    settings: dict[str, Any] = {"max_steps": 3, "eval_steps": 3, "batch_seconds": 10.0, "warmup_steps": 0}
    recipe = Recipe(base=str(base), data=str(save_folder(folder / "data", rows)), **(settings | values))
    events: Events = []
    nowhere = Settings(data_dir=folder, hub_endpoint="http://127.0.0.1:9", hub_timeout=0.2)
    finetune(recipe, nowhere, context_in(folder, events))
    return events


@pytest.mark.parametrize(
    ("room", "told"),
    [(PLENTY, ""), (16_000, "no changed copies"), (0, "too little memory")],
)
def test_a_fine_tune_with_frozen_layers_leaves_a_whole_model(
    room: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "room_for_states", lambda: room)
    base = save_tiny_encoder(tmp_path / "base")
    events = _finetune(tmp_path, base, frozen_layers=KEPT, augment=True, copies=2, precision="fp32")
    notes = " ".join(event["text"] for event in events if event["event"] == "note")
    assert (told in notes) if told else "memory" not in notes
    assert [event["step"] for event in events if event["event"] == "evaluated"] == [0, 3]
    saved = open_checkpoint(files_in(tmp_path / "model")).model.state_dict()
    before = open_base(files_in(base), vocabulary_for(TEXTS, EN), {}, keep_head=False).model.state_dict()
    assert saved.keys() == before.keys()
    same = {name for name, weight in before.items() if torch.equal(weight, saved[name])}
    assert {name for name in before if ".layers.0." in name or ".layers.1." in name or "r.conv" in name} <= same
    assert not {name for name in before if ".layers.2." in name and "fc" in name} & same


def test_bases_that_cannot_are_refused(tmp_path: Path) -> None:
    whisper = ModelConfig.read(save_tiny_encoder(tmp_path / "whisper"))
    wav2vec2 = ModelConfig.read(save_tiny_base(tmp_path / "wav2vec2"))
    save_tiny("wavlm", tmp_path / "wavlm")
    wavlm = ModelConfig.read(tmp_path / "wavlm")
    adapted = ModelConfig({**wav2vec2.values, "add_adapter": True})
    check_base(Recipe(frozen_layers=3), whisper)
    check_base(Recipe(frozen_layers=1), wav2vec2)
    check_base(Recipe(), wavlm)
    for recipe, config, said in (
        (Recipe(frozen_layers=4), whisper, "has 3 layers, so 4 cannot"),
        (Recipe(frozen_layers=2), wav2vec2, "has 1 layer, so 2 cannot"),
        (Recipe(frozen_layers=1), wavlm, "WavLM learns as a whole"),
        (Recipe(frozen_layers=1), adapted, "Wav2Vec2 learns as a whole"),
    ):
        with pytest.raises(UserError, match=said):
            check_base(recipe, config)
    with pytest.raises(UserError, match="learns as a whole"):
        _finetune(tmp_path, tmp_path / "wavlm", frozen_layers=1)
