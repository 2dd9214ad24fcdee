"""A Whisper of the Hub as a base: its encoder is kept, its decoder left alone; and heads apart from their body."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from tests.fakes.hostile_rows import whisper_files
from tests.fakes.hub import FakeHub
from tests.fakes.models import files_in, save_tiny_whisper
from tests.fakes.sounds import say
from tests.fakes.tiny_models import tiny_model
from trainer.errors import UserError
from trainer.hub import connectivity
from trainer.models import build
from trainer.models.base_ref import HubId
from trainer.models.ctc_model import Checkpoint, open_base, open_checkpoint
from trainer.models.inference import logits_of
from trainer.models.model_config import ModelConfig
from trainer.models.model_files import HEAD, ModelFiles, add_notes, read_model, read_notes
from trainer.models.resolve import fetch_checked, is_here
from trainer.models.size import Sizes, ask_sizes, sizes_of
from trainer.models.vocabulary import Vocabulary
from trainer.settings import Settings

LETTERS = Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, "x": 3})
DECODER = "model-00002-of-00002.safetensors"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    connectivity._probes.clear()
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with FakeHub() as hub:
        yield hub


def taught(folder: Path, base: Path, vocabulary: Vocabulary = LETTERS, **settings: Any) -> Checkpoint:
    """A base with a new head, saved as after a training."""
    checkpoint = open_base(files_in(base), vocabulary, settings, keep_head=False)
    checkpoint.save(folder, {"locale": "cs-CZ"})
    checkpoint.model.eval()
    return checkpoint


@pytest.mark.parametrize("prefix", ["model.", ""])
@pytest.mark.parametrize("sharded", [False, True])
def test_its_encoder_is_kept_under_a_new_head(tmp_path: Path, prefix: str, sharded: bool) -> None:
    base = save_tiny_whisper(tmp_path, sharded, prefix)
    model = open_base(files_in(base), LETTERS, {}, keep_head=False).model
    assert model.config.model_type == "whisper_ctc"
    assert (len(cast(Any, model).ctc_head.convolutions), cast(Any, model).ctc_head.output.out_features) == (2, 4)
    kept: dict[str, torch.Tensor] = {}
    for file in base.glob("*.safetensors"):
        kept |= {name: weight for name, weight in load_file(file).items() if "encoder." in name}
    ours = model.model.encoder.state_dict()
    assert len(ours) == sum(".encoder." in f".{name}" and "decoder" not in name for name in kept)
    for name, weight in ours.items():
        assert torch.equal(weight, kept[f"{prefix}encoder.{name}"]), name


def test_its_decoder_counts_as_no_memory_and_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_in(save_tiny_whisper(tmp_path))
    given: list[set[str]] = []
    assemble = build._assemble

    def watched(config: Any, state: dict[str, Any], *more: Any, **options: Any) -> Any:
        given.append({*state})
        return assemble(config, state, *more, **options)

    monkeypatch.setattr(build, "_assemble", watched)
    memory = build.compare(files.config, files.shapes, files.most_bytes)
    model, _ = build.load(files, {"vocab_size": 32})
    assert memory == build._memory_of(model)
    names = set().union(*given)
    assert len(names) > 30 and not [name for name in names if "decoder" in name or "proj_out" in name]


def test_what_is_saved_of_it_opens_with_its_letters_and_goes_on(tmp_path: Path) -> None:
    checkpoint, sound = taught(tmp_path / "model", save_tiny_whisper(tmp_path / "base")), say("hello there")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["model_type"] == "whisper_ctc"
    opened = open_checkpoint(files_in(tmp_path / "model"))
    assert opened.vocabulary.tokens == LETTERS.tokens
    torch.testing.assert_close(logits_of(opened, sound), logits_of(checkpoint, sound))
    again = open_base(files_in(tmp_path / "model"), opened.vocabulary, {}, keep_head=True)
    again.model.eval()
    torch.testing.assert_close(logits_of(again, sound), logits_of(checkpoint, sound))


def test_convolutions_of_its_head_are_kept_where_only_the_letters_are_new(tmp_path: Path) -> None:
    first = taught(tmp_path / "model", save_tiny_whisper(tmp_path / "base"))
    more = Vocabulary({**LETTERS.tokens, "y": 4, "z": 5})
    second = open_base(files_in(tmp_path / "model"), more, {}, keep_head=False)
    for ours, theirs in zip(
        cast(Any, second.model).ctc_head.convolutions.parameters(),
        cast(Any, first.model).ctc_head.convolutions.parameters(),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    assert cast(Any, second.model).ctc_head.output.out_features == 6
    same = open_base(files_in(tmp_path / "model"), LETTERS, {}, keep_head=False)
    assert not torch.equal(cast(Any, same.model).ctc_head.output.weight, cast(Any, first.model).ctc_head.output.weight)
    assert cast(Any, same.model).ctc_head.output.bias.tolist() == [2, 0, 0, 0]


def test_its_tokens_are_not_read_as_letters(tmp_path: Path) -> None:
    files = files_in(save_tiny_whisper(tmp_path))
    assert files.vocabulary() is None and files.config.labels is None
    (tmp_path / "vocab.json").write_text("no JSON")
    assert files_in(tmp_path).vocabulary() is None
    with pytest.raises(UserError, match="not taught to write letters yet"):
        open_checkpoint(files_in(tmp_path))


def test_positions_need_not_be_stored(tmp_path: Path) -> None:
    whole = taught(tmp_path / "model", save_tiny_whisper(tmp_path / "base"))
    weights = tmp_path / "model" / "model.safetensors"
    state = load_file(weights)
    positions = state.pop("model.encoder.embed_positions.weight")
    save_file(state, weights)
    opened = open_checkpoint(files_in(tmp_path / "model")).model.model.encoder.embed_positions.weight
    torch.testing.assert_close(opened, positions, rtol=0, atol=1e-4)
    assert not opened.requires_grad
    assert torch.equal(positions, whole.model.model.encoder.embed_positions.weight)


def test_a_decoder_in_a_shard_of_its_own_is_not_downloaded(hub: FakeHub, tmp_path: Path) -> None:
    hub.add_model("anna/whisper", whisper_files(sharded=True))
    settings = Settings(data_dir=tmp_path / "data", hub_endpoint=hub.url)
    files = fetch_checked("anna/whisper", None, settings)
    assert files.memory is not None
    assert not [seen.path for seen in hub.requests if seen.path.endswith(DECODER)]
    assert not (files.folder / DECODER).exists()
    open_base(files, LETTERS, {}, keep_head=False)
    assert is_here(HubId("anna/whisper"), settings)
    away = replace(settings, hub_endpoint="http://127.0.0.1:9")
    assert fetch_checked("anna/whisper", None, away).folder == files.folder


def test_its_size_is_told_without_its_decoder(hub: FakeHub, tmp_path: Path) -> None:
    small = whisper_files()
    hub.add_model("anna/whisper", small)
    sizes = ask_sizes(HubId("anna/whisper"), Settings(data_dir=tmp_path, hub_endpoint=hub.url))
    files = files_in(save_tiny_whisper(tmp_path / "base"))
    model, _ = build.load(files, {"vocab_size": 32})
    there = sum(weight.numel() for weight in model.parameters())
    assert sizes.parameters == pytest.approx(there, rel=0.05)
    assert sizes.download_bytes == len(small["model.safetensors"])


@pytest.mark.parametrize("name", ["tiny", "base", "small", "large-v3-turbo"])
def test_a_row_of_the_table_has_the_parameters_of_its_encoder(name: str) -> None:
    base = HubId(f"openai/whisper-{name}")
    sizes = sizes_of(base)
    assert isinstance(sizes, Sizes) and base.row is not None
    config = ModelConfig(dict(base.row.config))
    with pytest.raises(UserError, match="of memory, where 1 kB is the most"):
        build.check_builds(config, 1000)
    cleaned = build._clean({**config.model_values, "vocab_size": 32})
    with torch.device("meta"):
        encoder: Any = build._class_for(cleaned)(cleaned)
    counted = sum(weight.numel() for weight in encoder.model.parameters())
    assert sizes.parameters == pytest.approx(counted, rel=0.01)


def head_of(folder: Path, checkpoint: Checkpoint, vocabulary: Vocabulary, **notes: Any) -> Path:
    """A head apart: its output layer, letters and notes."""
    checkpoint.save(folder / "whole", notes)
    for name in ("vocab.json", "tokenizer_config.json", "voicetune.json"):
        (folder / "whole" / name).rename(folder / name)
    state = checkpoint.model.state_dict()
    names = ("ctc_head.output.weight", "ctc_head.output.bias")
    save_file({name: state[name].contiguous().half() for name in names}, folder / HEAD)
    assert len(vocabulary.tokens) == len(state[names[1]])
    return folder


@pytest.fixture
def body(tmp_path: Path) -> Path:
    """A model that writes four labels."""
    taught(tmp_path / "body", save_tiny_whisper(tmp_path / "base"))
    return tmp_path / "body"


def with_head(body: Path, head: Path) -> ModelFiles:
    """The head laid where its body's heads are."""
    place = body / "heads" / "cs"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(head, place, ignore=shutil.ignore_patterns("whole", "config.json", "model.safetensors"))
    return read_model(place, Settings.max_load_bytes)


