"""A fine-tune from its first word to its last: what it tells, keeps and judges, and what it learns its letters from."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.fakes.models import files_in, save_answering, save_tiny_base
from tests.fakes.sounds import save_folder
from tests.fakes.tiny_models import save_tiny
from tests.fakes.training import Events, context_in, examples_of
from trainer.errors import UserError
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.inference import logits_of
from trainer.models.model_files import read_notes
from trainer.models.vocabulary import Vocabulary
from trainer.settings import Settings
from trainer.speech.audio import load_audio, to_16_bit
from trainer.speech.dataset import SPLITS, Example
from trainer.speech.locales import LOCALES
from trainer.training import session
from trainer.training.context import Places
from trainer.training.evaluation import Evaluation, evaluate
from trainer.training.finetune import finetune
from trainer.training.recipe import Recipe
from trainer.training.stop_signal import StopSignal

EN = LOCALES["en-US"]


TEXTS = ["abc", "hello there", "no", "what is this"]


def _finetune(recipe: Recipe, folder: Path) -> tuple[Events, Places]:
    events: Events = []
    settings = Settings(data_dir=folder, hub_endpoint="http://127.0.0.1:9", hub_timeout=0.2)
    context = context_in(folder, events)
    try:
        finetune(recipe, settings, context)
    except UserError as error:
        events.append({"event": "failed", "what": error.what})
    return events, context.places


def _recipe(tmp_path: Path, texts: list[str], **values: Any) -> Recipe:
    data = save_folder(
        tmp_path / "data", [(text, split) for split in ("train", "validation", "test") for text in texts]
    )
    base = tmp_path / "base"
    if not base.exists():
        save_tiny_base(base)
    settings: dict[str, Any] = {"max_steps": 2, "eval_steps": 2, "batch_seconds": 10.0, "warmup_steps": 0} | values
    return Recipe(data=str(data), base=str(base), **settings)


@pytest.mark.parametrize(("patience", "steps"), [(0, 8), (2, 6), (9, 8)])
def test_it_ends_early_where_so_many_checks_find_nothing_better(
    patience: int, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.Session, "_figure", lambda *rates: (1.0,))  # none beats the first
    recipe = _recipe(tmp_path, TEXTS, max_steps=8, patience=patience)
    events, places = _finetune(recipe, tmp_path)
    assert [event["step"] for event in events if event["event"] == "evaluated"] == list(range(0, steps + 1, 2))
    assert [event["step"] for event in events if event["event"] == "log"][-1] == steps
    told = [event["text"] for event in events if event["event"] == "note" and "early" in event["text"]]
    assert told == (["No better for 2 checks: finished early, after 6 of 8 steps."] if steps < 8 else [])
    assert events[-1]["event"] == "tested" and events[-1]["step"] == 2 == read_notes(places.model)["step"]


def test_a_fine_tune_tells_its_story(tmp_path: Path) -> None:
    events, places = _finetune(_recipe(tmp_path, TEXTS, max_steps=4), tmp_path)
    evaluated = [event for event in events if event["event"] == "evaluated"]
    assert [event["step"] for event in evaluated] == [0, 2, 4]
    assert all(len(event["guesses"]) == 4 and event["wer"] >= 0 for event in evaluated)
    assert [event["step"] for event in events if event["event"] == "log"] == [1, 2, 3, 4]
    data = next(event for event in events if event["event"] == "data")
    assert [data[f"{split}_clips"] for split in SPLITS] == [4, 4, 4] and data["left_out"] == {}
    assert data["kind"] == "own" and data["source"] == "Your own recordings"
    assert data["split_by"] == "source" and data["own_test"] and "revision" not in data, (
        "each text is in all three splits of its table"
    )
    assert all(data[f"{split}_seconds"] == pytest.approx(4.3, abs=0.5) for split in SPLITS)
    assert sorted(path.name for path in places.clips.iterdir()) == [f"{number}.wav" for number in range(4)]
    best = [event["step"] for event in events if event["event"] == "model_saved"][-1]
    notes = read_notes(places.model)
    assert notes["step"] == best and notes["untrained"]["wer"] == evaluated[0]["wer"]
    chosen = next(event for event in evaluated if event["step"] == best)
    assert notes["validation"] == {name: chosen[name] for name in ("wer", "cer", "loss")}


def _test_examples(tmp_path: Path) -> list[Example]:
    """Those of `_recipe`'s test split, which are its last clips."""
    files = [tmp_path / "data" / f"{number}.wav" for number in range(8, 12)]
    samples = [to_16_bit(load_audio(file).samples) for file in files]
    return [replace(example, samples=sound) for example, sound in zip(examples_of(TEXTS), samples, strict=True)]


