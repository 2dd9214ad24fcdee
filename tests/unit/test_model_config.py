"""A config.json that leaves out what transformers has defaults for means what it means there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, PreTrainedConfig

from tests.fakes.models import files_in, save_tiny_base
from tests.fakes.tiny_models import TINY
from trainer.errors import UserError
from trainer.hub.inspect import Peek
from trainer.models import mctct, size, whisper_ctc
from trainer.models.architectures import ARCHITECTURES
from trainer.models.base_ref import HubId
from trainer.models.build import check_builds, load
from trainer.models.ctc_model import FEATURE_EXTRACTORS
from trainer.models.model_config import ModelConfig
from trainer.models.size import shape_of
from trainer.settings import Settings

KINDS = list(ARCHITECTURES)


def stock(kind: str) -> PreTrainedConfig:
    """What transformers makes of a config.json that names its kind alone."""
    mctct.register()
    whisper_ctc.register()
    return CONFIG_MAPPING[kind]()


def part(whole: Any, names: Any) -> Any:
    """Of a config as a dict, what has these names, also inside."""
    if not isinstance(names, dict):
        return list(whole) if isinstance(whole, tuple) else whole
    return {name: part(whole[name], inner) for name, inner in names.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_are_transformers_own(kind: str) -> None:
    defaults = ARCHITECTURES[kind].defaults
    assert part(stock(kind).to_dict(), defaults) == defaults


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_is_read_of_a_model_lacks_a_default(kind: str) -> None:
    """The whole arithmetic for a file with the kind alone is that for a file with all that transformers writes."""
    alone, written = ModelConfig({"model_type": kind}), ModelConfig(stock(kind).to_dict())
    for samples in (400, 16_000, 123_457):
        assert alone.frames(samples) == written.frames(samples)
        assert alone.encoder_frames(samples) == written.encoder_frames(samples)
        assert alone.first_frames(samples) == written.first_frames(samples)
        assert alone.kept(samples) == written.kept(samples)
    assert (alone.stride, alone.shortest, alone.longest) == (written.stride, written.shortest, written.longest)
    assert alone.wants_attention_mask == written.wants_attention_mask
    assert alone.labels == written.labels == stock(kind).vocab_size
    assert shape_of(alone) == shape_of(written)
    extractor = FEATURE_EXTRACTORS[alone.architecture.feature_extractor].extractor
    assert extractor(alone.complete, {}).to_dict() == extractor(written.complete, {}).to_dict()


FRONT = {"conv_dim", "conv_kernel", "conv_stride"}  # as long as one another, so they are left out together


@pytest.mark.parametrize("kind", KINDS)
def test_any_value_may_be_left_out(kind: str) -> None:
    """What transformers has in its place is read; the rest is as in the tiny model."""
    row, tiny = ARCHITECTURES[kind], TINY[kind]
    mctct.register()
    whisper_ctc.register()
    whole = CONFIG_MAPPING[kind](**tiny).to_dict()
    for name in whole.keys() & row.defaults.keys():
        out = FRONT if name in FRONT else {name}
        ours = ModelConfig({key: value for key, value in whole.items() if key not in out})
        try:
            theirs = CONFIG_MAPPING[kind](**{key: value for key, value in tiny.items() if key not in out}).to_dict()
        except StrictDataclassError:  # the usual value does not fit to the tiny ones
            with pytest.raises(UserError, match="does not describe a model that can be built"):
                check_builds(ours, 10**9)
            continue
        assert ours.complete == part(theirs, row.defaults), name


@pytest.mark.parametrize("kind", ["hubert", "unispeech", "unispeech-sat"])
def test_a_value_that_its_kind_does_not_know_means_nothing(kind: str) -> None:
    plain = ModelConfig({"model_type": kind})
    other = ModelConfig({"model_type": kind, "add_adapter": True, "squeeze_factor": 2})
    assert other.frames(16_000) == plain.frames(16_000) == 49


def test_the_frames_of_a_model_without_a_front_end_in_its_file_are_those_it_puts_out(tmp_path: Path) -> None:
    folder = save_tiny_base(tmp_path / "base")
    values = json.loads((folder / "config.json").read_text())
    for name in (
        "conv_kernel",
        "conv_stride",
        "pad_token_id",
        "vocab_size",
        "num_feat_extract_layers",
        "architectures",
    ):
        values.pop(name, None)
    (folder / "config.json").write_text(json.dumps(values))
    files = files_in(folder)
    model, new = load(files, {})
    assert not new
    with torch.inference_mode():
        heard = model(torch.zeros(1, 12_345)).logits
    assert heard.shape[1:] == (files.config.frames(12_345), 32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_the_kind_alone_describes_a_model_that_can_be_built(kind: str) -> None:
    """On the meta device, where a model of a billion parameters takes no memory."""
    with pytest.raises(UserError, match="of memory, where 1 kB is the most"):
        check_builds(ModelConfig({"model_type": kind}), 1000)


@pytest.mark.parametrize("value", ["seven", [], 0, -1, 10**9, True, [[3]], {"a": 1}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_another_kind_is_refused_in_words(kind: str, value: Any) -> None:
    """Each value that is read; zeros are sizes for some of them."""
    for name in ARCHITECTURES[kind].defaults:
        if name in ("feat_extract_norm", "add_adapter", "encoder_config"):
            continue
        try:
            config = ModelConfig({"model_type": kind, name: value})
        except UserError:
            continue
        assert np.isfinite(shape_of(config).forward_gflop(1.0)) and value == 0


def test_what_strangers_name_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(size, "peek_model", lambda *args, **options: Peek({"model_type": "wav2vec2"}, 400))
    settings, last = Settings(data_dir=tmp_path), HubId("anna/model-1199")
    for number in range(1200):
        assert size.ask_sizes(HubId(f"anna/model-{number}"), settings).parameters > 0
    assert len(size._asked) == 1000
    assert size.sizes_of(last) is not None and size.sizes_of(HubId("anna/model-0")) is None
    size._asked.clear()
