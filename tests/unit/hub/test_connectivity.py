"""Whether the Hub is there is answered within the time given, whatever the network does."""

import socket
import threading
import time

import pytest

from tests.fakes.hub import FakeHub
from trainer.hub import connectivity
from trainer.hub.connectivity import reachable


def test_reachable_remembers_its_answer(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reachable(hub.url, 4.0)
    assert reachable(hub.url, 4.0)
    assert len(hub.requests) == 1
    monkeypatch.setattr(connectivity, "YES_LASTS", -1.0)
    connectivity._probes.clear()
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
    assert connectivity.NO_LASTS < connectivity.YES_LASTS


def test_a_slow_hub_is_out_of_reach_and_becomes_known_when_it_answers(hub: FakeHub) -> None:
    hub.delay = 0.5
    assert not reachable(hub.url, 0.2)
    connectivity._probes.clear()
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