def test_the_test_split_is_read_once_at_the_end_and_by_the_model_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []

    def reading(checkpoint: Checkpoint, examples: list[Example], *rest: Any) -> Evaluation:
        read.append([int(Path(example.name).stem) for example in examples])
        return evaluate(checkpoint, examples, *rest)

    monkeypatch.setattr(session, "evaluate", reading)
    events, places = _finetune(_recipe(tmp_path, TEXTS, max_steps=4), tmp_path)
    assert read == [[4, 5, 6, 7]] * 3 + [[8, 9, 10, 11]]
    told = [event for event in events if event["event"] == "tested"]
    assert len(told) == 1 and events[-1] == told[0]
    kept = evaluate(open_checkpoint(files_in(places.model)), _test_examples(tmp_path), EN)
    figures = {"wer": kept.rates.wer, "cer": kept.rates.cer, "loss": kept.loss, "clips": 4}
    assert {name: told[0][name] for name in figures} == figures
    assert (told[0]["untrained_wer"], told[0]["untrained_cer"]) == (1.0, 1.0), "a new head writes nothing"
    assert read_notes(places.model)["test"] == figures
    assert not list(places.model.parent.glob("*.part"))


def test_a_base_that_writes_already_is_measured_by_the_same_clips(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, ["a", "aa", "a a"]).change(base=str(save_answering(tmp_path / "answering", "a")))
    events, _ = _finetune(recipe, tmp_path)
    told = next(event for event in events if event["event"] == "tested")
    assert told["untrained_wer"] == pytest.approx(2 / 4) and told["untrained_cer"] == pytest.approx(
        3 / 6
    )  # "a", thrice


def _finetune_and(tmp_path: Path, recipe: Recipe, at: Callable[[dict[str, Any], StopSignal], None]) -> Events:
    """What is told of a fine-tune in which something happens at an event."""
    events: Events = []
    context = context_in(tmp_path, events)

    def tell(kind: str, /, **fields: Any) -> None:
        context.tell(kind, **fields)
        at(events[-1], context.stop)

    finetune(recipe, Settings(data_dir=tmp_path), replace(context, tell=tell))
    return events


@pytest.mark.parametrize(
    ("urgent", "seconds", "tested"), [(False, 60.0, True), (True, 60.0, False), (False, 0.0, False)]
)
def test_a_stop_waits_for_the_test_split_a_moment_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, urgent: bool, seconds: float, tested: bool
) -> None:
    monkeypatch.setattr(session, "TEST_SECONDS_AT_STOP", seconds)

    def stop_after_two(event: dict[str, Any], stop: StopSignal) -> None:
        if event["event"] == "log" and event["step"] == 2:
            stop.requested, stop.urgent = True, urgent

    events = _finetune_and(tmp_path, _recipe(tmp_path, TEXTS, max_steps=90, eval_steps=50), stop_after_two)
    kinds = [event["event"] for event in events if event["event"] != "phase"]
    assert kinds[-4:] == ["stopping", "checkpoint", "model_saved", "tested"][: 4 if tested else 3] or not tested
    assert ("tested" in kinds) is tested and ("test" in read_notes(tmp_path / "model")) is tested
    assert read_notes(tmp_path / "model")["step"] == 2


