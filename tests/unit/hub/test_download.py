"""A model is fetched whole, alone, at one commit, without a token, and once."""

import resource
from pathlib import Path

import pytest

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import FILES, MODEL, Fetch, names
from trainer.errors import UserError
from trainer.hub import connectivity

OTHERS = {"README.md": b"# hello", "modeling_evil.py": b"1/0", "pytorch_model.bin": b"\x80", "sub/config.json": b"{}"}


def test_named_files_alone_are_fetched_at_the_commit_seen(hub: FakeHub, fetch: Fetch) -> None:
    commit = hub.add_model(MODEL, FILES | OTHERS)
    folder = fetch()
    assert folder.name == commit
    assert names(folder) == set(FILES)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert hub.files_sent()[-1] == "model.safetensors"  # so that a snapshot with weights is a whole one
    assert {f"/{MODEL}/resolve/{commit}/{name}" for name in FILES} == {
        seen.path for seen in hub.requests if "/resolve/" in seen.path
    }


def test_no_token_of_the_host_goes_along_unless_one_is_given(hub: FakeHub, fetch: Fetch, tmp_path: Path) -> None:
    hub.add_model(MODEL, FILES)
    fetch()
    for careless in (None, True):  # to huggingface_hub these two mean the host's token
        fetch(token=careless, cache_dir=tmp_path / str(careless))
    assert len(hub.requests) > 20
    assert {seen.authorization for seen in hub.requests} == {None}
    fetch(token="hf_of_the_visitor", cache_dir=tmp_path / "other")
    assert {seen.authorization for seen in hub.requests} == {None, "Bearer hf_of_the_visitor"}


def test_a_second_fetch_downloads_nothing_and_a_new_commit_what_changed(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, FILES)
    first = fetch()
    sent = len(hub.files_sent())
    assert fetch() == first
    assert len(hub.files_sent()) == sent
    hub.add_model(MODEL, FILES | {"vocab.json": b'{"b": 0}'})
    second = fetch()
    assert second != first
    assert (second / "vocab.json").read_bytes() == b'{"b": 0}'
    assert hub.files_sent()[sent:] == ["vocab.json"]
    assert fetch(revision=first.name) == first


def test_a_branch_is_fetched_when_it_is_named(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, {"config.json": b"{}", "pytorch_model.bin": b"\x80"})
    commit = hub.add_model(MODEL, FILES, branch="refs/pr/2")
    assert fetch(revision="refs/pr/2").name == commit
    hub.stop()
    connectivity._probes.clear()
    assert fetch(revision="refs/pr/2").name == commit


def test_progress_counts_every_byte_once(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, FILES)
    heard: list[tuple[int, int]] = []
    fetch(on_progress=lambda done, total: heard.append((done, total)))
    total = sum(map(len, FILES.values()))
    assert heard[-1] == (total, total)
    assert heard == sorted(heard)
    heard.clear()
    fetch(on_progress=lambda done, total: heard.append((done, total)))  # all of it from the cache
    assert heard[-1] == (total, total)


def test_pickle_is_taken_only_where_allowed_and_pinned(hub: FakeHub, fetch: Fetch) -> None:
    commit = hub.add_model(MODEL, {"config.json": b"{}", "pytorch_model.bin": b"\x80"})
    assert names(fetch(revision=commit, allow_pickle=True)) == {"config.json", "pytorch_model.bin"}
    with pytest.raises(ValueError, match="pinned"):
        fetch(allow_pickle=True)
    hub.stop()
    connectivity._probes.clear()
    with pytest.raises(UserError):  # nor from the cache
        fetch(revision=commit)


def test_a_connection_cut_mid_file_is_taken_up_again(hub: FakeHub, fetch: Fetch, impatient: None) -> None:
    hub.add_model(MODEL, FILES)
    hub.drop_after, hub.drops = 1, 1
    folder = fetch()
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert len(hub.files_sent()) == len(FILES) + 1


def test_a_download_that_met_a_full_disk_is_whole_the_next_time(hub: FakeHub, fetch: Fetch) -> None:
    """The system lets no file grow beyond a third of the weights."""
    hub.add_model(MODEL, FILES)
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, most))
    try:
        with pytest.raises(UserError, match="The disk filled up"):
            fetch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))
    assert (fetch() / "model.safetensors").read_bytes() == FILES["model.safetensors"]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("link", [True, False])
def test_a_file_that_was_cut_off_is_fetched_anew(
    hub: FakeHub, fetch: Fetch, tmp_path: Path, name: str, link: bool
) -> None:
    """As a copy on a full disk leaves it, where there are no links; and a blob, with and without the link to it."""
    hub.add_model(MODEL, FILES)
    path = fetch() / name
    blob = path.resolve()
    blob.write_bytes(FILES[name][: len(FILES[name]) // 2])
    if not link:
        path.unlink()
    assert (fetch() / name).read_bytes() == FILES[name]
    path.unlink()
    path.write_bytes(FILES[name][:3])
    hub.requests.clear()
    assert (fetch() / name).read_bytes() == FILES[name]
    assert set(hub.files_sent()) <= {name}


def test_a_hub_that_sends_other_sizes_than_it_says_is_not_believed(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, FILES)
    told = [{"rfilename": name, "size": len(data) + 1} for name, data in FILES.items()]
    hub.repos["models", MODEL].told = {"siblings": told}
    with pytest.raises(UserError, match="The connection broke"):
        fetch()
