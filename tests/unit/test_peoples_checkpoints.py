"""Checkpoints as people save them: opened as transformers opens them, or refused in a sentence."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCTC, Wav2Vec2FeatureExtractor

from tests.fakes.models import files_in, save_tiny_base
from tests.fakes.training import Events, context_in
from tests.unit.test_vocabulary import LETTERS, PLAIN, stock
from trainer.errors import UserError
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.decoding import collapse, text_of
from trainer.models.inference import Transcriber, logits_of
from trainer.models.vocabulary import Vocabulary
from trainer.settings import Settings
from trainer.training.finetune import finetune
from trainer.training.recipe import Recipe
from trainer.training.session import Session

SOUND = np.round(np.random.default_rng(0).uniform(-0.3, 0.3, 24_000) * 32767).astype(np.float32) / 32767
REPORTS = {
    "ckpt_added_letters": "input",
    "ckpt_mms_one_language": "input",
    "ckpt_old_weight_names": "input",
    "ckpt_space_delimiter": "input",
    "ckpt_vocab_larger": "input",
    "ckpt_with_lm": "input",
    "cyrillic_on_cp1252": "input",
    "relative_base": "input/models/mine",
}


def assert_as_transformers(folder: Path) -> Checkpoint:
    """The same logits for the same sound, and the same text for any labels."""
    checkpoint = open_checkpoint(files_in(folder))
    model = AutoModelForCTC.from_pretrained(folder, dtype=torch.float32).eval()
    own = (folder / "preprocessor_config.json").exists() or (folder / "processor_config.json").exists()
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder) if own else Wav2Vec2FeatureExtractor()
    inputs = extractor(SOUND, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.inference_mode():
        theirs = model(inputs).logits[0]
    ours = logits_of(checkpoint, SOUND)
    assert ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-3)
    ids = np.concatenate([theirs.argmax(-1).numpy(), np.random.default_rng(0).integers(0, theirs.shape[1], 400)])
    written = text_of(collapse(ids, np.ones(len(ids)), checkpoint.vocabulary), checkpoint.vocabulary)
    assert written == stock(folder, ids) and len(written) > 100
    assert Transcriber(checkpoint)(SOUND).text == stock(folder, theirs.argmax(-1).numpy())
    return checkpoint


@pytest.mark.parametrize("name", REPORTS)
def test_the_checkpoint_of_a_report(name: str, cases: Path) -> None:
    assert_as_transformers(cases / name / REPORTS[name])


def test_no_report_about_checkpoints_is_forgotten(cases: Path) -> None:
    assert {file.relative_to(cases).parts[0] for file in cases.rglob("config.json")} == set(REPORTS)


def tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, {"format": "pt"})


def values(folder: Path, name: str = "config.json", **changed: Any) -> None:
    """Put values into a JSON file; None takes one out."""
    file = folder / name
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    after = {key: value for key, value in {**before, **changed}.items() if value is not None}
    file.write_text(json.dumps(after, ensure_ascii=False), encoding="utf-8")


def beside(*names: str) -> Callable[[Path], None]:
    """Files with bytes that must never be opened: as pickles they would fail loudly."""

    def put(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"\x80\x04not to be opened")

    return put


def gone(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def put(name: str, **changed: Any) -> Callable[[Path], None]:
    return lambda folder: values(folder, name, **changed)


def each(*changes: Callable[[Path], object]) -> Callable[[Path], None]:
    """One after the other."""

    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def of_type(dtype: torch.dtype) -> Callable[[Path], None]:
    return lambda folder: tensors(folder, lambda all: {name: tensor.to(dtype) for name, tensor in all.items()})


def sharded(folder: Path) -> None:
    model = AutoModelForCTC.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="10KB")
    assert len(list(folder.glob("*.safetensors"))) > 1


def old_names(folder: Path) -> None:
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}

    def renamed(name: str) -> str:
        for new, old in names.items():
            name = name.replace(new, old)
        return name

    tensors(folder, lambda all: {renamed(name): tensor for name, tensor in all.items()})
    assert any(name.endswith("weight_g") for name in load_file(folder / "model.safetensors"))


def as_hubert(folder: Path) -> None:
    values(folder, model_type="hubert")
    config = AutoConfig.from_pretrained(folder)
    AutoModelForCTC.from_config(config).save_pretrained(folder)


def one_processor_file(folder: Path) -> None:
    extractor = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    values(folder, "processor_config.json", feature_extractor=extractor, processor_class="Wav2Vec2Processor")


OPENED: dict[str, Callable[[Path], object]] = {
    "plain": lambda folder: None,
    "in shards": sharded,
    "in fp16": of_type(torch.float16),
    "in bf16": of_type(torch.bfloat16),
    "in fp64": of_type(torch.float64),
    "no architectures": lambda folder: values(folder, architectures=None),
    "no front end": lambda folder: values(folder, conv_kernel=None, conv_stride=None, num_feat_extract_layers=None),
    "no pad_token_id": lambda folder: values(folder, pad_token_id=None),
    "another pad_token_id": lambda folder: values(folder, pad_token_id=7),
    "notes of Transformers 4": lambda folder: values(
        folder, _name_or_path="/home/anna/base", transformers_version="4.11.3", torch_dtype="float32",
        gradient_checkpointing=True, feat_extract_dropout=0.0, codevector_dim=256, num_codevector_groups=2,
    ),
    "no tokenizer_config.json": gone("tokenizer_config.json"),
    "no preprocessor_config.json": gone("preprocessor_config.json"),
    "processor_config.json alone": one_processor_file,
    "vocab.json with more than the head": lambda folder: values(folder, "vocab.json", **{"<s>": 11, "</s>": 12}),
    "added letters for the rest of the head": each(
        put("vocab.json", g=None, h=None), put("added_tokens.json", ä=9, ö=10),
    ),
    "tokenizer.json beside": lambda folder: values(
        folder, "tokenizer.json", version="1.0", added_tokens=[],
        model={"type": "WordLevel", "vocab": {"x": 0}, "unk_token": "x"},
    ),
    "special_tokens_map.json beside": lambda folder: values(
        folder, "special_tokens_map.json", pad_token="[PAD]", unk_token="[UNK]"
    ),
    "a language model beside": each(
        beside("language_model/5gram.bin", "language_model/unigrams.txt"),
        put("alphabet.json", labels=list(LETTERS), is_bpe=False),
        put("preprocessor_config.json", processor_class="Wav2Vec2ProcessorWithLM"),
    ),
    "adapters beside": each(
        beside("adapter.deu.safetensors", "adapter.deu.bin"),
        put("adapter_config.json", peft_type="LORA", base_model_name_or_path="evil/base"),
    ),
    "the Trainer's files beside": beside(
        "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt", "trainer_state.json"
    ),
    "other frameworks' weights beside": beside("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "model.onnx"),
    "checkpoints beside": beside("checkpoint-500/optimizer.pt", "checkpoint-500/model.safetensors", "runs/events.1"),
    "hidden files beside": beside(".gitattributes", "._config.json", ".DS_Store", "._vocab.json"),
    "code and words beside": beside("README.md", "eval.py", "modeling.py", "log_all_predictions.txt"),
    "weights of the pretraining left in": lambda folder: tensors(
        folder, lambda all: all | {"quantizer.codevectors": torch.zeros(1, 4, 2), "project_q.weight": torch.zeros(2, 2)}
    ),
    "weights' names of earlier versions": old_names,
    "sound that is not normalised": lambda folder: values(folder, "preprocessor_config.json", do_normalize=False),
    "a HuBERT": as_hubert,
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "vocab.json with less than the head": (
        lambda folder: values(folder, "vocab.json", h=None, g=None), "11 letters and signs.* what 2 of them are",
    ),
    "no vocab.json": (gone("vocab.json"), "only pretrained"),
    "no head": (
        lambda folder: tensors(folder, lambda all: {n: t for n, t in all.items() if "lm_head" not in n}),
        "not taught to write letters",
    ),
    "no vocab_size, which means 32": (lambda folder: values(folder, vocab_size=None), "not taught to write letters"),
    "a pickle alone": (
        each(gone("model.safetensors"), beside("pytorch_model.bin")), "hidden code",
    ),
    "an adapter alone": (
        each(gone("model.safetensors"), beside("adapter_model.safetensors")), "no weights",
    ),
    "a shard missing": (
        each(sharded, lambda folder: next(folder.glob("model-*.safetensors")).unlink()), "lacks a part",
    ),
    "weights cut off": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100]),
        "weights are broken",
    ),
    "weights of another model": (lambda folder: values(folder, hidden_size=32), "of another size"),
}  # fmt: skip


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A whole checkpoint of eleven labels, to be changed."""
    folder = save_tiny_base(tmp_path / "model", vocab_size=len(LETTERS))
    values(folder, "vocab.json", **LETTERS)
    (folder / "tokenizer_config.json").write_text(json.dumps(PLAIN))
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", OPENED)
def test_opened_as_transformers_opens_it(kind: str, people: Path) -> None:
    OPENED[kind](people)
    if kind == "no tokenizer_config.json":  # then transformers adds its own <pad> beyond the head and never uses [PAD]
        assert open_checkpoint(files_in(people)).vocabulary.pad == "[PAD]"
        return
    assert_as_transformers(people)


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_a_sentence(kind: str, people: Path) -> None:
    change, sentence = REFUSED[kind]
    change(people)
    with pytest.raises(UserError) as refused:
        open_checkpoint(files_in(people))
    assert re.search(sentence, refused.value.what), refused.value.what