def test_a_stop_while_the_test_split_is_read_can_be_resumed_to_read_it(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, TEXTS)

    def stop_when_it_is_trained(event: dict[str, Any], stop: StopSignal) -> None:
        if event["event"] == "model_saved" and event["step"] == 2:
            stop.requested = True

    events = _finetune_and(tmp_path, recipe, stop_when_it_is_trained)
    assert [event["event"] for event in events if event["event"] != "phase"][-2:] == ["stopping", "checkpoint"]
    more: Events = []
    assert finetune(recipe, Settings(data_dir=tmp_path), context_in(tmp_path, more), resume=True) == "finished"
    kinds = [event["event"] for event in more]
    assert kinds[-1] == "tested" and "log" not in kinds and "evaluated" not in kinds


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


def test_what_letters_lack_is_added_to_them_where_they_write_a_good_part(tmp_path: Path) -> None:
    _, first = _finetune(_recipe(tmp_path, TEXTS), tmp_path / "first")
    own = json.loads((first.model / "vocab.json").read_text())
    recipe = _recipe(tmp_path / "more", [f"{text} ä" for text in TEXTS]).change(base=str(first.model), max_steps=2)
    events, second = _finetune(recipe, tmp_path / "second")
    note = next(event["text"] for event in events if event["event"] == "note")
    assert note == "The model you start from cannot write “ä”: it learns them besides its own letters."
    assert json.loads((second.model / "vocab.json").read_text()) == own | {"ä": len(own)}
    assert open_checkpoint(files_in(second.model)).model.config.vocab_size == len(own) + 1


@pytest.mark.parametrize("kind", ["wav2vec2", "parakeet_ctc"])
def test_labels_that_are_added_leave_those_of_before_as_they_were(kind: str, tmp_path: Path) -> None:
    """A head may be a linear layer, or a convolution."""
    save_tiny(kind, tmp_path / "base")
    files = files_in(tmp_path / "base")
    labels = files.config.labels
    assert labels
    own = Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2} | {chr(0x4E00 + number): number for number in range(3, labels)})
    more = Vocabulary({**own.tokens, "ä": labels, "ö": labels + 1})
    sound = np.sin(np.arange(8000, dtype=np.float32) / 9)
    opened = [open_base(files, vocabulary, {}, keep_head=True) for vocabulary in (own, more)]
    for checkpoint in opened:
        checkpoint.model.eval()
    before, after = (logits_of(checkpoint, sound) for checkpoint in opened)
    assert after.shape[-1] == labels + 2
    torch.testing.assert_close(after[..., :labels], before)
    for added in after[..., labels:].unbind(-1):  # as the mean of the letters
        torch.testing.assert_close(added, before[..., 2:].mean(-1), rtol=1e-3, atol=1e-4)


def test_equal_recipes_give_equal_weights(tmp_path: Path) -> None:
    states = []
    for name in ("first", "second"):
        recipe = _recipe(tmp_path, TEXTS, augment=True, mask_time_prob=0.3, dropout=0.1, max_steps=3)
        _, places = _finetune(recipe, tmp_path / name)
        states.append(open_checkpoint(files_in(places.model)).model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_model_that_writes_nothing_is_told(tmp_path: Path) -> None:
    events, _ = _finetune(_recipe(tmp_path, TEXTS, learning_rate=1e-7), tmp_path)
    assert [event["blank"] for event in events if event["event"] == "evaluated"] == [True, True]


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
    checkpoint = open_base(files_in(base), Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, "a": 3}), {}, keep_head=False)
    assert {weight.dtype for weight in checkpoint.model.parameters()} == {torch.float32}


def test_what_is_told_is_what_the_saved_model_does(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, TEXTS, precision="bf16")
    events, places = _finetune(recipe, tmp_path)
    told = [event for event in events if event["event"] == "evaluated"][-1]
    files = [tmp_path / "data" / f"{number}.wav" for number in range(4, 8)]  # those of the validation split
    samples = [to_16_bit(load_audio(file).samples) for file in files]
    examples = [replace(example, samples=sound) for example, sound in zip(examples_of(TEXTS), samples, strict=True)]
    saved = evaluate(open_checkpoint(files_in(places.model)), examples, EN)
    assert saved.loss == pytest.approx(told["loss"], rel=1e-5)  # in bf16 it is off by 1e-3 or more