MORE = Vocabulary({**LETTERS.tokens, "y": 4, "ž": 5})


def test_a_head_apart_writes_its_own_letters_over_its_body(body: Path, tmp_path: Path) -> None:
    other = open_base(files_in(body), MORE, {}, keep_head=False)
    torch.nn.init.normal_(cast(Any, other.model).ctc_head.output.weight)
    head = head_of(tmp_path / "head", other, MORE, locale="cs-CZ", cer=0.1)
    files = with_head(body, head)
    assert files.config.labels == 6 and files.shapes["ctc_head.output.bias"] == (6,)
    opened, sound = open_checkpoint(files), say("hello there")
    assert opened.vocabulary.tokens == MORE.tokens
    assert read_notes(files.notes_folder) == {"locale": "cs-CZ", "cer": 0.1}
    other.model.eval()
    torch.testing.assert_close(logits_of(opened, sound), logits_of(other, sound), rtol=1e-2, atol=1e-2)
    going_on = open_base(files, MORE, {}, keep_head=True)
    assert torch.equal(cast(Any, going_on.model).ctc_head.output.bias, cast(Any, opened.model).ctc_head.output.bias)
    assert open_checkpoint(files_in(body)).vocabulary.tokens == LETTERS.tokens  # the body's own is as before
    going_on.save(tmp_path / "saved", {})
    assert open_checkpoint(files_in(tmp_path / "saved")).vocabulary.tokens == MORE.tokens


