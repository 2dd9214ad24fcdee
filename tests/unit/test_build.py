"""Weights reach memory only as the model that config.json describes, and only where they fit."""

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from tests.fakes.hostile_rows import Payload, sound_files
from tests.fakes.hub import FakeHub
from tests.fakes.models import files_in
from tests.fakes.tiny_models import TINY, tiny_model
from trainer.errors import UserError
from trainer.hub import connectivity
from trainer.models import build
from trainer.models.ctc_model import open_base, open_checkpoint
from trainer.models.resolve import ModelChecks, fetch_checked
from trainer.models.safetensors_header import read_heads
from trainer.models.vocabulary import Vocabulary
from trainer.settings import Settings

GIGABYTE = 10**9


def saved(folder: Path, model_type: str) -> Path:
    tiny_model(model_type).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", TINY)
def test_every_kind_opens_with_its_own_weights(tmp_path: Path, model_type: str) -> None:
    files = files_in(saved(tmp_path, model_type))
    model, new = build.load(files, {})
    assert not new
    for ours, theirs in zip(model.state_dict().values(), tiny_model(model_type).state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    build.check_builds(files.config, files.most_bytes)


@pytest.mark.parametrize("model_type", ["wav2vec2", "wavlm", "wav2vec2-bert"])
def test_a_base_without_its_head_and_prefix_opens(tmp_path: Path, model_type: str) -> None:
    """As bases are published: saved from the body alone, with the weights' names of earlier versions."""
    saved(tmp_path, model_type)
    prefix = f"{tiny_model(model_type).base_model_prefix}."
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = {}
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        for new_name, old_name in old.items():
            name = name.replace(new_name, old_name)
        if name.startswith(prefix):
            state[name.removeprefix(prefix)] = tensor.half()
    save_file(state, tmp_path / "model.safetensors")
    model, new = build.load(files_in(tmp_path), {"vocab_size": 5})
    assert {name.split(".")[0] for name in new} == {"lm_head"}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_memory_is_counted_before_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_in(saved(tmp_path, "wav2vec2"))
    for looked_at in (files, replace(files, memory=build.compare(files.config, files.shapes, files.most_bytes))):
        with monkeypatch.context() as patched:
            patched.setattr(build, "free_memory", lambda: 1000)
            with pytest.raises(UserError, match=r"takes \d+ kB of memory, and only 1 kB are free"):
                build.load(looked_at, {})
    for heads in (read_heads(tmp_path), {}):  # of safetensors, and of a pickle
        checks = ModelChecks(10_000)
        checks.config(files.config.values)
        with pytest.raises(UserError, match=r"takes \d+ kB of memory, where 10 kB is the most"):
            checks.rest(tmp_path, heads)


def test_a_value_of_the_config_never_reaches_a_loader(tmp_path: Path) -> None:
    files = files_in(saved(tmp_path, "wav2vec2"))
    traps = {"quantization_config": {"quant_method": "gptq"}, "transformers_weights": "evil.bin", "dtype": "float16"}
    files.config.values.update(traps | {"attn_implementation": "evil/kernel"})
    model, _ = build.load(files, {})
    assert model.config._attn_implementation == "sdpa"
    assert not [name for name in traps if name != "dtype" and hasattr(model.config, name)]


def test_a_setting_that_no_model_knows_is_our_own_fault(tmp_path: Path) -> None:
    files = files_in(saved(tmp_path, "wav2vec2"))
    with pytest.raises(TypeError, match="evil"):
        build.load(files, {"evil": 1})


def test_limits_come_from_the_environment() -> None:
    settings = Settings.from_env(
        {"VOICETUNE_MAX_DOWNLOAD": "1.5", "VOICETUNE_MAX_LOAD": "2", "VOICETUNE_MAX_CACHE": "", "HOME": "/nowhere"}
    )
    assert (settings.max_model_bytes, settings.max_load_bytes) == (1_500_000_000, 2 * GIGABYTE)
    assert settings.max_cache_bytes == 20 * GIGABYTE


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    connectivity._probes.clear()
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with FakeHub() as hub:
        yield hub


def at(hub: FakeHub, folder: Path) -> Settings:
    return Settings(data_dir=folder / "data", hub_endpoint=hub.url)


def pickled(tmp_path: Path, weights: Any, legacy: bool = False) -> dict[str, bytes]:
    """A sound model whose weights are a pickle."""
    files = sound_files()
    whole = tmp_path / "whole.safetensors"
    whole.write_bytes(files.pop("model.safetensors"))
    torch.save(
        load_file(whole) if weights is None else weights,
        tmp_path / "pickle",
        _use_new_zipfile_serialization=not legacy,
    )
    return files | {"pytorch_model.bin": (tmp_path / "pickle").read_bytes()}


@pytest.mark.parametrize("legacy", [False, True])
def test_a_curated_pickle_becomes_safetensors(hub: FakeHub, tmp_path: Path, legacy: bool) -> None:
    commit = hub.add_model("anna/old", pickled(tmp_path, None, legacy))
    settings = at(hub, tmp_path)
    files = fetch_checked("anna/old", commit, settings, pickle=True)
    assert open_checkpoint(files).vocabulary.blank == 0
    kept = load_file(files.folder / "model.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in load_file(tmp_path / "whole.safetensors").items())
    sent = len(hub.files_sent())
    assert fetch_checked("anna/old", commit, settings, pickle=True).folder == files.folder
    assert len(hub.files_sent()) == sent
    open_base(files, Vocabulary({"[PAD]": 0, "[UNK]": 1, "|": 2, "x": 3}), {}, keep_head=False)
    with pytest.raises(UserError, match="can run hidden code"):  # for who is not in the table
        fetch_checked("anna/old", commit, at(hub, tmp_path / "other"))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_curated_pickle_that_is_hostile_runs_nothing(hub: FakeHub, tmp_path: Path, legacy: bool) -> None:
    planted = tmp_path / "planted"
    for weights in ({"a": Payload(planted)}, [torch.zeros(2)]):
        commit = hub.add_model("anna/evil", pickled(tmp_path, weights, legacy))
        with pytest.raises(UserError, match="cannot read the weights"):
            fetch_checked("anna/evil", commit, at(hub, tmp_path), pickle=True)
    bare = hub.add_model("anna/evil", pickled(tmp_path, None) | {"pytorch_model.bin": pickle.dumps(Payload(planted))})
    with pytest.raises(UserError, match="cannot read the weights"):
        fetch_checked("anna/evil", bare, at(hub, tmp_path), pickle=True)
    assert not planted.exists()
    assert not list((tmp_path / "data").rglob("*.part"))
    pickle.loads(pickle.dumps(Payload(planted)))  # the trap closes where it may
    assert os.path.lexists(planted)
