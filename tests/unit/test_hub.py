"""The Hub is asked within its time, and a model is fetched whole, alone, without a token, or refused in a sentence.

Most tests pass `endpoint` and `cache_dir`; the two in a subprocess go the way of the app, by the environment.
"""

import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import HFValidationError, validate_repo_id

from tests.fakes.hub import FakeHub
from trainer.errors import UserError
from trainer.hub import reach
from trainer.hub.fetch import FetchLimits, check_repo_id, fetch_model
from trainer.hub.reach import reachable

MODEL = "anna/wav2vec2-small"
FILES = {
    "config.json": b'{"model_type": "wav2vec2"}',
    "preprocessor_config.json": b'{"sampling_rate": 16000}',
    "processor_config.json": b'{"feature_extractor": {}}',
    "vocab.json": b'{"a": 0}',
    "tokenizer_config.json": b'{"unk_token": "?"}',
    "special_tokens_map.json": b'{"pad_token": "_"}',
    "added_tokens.json": b'{"<s>": 1}',
    "model.safetensors": b"\7" * 300_000,
}
OTHERS = {"README.md": b"# hello", "modeling_evil.py": b"1/0", "pytorch_model.bin": b"\x80", "sub/config.json": b"{}"}
GIGABYTE = 10**9
CLOSED = "http://127.0.0.1:9"  # the discard port: nothing listens


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing remembered of an earlier test, no question to the real Hub, and a token that must not be sent."""
    monkeypatch.setattr(reach, "_probes", {})
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # else the real Hub is asked for agents' names
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_host")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


Fetch = Callable[..., Path]


@pytest.fixture
def fetch(hub: FakeHub, tmp_path: Path) -> Fetch:
    """`fetch_model` from the fake Hub into a cache of the test's own."""

    def call(repo_id: str = MODEL, **options: object) -> Path:
        return fetch_model(repo_id, **{"endpoint": hub.url, "cache_dir": tmp_path / "hub", **options})  # type: ignore[arg-type]

    return call


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub tries a cut download again after 0 s, not after 1 s."""
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda seconds: None))


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


# --- fetching


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
    reach._probes.clear()
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
    reach._probes.clear()
    with pytest.raises(UserError):  # nor from the cache
        fetch(revision=commit)


def test_a_connection_cut_mid_file_is_taken_up_again(hub: FakeHub, fetch: Fetch, impatient: None) -> None:
    hub.add_model(MODEL, FILES)
    hub.drop_after, hub.drops = 1, 1
    folder = fetch()
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert len(hub.files_sent()) == len(FILES) + 1


# --- the Hub out of reach


def test_what_was_fetched_works_without_the_hub(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, FILES)
    folder = fetch()
    hub.status = 503
    assert fetch() == folder
    hub.status = 429
    assert fetch() == folder
    hub.status = None
    hub.stop()
    assert fetch() == folder  # the Hub counts as there for some seconds yet, so this one tries
    reach._probes.clear()
    assert fetch() == folder
    assert fetch(revision=folder.name) == folder


def test_offline_by_the_environment_asks_nothing(hub: FakeHub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_model(MODEL, FILES)
    folder = fetch()
    asked = len(hub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch() == folder
    assert len(hub.requests) == asked


def test_half_a_fetch_does_not_count_as_fetched(hub: FakeHub, fetch: Fetch, impatient: None) -> None:
    hub.add_model(MODEL, FILES)
    hub.drop_after = 0
    with pytest.raises(UserError, match="connection broke while anna"):
        fetch()
    hub.stop()
    reach._probes.clear()
    with pytest.raises(UserError, match="cannot be reached, and anna/wav2vec2-small was not fetched before"):
        fetch()


def test_out_of_reach_is_said_within_the_timeout(fetch: Fetch, silent: str) -> None:
    for endpoint in (CLOSED, silent):
        start = time.monotonic()
        with pytest.raises(UserError, match="cannot be reached"):
            fetch(endpoint=endpoint, limits=FetchLimits(reach_seconds=1.0))
        assert time.monotonic() - start < 1.5


def test_a_hub_that_falls_silent_is_said_within_the_timeout(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, FILES)
    assert reachable(hub.url, 4.0)
    hub.delay = 1.0
    start = time.monotonic()
    with pytest.raises(UserError, match="cannot be reached"):
        fetch(limits=FetchLimits(look_seconds=0.3))
    assert time.monotonic() - start < 0.8


# --- refusals


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"model.safetensors": b"1"}, "has no config.json, so it is not a Transformers model"),
        ({"config.json": b"{}"}, "has no model.safetensors, so there are no weights"),
        ({"config.json": b"{}", "pytorch_model.bin": b"\x80"}, "pytorch_model.bin, a format that can run hidden code"),
        ({"config.json": b"{}", "weights.pt": b"\x80"}, "a PyTorch pickle, a format that can run hidden code"),
        ({"config.json": b"{}", "model.safetensors.index.json": b"{}"}, "split over several files"),
        ({"config.json": b" " * 2**21, "model.safetensors": b"1"}, r"The config.json of .* is 2.1 MB, far more"),
        ({"config.json": b"{}", "sub/model.safetensors": b"1"}, "has no model.safetensors"),
    ],
)
def test_a_repo_that_will_not_do_is_refused_before_any_download(
    hub: FakeHub, fetch: Fetch, files: dict[str, bytes], sentence: str
) -> None:
    hub.add_model(MODEL, files)
    with pytest.raises(UserError, match=sentence) as caught:
        fetch()
    assert_warm(caught.value)
    assert not hub.files_sent()


def test_a_large_repo_is_refused_before_any_download(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model(MODEL, FILES)
    with pytest.raises(UserError, match=r"is too large: 300\.\d kB to download, where 200.0 kB is the most") as caught:
        fetch(limits=FetchLimits(total_bytes=200_000))
    assert_warm(caught.value)
    with pytest.raises(UserError, match=r"The preprocessor_config.json of .* is 0.0 kB, far more"):
        fetch(limits=FetchLimits(small_bytes=4))
    assert not hub.files_sent()


def test_a_full_disk_is_said_before_any_download(hub: FakeHub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_model(MODEL, FILES)
    folder = fetch()
    hub.add_model("anna/other", FILES)
    sent = len(hub.files_sent())
    usage = shutil.disk_usage(folder)._replace(free=GIGABYTE // 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        UserError, match=r"not enough room on the disk: anna/other takes 300\.\d kB, 250.0 MB are"
    ) as caught:
        fetch("anna/other")
    assert_warm(caught.value)
    assert len(hub.files_sent()) == sent
    assert fetch() == folder  # what is here already needs no room


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "The disk filled up while anna/wav2vec2-small"),
        (errno.EDQUOT, "The disk filled up while anna/wav2vec2-small"),
        (errno.EROFS, "The folder for downloaded models cannot be written"),
        (errno.EACCES, "The folder for downloaded models cannot be written"),
    ],
)
def test_a_disk_that_takes_no_more_is_said(
    hub: FakeHub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    def write(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    hub.add_model(MODEL, FILES)
    monkeypatch.setattr("huggingface_hub.file_download.http_get", write)
    with pytest.raises(UserError, match=sentence) as caught:
        fetch()
    assert_warm(caught.value)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "There is no model called anna/wav2vec2-small"),  # what the real Hub says of private repos
        (403, "does not give anna/wav2vec2-small to this computer"),
        (429, "asks for a pause"),
        (500, "in trouble and answers with error 500"),
    ],
)
def test_an_http_error_becomes_a_sentence(hub: FakeHub, fetch: Fetch, status: int, sentence: str) -> None:
    assert reachable(hub.url, 4.0)
    hub.add_model(MODEL, FILES)
    hub.status = status
    with pytest.raises(UserError, match=sentence) as caught:
        fetch()
    assert_warm(caught.value)


def test_missing_gated_and_dataset_repos_are_told_apart(hub: FakeHub, fetch: Fetch) -> None:
    hub.add_model("anna/gated", FILES, gated=True)
    hub.add_model(MODEL, FILES)
    hub.add_dataset("anna/calls", FILES)
    for repo_id, options, sentence in (
        ("anna/nothing", {}, "There is no model called anna/nothing"),
        ("anna/calls", {}, "There is no model called anna/calls"),
        (MODEL, {"revision": "v2"}, "has no such version"),
        (MODEL, {"revision": "../main"}, "has no such version"),
        ("anna/gated", {}, "only for people to whom its owner has given access"),
        ("anna/gated", {"token": "hf_without_access"}, "only for people to whom its owner has given access"),
    ):
        with pytest.raises(UserError, match=sentence) as caught:
            fetch(repo_id, **options)
        assert_warm(caught.value)
    assert not hub.files_sent()


def assert_warm(error: UserError) -> None:
    """Two whole sentences that hold nothing of the host."""
    for sentence in (error.what, error.todo):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence.startswith("anna/")
        assert not any(word in sentence for word in ("127.0.0.1", "/tmp", "hf_", "Traceback", "Error"))


# --- ids


NO_IDS = (
    *("", " ", "../../etc/passwd", "/etc/passwd", "./model", "~/model", "a/b/c", "C:\\model", "a/../b", "..", "."),
    *("a//b", "a/", "/a", "a--b/c", "a/b..c", "a/b.git", "-a/b", "a/b-", "a b/c", "a/b\0", "a/b\n/c", "a/é", "a/b%2F"),
    *("file:///etc/passwd", "http://huggingface.co/a/b", "https://huggingface.co.evil.org/a/b", "https://evil.org/a/b"),
    *("https://user@huggingface.co/a/b", "https://huggingface.co:8443/a/b", "https://[huggingface.co/a/b"),
    *("https://huggingface.co/datasets/a/b", "datasets/a/b", "spaces/a/b", "https://huggingface.co/", "a" * 10_000),
    *("https://huggingface.co/a/b/tree/v2", "https://huggingface.co/a/b/resolve/main/model.safetensors", "hf://a/b"),
)


def test_what_is_no_id_is_refused_without_any_request(hub: FakeHub, fetch: Fetch) -> None:
    for text in NO_IDS:
        with pytest.raises(UserError) as caught:
            fetch(text)
        assert_warm(caught.value)
    assert not hub.requests


@pytest.mark.parametrize(
    ("text", "repo_id"),
    [
        (MODEL, MODEL),
        (f"  {MODEL}\n", MODEL),
        (f"https://huggingface.co/{MODEL}", MODEL),
        (f"https://huggingface.co/{MODEL}/", MODEL),
        (f"https://huggingface.co/{MODEL}/tree/main?x=1#files", MODEL),
        ("gpt2", "gpt2"),
        ("a/b_.c-d.0", "a/b_.c-d.0"),
        ("_a/_", "_a/_"),
    ],
)
def test_an_id_or_a_models_page_gives_the_id(text: str, repo_id: str) -> None:
    assert check_repo_id(text) == repo_id


@pytest.mark.parametrize(
    "text", ["a", "a/b", "a-/b", "a/.b", "a/b.", "a.b/c", "_/_", "a/b.git", "a..b", "A" * 96, "a" * 97]
)
def test_ids_follow_the_rules_of_huggingface_hub(text: str) -> None:
    def verdict(check: Callable[[str], object]) -> bool:
        try:
            check(text)
        except (UserError, HFValidationError):
            return False
        return True

    assert verdict(check_repo_id) == verdict(validate_repo_id)


# --- reachable


def test_reachable_remembers_its_answer(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reachable(hub.url, 4.0)
    assert reachable(hub.url, 4.0)
    assert len(hub.requests) == 1
    monkeypatch.setattr(reach, "YES_LASTS", -1.0)
    reach._probes.clear()
    assert reachable(hub.url, 4.0)
    assert reachable(hub.url, 4.0)
    assert len(hub.requests) == 3


def test_a_no_is_remembered_for_a_shorter_time(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    assert not reachable(silent, 0.4)
    assert 0.3 < time.monotonic() - start < 1.0
    start = time.monotonic()
    assert not reachable(silent, 0.4)
    assert time.monotonic() - start < 0.1
    assert reach.NO_LASTS < reach.YES_LASTS


def test_a_slow_hub_is_out_of_reach_and_becomes_known_when_it_answers(hub: FakeHub) -> None:
    hub.delay = 0.5
    assert not reachable(hub.url, 0.2)
    reach._probes.clear()
    hub.delay = 0.0
    assert reachable(hub.url, 4.0)


def test_a_name_lookup_that_hangs_does_not_hold_the_answer_up(monkeypatch: pytest.MonkeyPatch) -> None:
    freed = threading.Event()

    def hang(*args: object, **options: object) -> list[object]:
        freed.wait(20)
        raise socket.gaierror("at last")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.monotonic()
    assert not reachable("http://hub.invalid", 0.3)
    assert time.monotonic() - start < 1.0
    freed.set()


def test_many_askers_at_once_share_one_question(hub: FakeHub) -> None:
    hub.delay = 0.2
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(reachable(hub.url, 4.0))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 20
    assert len(hub.requests) == 1


@pytest.mark.parametrize("status", [403, 407, 500, 503])
def test_a_proxys_refusal_or_a_server_error_is_not_the_hub(hub: FakeHub, status: int) -> None:
    hub.status = status
    assert not reachable(hub.url, 4.0)


def test_offline_mode_asks_nobody(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
        assert not reachable(hub.url, 4.0)
        monkeypatch.delenv(name)
    assert not hub.requests


# --- the way of the app: everything by the environment, in a process of its own


def run(code: str, hub_url: str, home: Path) -> str:
    """Run Python with this Hub, a home of its own, and a host's token both in the environment and on disk."""
    home.mkdir(exist_ok=True)
    (home / "token").write_text("hf_on_the_disk")
    environment = {**os.environ, "HF_ENDPOINT": hub_url, "HF_HOME": str(home), "HF_TOKEN": "hf_of_the_host"}
    environment.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_fetch_by_the_environment_sends_no_token(hub: FakeHub, tmp_path: Path) -> None:
    hub.add_model(MODEL, FILES)
    code = f"from trainer.hub.fetch import fetch_model; print(fetch_model({MODEL!r}))"
    folder = Path(run(code, hub.url, tmp_path / "home"))
    assert names(folder) == set(FILES)
    assert folder.is_relative_to(tmp_path / "home" / "hub")
    assert {seen.authorization for seen in hub.requests} == {None}
    hub.stop()
    assert Path(run(code, hub.url, tmp_path / "home")) == folder


def test_importing_the_floor_is_quick_and_loads_no_library(tmp_path: Path) -> None:
    code = (
        "import sys, trainer.hub.fetch, trainer.hub.reach\n"
        "print({'huggingface_hub', 'httpx2', 'torch', 'transformers', 'gradio', 'numpy'} & set(sys.modules))"
    )
    assert run(code, CLOSED, tmp_path / "home") == "set()"
