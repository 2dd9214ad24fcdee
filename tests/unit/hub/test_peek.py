"""What a model is, learnt without its weights."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import CLOSED, FILES, MODEL, assert_warm
from trainer.errors import UserError
from trainer.hub.inspect import Peek, peek_model


def peek(hub: FakeHub | str, cache: Path, repo: str = MODEL, **options: Any) -> Peek:
    return peek_model(repo, endpoint=hub if isinstance(hub, str) else hub.url, cache_dir=cache, **options)


def test_the_config_and_the_size_come_without_the_weights(hub: FakeHub, tmp_path: Path) -> None:
    hub.add_model(MODEL, FILES)
    assert peek(hub, tmp_path) == Peek({"model_type": "wav2vec2"}, len(FILES["model.safetensors"]))
    assert hub.files_sent() == ["config.json"]
    assert not any(seen.authorization for seen in hub.requests)


def test_a_peek_is_not_taken_for_a_fetched_model(hub: FakeHub, tmp_path: Path) -> None:
    hub.add_model(MODEL, FILES)
    peek(hub, tmp_path)
    with pytest.raises(UserError, match="was not fetched before"):
        peek(CLOSED, tmp_path)


@pytest.mark.parametrize(
    ("config", "words"),
    [(None, "no config.json"), (b"[1]", "broken"), (b"{", "broken"), (b" " * 2**21, "far more")],
)
def test_a_config_that_is_none_is_refused(hub: FakeHub, tmp_path: Path, config: bytes | None, words: str) -> None:
    files = {name: data for name, data in FILES.items() if name != "config.json"}
    hub.add_model(MODEL, files if config is None else {**files, "config.json": config})
    with pytest.raises(UserError, match=words) as refused:
        peek(hub, tmp_path)
    assert_warm(refused.value)


def test_what_is_not_there_or_not_open_is_said(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model called"):
        peek(hub, tmp_path)
    hub.add_model(MODEL, FILES, gated=True)
    with pytest.raises(UserError, match="access"):
        peek(hub, tmp_path)


def test_shards_are_counted_together(hub: FakeHub, tmp_path: Path) -> None:
    shards = {f"model-0000{number}-of-00002.safetensors": bytes(1000 * number) for number in (1, 2)}
    hub.add_model(MODEL, {"config.json": json.dumps({"hidden_size": 4}).encode(), **shards})
    assert peek(hub, tmp_path).weight_bytes == 3000
