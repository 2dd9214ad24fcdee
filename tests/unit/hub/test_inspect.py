"""What is looked at first is what is fetched; what another program has fetched is used where it lies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import FILES, MODEL, Fetch, names
from trainer.errors import UserError
from trainer.hub import connectivity
from trainer.hub.inspect import FetchLimits, Head

INDEX = "model.safetensors.index.json"
SHARDS = {INDEX: b'{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'} | {
    f"{name}.safetensors": b"\7" * 1000 for name in ("one", "two", "three")
}


class Glance:
    """Checks that are content with everything."""

    def config(self, config: dict[str, Any]) -> None: ...

    def rest(self, folder: Path, heads: Mapping[str, Head]) -> None: ...


SHARDED = {name: data for name, data in FILES.items() if name != "model.safetensors"} | SHARDS


def test_a_repo_that_changes_meanwhile_is_fetched_as_it_was_seen(hub: FakeHub, fetch: Fetch) -> None:
    seen = hub.add_model(MODEL, FILES)

    class Change(Glance):
        def config(self, config: dict[str, Any]) -> None:
            hub.add_model(MODEL, FILES | {"config.json": b'{"auto_map": {}}', "model.safetensors": b"evil"})

    folder = fetch(checks=Change())
    assert folder.name == seen
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def test_the_config_is_checked_before_anything_else_is_fetched(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, FILES)

    class Refuse(Glance):
        def config(self, config: dict[str, Any]) -> None:
            assert config == {"model_type": "wav2vec2"}
            raise UserError("No.", "Never.")

    with pytest.raises(UserError, match="Never"):
        fetch(checks=Refuse())
    assert hub.files_sent() == ["config.json"]


def test_what_the_weights_hold_is_checked_before_they_are_fetched(hub: FakeHub, fetch: Fetch) -> None:
    header = b"x" * 300_000  # longer than what is asked for at once
    hub.add_model(MODEL, FILES | {"model.safetensors": len(header).to_bytes(8, "little") + header + b"\7" * 10**6})

    class Refuse(Glance):
        def rest(self, folder: Path, heads: Mapping[str, Head]) -> None:
            assert names(folder) == FILES.keys() - {"model.safetensors"}
            assert heads.keys() == {"model.safetensors"}
            assert [(head.header, head.size) for head in heads.values()] == [(header, 10**6 + 300_008)]
            raise UserError("No.", "Never.")

    with pytest.raises(UserError, match="Never"):
        fetch(checks=Refuse())
    assert {seen.authorization for seen in hub.requests} == {None}
    connectivity._probes.clear()
    hub.stop()
    with pytest.raises(UserError, match="cannot be reached"):  # there is no model here
        fetch()


def test_shards_are_fetched_by_their_index_and_found_without_the_hub(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, SHARDED)
    folder = fetch()
    assert names(folder) == SHARDED.keys() - {"three.safetensors"}
    hub.stop()
    connectivity._probes.clear()
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
