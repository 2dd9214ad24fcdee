"""What is looked at first is what is fetched; what another program has fetched is used where it lies."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import FILES, MODEL, Fetch, names
from trainer.errors import UserError
from trainer.hub import reach
from trainer.hub.inspect import FetchLimits

INDEX = "model.safetensors.index.json"
SHARDS = {INDEX: b'{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'} | {
    f"{name}.safetensors": b"\7" * 1000 for name in ("one", "two", "three")
}
SHARDED = {name: data for name, data in FILES.items() if name != "model.safetensors"} | SHARDS


def test_a_repo_that_changes_meanwhile_is_fetched_as_it_was_seen(hub: FakeHub, fetch: Fetch) -> None:
    seen = hub.add_model(MODEL, FILES)

    def check_config(config: dict[str, Any]) -> None:
        hub.add_model(MODEL, FILES | {"config.json": b'{"auto_map": {}}', "model.safetensors": b"evil"})

    folder = fetch(check_config=check_config)
    assert folder.name == seen
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def test_the_config_is_checked_before_anything_else_is_fetched(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, FILES)

    def check_config(config: dict[str, Any]) -> None:
        assert config == {"model_type": "wav2vec2"}
        raise UserError("No.", "Never.")

    with pytest.raises(UserError, match="Never"):
        fetch(check_config=check_config)
    assert hub.files_sent() == ["config.json"]


def test_shards_are_fetched_by_their_index_and_found_without_the_hub(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, SHARDED)
    folder = fetch()
    assert names(folder) == SHARDED.keys() - {"three.safetensors"}
    hub.stop()
    reach._probes.clear()
    assert fetch() == folder
    (folder / "two.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be reached"):
        fetch()


def test_shards_are_counted_before_they_are_fetched(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, SHARDED)
    with pytest.raises(UserError, match="is too large"):
        fetch(limits=FetchLimits(total_bytes=1500))
    assert not [name for name in hub.files_sent() if name.endswith(".safetensors")]


def test_what_another_program_has_is_used_where_it_lies(hub: FakeHub, fetch: Fetch, tmp_path: Path) -> None:
    hub.add_model(MODEL, FILES)
    theirs = fetch(cache_dir=tmp_path / "theirs")
    sent = len(hub.files_sent())
    marks = names(tmp_path / "theirs")
    assert fetch(shared=tmp_path / "theirs") == theirs
    assert len(hub.files_sent()) == sent and names(tmp_path / "theirs") == marks
    hub.add_model(MODEL, FILES | {"vocab.json": b'{"b": 0}'})
    ours = fetch(shared=tmp_path / "theirs")
    assert ours.is_relative_to(tmp_path / "hub") and names(tmp_path / "theirs") == marks
