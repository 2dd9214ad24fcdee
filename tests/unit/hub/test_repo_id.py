"""What a visitor may type as a model's name."""

from collections.abc import Callable

import pytest
from huggingface_hub.utils import HFValidationError, validate_repo_id

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import MODEL, Fetch, assert_warm
from trainer.errors import UserError
from trainer.hub.repo_id import check_repo_id

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
