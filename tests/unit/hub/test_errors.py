"""What will not do is refused in two warm sentences, before any download where that can be known."""

import errno
import os
import shutil

import pytest

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import FILES, MODEL, Fetch, assert_warm
from trainer.errors import UserError
from trainer.hub.connectivity import reachable
from trainer.hub.inspect import FetchLimits

GIGABYTE = 10**9


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"model.safetensors": b"1"}, "has no config.json, so it is not a Transformers model"),
        ({"config.json": b"{}"}, "has no model.safetensors, so there are no weights"),
        ({"config.json": b"{}", "pytorch_model.bin": b"\x80"}, "pytorch_model.bin, a format that can run hidden code"),
        ({"config.json": b"{}", "weights.pt": b"\x80"}, "a PyTorch pickle, a format that can run hidden code"),
        ({"config.json": b" " * 2**21, "model.safetensors": b"1"}, r"The config.json of .* is 2 MB, far more"),
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
    with pytest.raises(UserError, match=r"is too large: 300 kB to download, where 200 kB is the most") as caught:
        fetch(limits=FetchLimits(total_bytes=200_000))
    assert_warm(caught.value)
    with pytest.raises(UserError, match=r"The preprocessor_config.json of .* is 1 kB, far more"):
        fetch(limits=FetchLimits(small_bytes=4))
    assert not hub.files_sent()


def test_a_full_disk_is_said_before_any_download(hub: FakeHub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_model(MODEL, FILES)
    folder = fetch()
    hub.add_model("anna/other", FILES)
    sent = len(hub.files_sent())
    usage = shutil.disk_usage(folder)._replace(free=GIGABYTE // 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"not enough room on the disk: anna/other takes 300 kB, 250 MB are") as caught:
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