def test_there_are_thirty_kinds_of_our_own() -> None:
    assert len(OPENED) + len(REFUSED) >= 30


def test_weights_without_their_prefix_open_as_a_base(people: Path) -> None:
    """As bases are saved from the body alone."""
    whole = load_file(people / "model.safetensors")
    tensors(people, lambda all: {n.removeprefix("wav2vec2."): t for n, t in all.items() if "lm_head" not in n})
    model = open_base(files_in(people), Vocabulary(LETTERS), {}, keep_head=False).model.state_dict()
    assert all(torch.equal(model[name], tensor) for name, tensor in whole.items() if "lm_head" not in name)


@pytest.mark.parametrize("kind", ["wav2vec2-conformer", "wav2vec2-bert"])
def test_a_kind_without_a_default_takes_its_labels_from_its_letters(kind: str, people: Path) -> None:
    from tests.fakes.tiny_models import TINY, tiny_model

    model = tiny_model(kind)
    shutil.rmtree(people)
    model.save_pretrained(people)
    labels = TINY[kind]["vocab_size"]
    (people / "vocab.json").write_text(json.dumps({t: n for t, n in LETTERS.items() if n < labels}))
    (people / "tokenizer_config.json").write_text(json.dumps(PLAIN))
    values(people, vocab_size=None)
    kept = open_checkpoint(files_in(people))
    assert torch.equal(kept.model.lm_head.weight, model.lm_head.weight)
    base = open_base(files_in(people), kept.vocabulary, {}, keep_head=True)
    assert torch.equal(base.model.lm_head.weight, model.lm_head.weight)


UNREADABLE: dict[str, dict[str, Any]] = {
    "two languages and none chosen": {"deu": LETTERS, "fra": LETTERS},
    "letters that no file names": {token: number for token, number in LETTERS.items() if number < 9},
    "no blank": {token: number for token, number in LETTERS.items() if number},
    "ids that are no numbers": {token: str(number) for token, number in LETTERS.items()},
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_as_a_base_it_learns_new_letters_and_says_so(
    kind: str, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (people / "vocab.json").write_text(json.dumps(UNREADABLE[kind]))
    with pytest.raises(UserError):
        open_checkpoint(files_in(people))
    opened: list[Session] = []

    def run(session: Session) -> str:
        opened.append(session)
        return "finished"

    monkeypatch.setattr(Session, "run", run)
    events: Events = []
    recipe = Recipe(base=str(people), data="practice", clips=6, eval_clips=2)
    assert finetune(recipe, Settings(data_dir=tmp_path), context_in(tmp_path, events)) == "finished"
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert sum(note.endswith("So it learns new letters.") for note in notes) == 1
    checkpoint = opened[0].inputs.checkpoint
    assert checkpoint.model.lm_head.out_features == len(checkpoint.vocabulary.tokens) > len(LETTERS)
