"""Downloaded models stay within their room: the least recently used make way, those in use never."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import FILES, Fetch, assert_warm
from trainer.errors import UserError
from trainer.hub import cache
from trainer.hub.cache import Quota, release

TOTAL = sum(map(len, FILES.values()))
ROOM = TOTAL * 2 + TOTAL // 2  # for two models


@pytest.fixture
def fetch_within(hub: FakeHub, fetch: Fetch, tmp_path: Path) -> Fetch:
    """Fetches a model within a room for two, a minute after the one before."""

    def call(name: str, room: int = ROOM) -> Path:
        hub.add_model(f"anna/{name}", FILES | {"model.safetensors": name.encode() * 300_000})
        for mark in (tmp_path / "hub" / ".uses").glob("models--*"):
            if "@" not in mark.name:
                os.utime(mark, (mark.stat().st_atime, mark.stat().st_mtime - 60))
        return fetch(f"anna/{name}", quota_bytes=room)

    return call


def here(folder: Path) -> bool:
    return (folder / "model.safetensors").is_file()


def test_the_least_recently_used_makes_way(fetch_within: Fetch) -> None:
    first, second = fetch_within("a"), fetch_within("b")
    release(first)
    release(second)
    assert fetch_within("a") == first  # used again
    release(first)
    third = fetch_within("c")
    assert [here(folder) for folder in (first, second, third)] == [True, False, True]


def test_a_model_in_use_is_never_deleted(fetch_within: Fetch) -> None:
    first, second = fetch_within("a"), fetch_within("b")
    with pytest.raises(UserError, match="taken by models in use: anna/c needs") as caught:
        fetch_within("c")
    assert_warm(caught.value)
    assert here(first) and here(second)
    release(second)
    third = fetch_within("c")
    assert [here(folder) for folder in (first, second, third)] == [True, False, True]


def test_use_ends_with_its_process_and_after_its_time(fetch_within: Fetch, tmp_path: Path) -> None:
    first, second = fetch_within("a"), fetch_within("b")
    marks = sorted((tmp_path / "hub" / ".uses").glob("*@*"))
    assert len(marks) == 2
    marks[0].rename(marks[0].with_name(f"{first.parent.parent.name}@{os.getpid()}-1"))  # of an earlier process
    old = time.time() - cache.HOLD_SECONDS - 1
    os.utime(marks[1], (old, old))
    fetch_within("c")
    fetch_within("d")
    assert not here(first) and not here(second)


def test_one_that_never_fits_is_refused_before_anything_is_deleted(fetch_within: Fetch) -> None:
    first = fetch_within("a")
    release(first)
    with pytest.raises(UserError, match="anna/b is too large"):
        fetch_within("b", TOTAL // 2)
    assert here(first)


def test_a_fetch_that_fails_holds_nothing(hub: FakeHub, fetch: Fetch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no model"):
        fetch("anna/nothing", quota_bytes=ROOM)
    assert not list((tmp_path / "hub" / ".uses").glob("*@*"))


def test_older_commits_of_the_same_model_make_way(fetch_within: Fetch, hub: FakeHub, fetch: Fetch) -> None:
    room = TOTAL + TOTAL // 2
    first = fetch_within("a", room)
    release(first)
    hub.add_model("anna/a", FILES | {"model.safetensors": b"z" * 300_000})
    second = fetch("anna/a", quota_bytes=room)
    assert here(second) and not here(first)


def test_two_processes_keep_room_for_what_both_download(tmp_path: Path) -> None:
    """Each wants two thirds of the room: one of them waits for no other, and is refused."""
    cache = tmp_path / "hub"
    code = (
        "import sys, time; from pathlib import Path; from trainer.hub.cache import Quota\n"
        f"cache = Path({str(cache)!r}); repo = cache / 'models--anna--one'\n"
        "with Quota(cache, 300).holding(repo):\n"
        "    Quota(cache, 300).make_room(repo, 'anna/one', 200, 200); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout and other.stdin and other.stdout.readline() == "held\n"
        mine = Quota(cache, 300)
        repo = cache / "models--anna--two"
        with pytest.raises(UserError, match="models in use"), mine.holding(repo):
            mine.make_room(repo, "anna/two", 200, 200)
        other.stdin.close()
        assert other.wait(timeout=30) == 0
    with mine.holding(repo):
        mine.make_room(repo, "anna/two", 200, 200)  # nothing of the other is there, and it has ended


def test_a_cache_that_cannot_be_written_is_said(hub: FakeHub, fetch: Fetch, tmp_path: Path) -> None:
    hub.add_model("anna/a", FILES)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught:
        fetch("anna/a", quota_bytes=ROOM, cache_dir=tmp_path / "file" / "hub")
    assert_warm(caught.value)


def planted(cache: Path, kind: str) -> Path:
    """A repo of a third of the room, as a broken download or a stranger may leave it."""
    repo = cache / "models--anna--planted"
    snapshot = repo / "snapshots" / ("a" * 40)
    (repo / "blobs").mkdir(parents=True)
    (repo / "blobs" / "weights").write_bytes(b"x" * 100_000)
    if kind == "no snapshot yet":
        return repo
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_bytes(b"\xff\xfe" if kind == "a name that is not UTF-8" else b"b" * 40)
    if kind == "a dangling link":
        (snapshot / "gone").symlink_to("../../blobs/gone")
    if kind == "a link in a ring":
        (snapshot / "ring").symlink_to("ring")
    if kind == "a link that leads out":
        (cache.parent / "secret").mkdir()
        (cache.parent / "secret" / "file").write_bytes(b"x" * 10**6)
        (snapshot / "secret").symlink_to(cache.parent / "secret")
    return repo


@pytest.mark.parametrize(
    "kind",
    [
        "no snapshot yet",
        "a blob that nothing links to",
        "a name that is not UTF-8",
        "a dangling link",
        "a link in a ring",
        "a link that leads out",
    ],
)
def test_what_is_odd_in_the_cache_counts_and_makes_way_too(kind: str, tmp_path: Path) -> None:
    repo = planted(tmp_path / "hub", kind)
    quota, mine = Quota(tmp_path / "hub", 300_100), tmp_path / "hub" / "models--anna--mine"
    with quota.holding(mine):
        quota.make_room(mine, "anna/mine", 200_000, 200_000)
        assert repo.exists(), "both fit"
        quota.make_room(mine, "anna/mine", 200_101, 200_101)
        assert not repo.exists()
    if kind == "a link that leads out":
        assert (tmp_path / "secret" / "file").stat().st_size == 10**6