def test_a_head_apart_may_lie_over_a_body_without_one(body: Path, tmp_path: Path) -> None:
    head = head_of(tmp_path / "head", open_checkpoint(files_in(body)), LETTERS)
    weights = load_file(body / "model.safetensors")
    save_file({name: weight for name, weight in weights.items() if "output" not in name}, body / "model.safetensors")
    for name in ("vocab.json", "tokenizer_config.json", "voicetune.json"):
        (body / name).unlink()
    with pytest.raises(UserError, match="only pretrained"):
        open_checkpoint(files_in(body))
    assert open_checkpoint(with_head(body, head)).vocabulary.tokens == LETTERS.tokens


def test_a_head_that_does_not_belong_is_refused(body: Path, tmp_path: Path) -> None:
    head = head_of(tmp_path / "head", open_checkpoint(files_in(body)), LETTERS)
    with pytest.raises(UserError, match=r"config\.json is missing"):
        read_model(head, Settings.max_load_bytes)  # it lies nowhere near a body
    right = load_file(head / HEAD)
    wide = {name: torch.cat([weight, weight], dim=-1) for name, weight in right.items() if weight.dim() > 1}
    for wrong, sentence in (
        ({"ctc_head.output.weight": right["ctc_head.output.weight"]}, "another kind of model"),
        (right | {"model.encoder.conv1.bias": torch.zeros(16)}, "another kind of model"),
        ({"lm_head.weight": torch.zeros(4, 16), "lm_head.bias": torch.zeros(4)}, "another kind of model"),
        (right | wide, "not taught to write letters"),
    ):
        save_file(wrong, head / HEAD)
        with pytest.raises(UserError, match=sentence):
            open_checkpoint(with_head(body, head))
    (head / HEAD).write_bytes(b"no weights")
    with pytest.raises(UserError, match="weights are broken"):
        with_head(body, head)
    (head / "tokenizer_config.json").write_text('{"auto_map": {}}')
    with pytest.raises(UserError, match="brings code of its own"):
        with_head(body, head)


def test_a_head_apart_works_for_other_kinds_too(tmp_path: Path) -> None:
    tiny_model("wav2vec2").save_pretrained(tmp_path / "base")
    checkpoint = open_base(files_in(tmp_path / "base"), MORE, {}, keep_head=False)
    checkpoint.save(tmp_path / "head", {})
    state = checkpoint.model.state_dict()
    save_file({name: state[name] for name in ("lm_head.weight", "lm_head.bias")}, tmp_path / "head" / HEAD)
    opened = open_checkpoint(with_head(tmp_path / "base", tmp_path / "head"))
    assert torch.equal(opened.model.lm_head.weight, state["lm_head.weight"])
    add_notes(tmp_path / "head", locale="cs-CZ")
    assert read_notes(with_head(tmp_path / "base", tmp_path / "head").notes_folder) == {"locale": "cs-CZ"}
