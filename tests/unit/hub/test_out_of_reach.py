"""What was fetched works without the Hub, and what was not is said within the time."""

import time

import pytest

from tests.fakes.hub import FakeHub
from tests.unit.hub.samples import CLOSED, FILES, MODEL, Fetch
from trainer.errors import UserError
from trainer.hub import connectivity
from trainer.hub.connectivity import reachable
from trainer.hub.download import FetchLimits


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
    connectivity._probes.clear()
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
    connectivity._probes.clear()
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
