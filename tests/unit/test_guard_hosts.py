"""Whom the guard answers: the names that the app was started for, and its own pages."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.asynchronous import run_apart
from tests.fakes.house import PREDICT, UPLOAD, House
from trainer.settings import Settings
from trainer.ui import guard as module
from trainer.ui.hosts import Hosts, hosts_of


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:7860", "localhost.", "127.0.0.1:7860", "127.1.2.3", "[::1]:7860", "[::1]"],
)
def test_this_machine_is_answered(house: House, host: str) -> None:
    assert house.ask("GET", "/", host=host).text == "inside"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil.example", "my-laptop.local",
        "192.168.1.5", "0.0.0.0", "2130706433", "", "localhost, evil.example", "localhost@evil.example", "[::1",
        "x.hf.space",
    ],
)  # fmt: skip
def test_a_name_that_it_was_not_started_for_is_not_answered(house: House, host: str) -> None:
    for method, path in (("GET", "/"), ("POST", PREDICT), ("GET", "/config")):
        assert house.ask(method, path, host=host).status_code == 421
    assert house.inside.reached == []


def test_two_hosts_are_none(house: House) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"host", b"evil.example")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    run_apart(house.guard(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 421


def test_the_settings_name_others() -> None:
    env = {"VOICETUNE_DATA": "unused", "VOICETUNE_HOSTS": "Speech.example.org, *.lab.example.org"}

    def names() -> set[str]:
        raise AssertionError("it does not listen everywhere")

    hosts = hosts_of(Settings.from_env(env), names)
    assert hosts.answer("speech.example.org:8443") and hosts.answer("a.lab.example.org") and hosts.answer("localhost")
    assert not any(map(hosts.answer, ("example.org", "lab.example.org", "evil-lab.example.org", "10.0.0.1")))


def test_an_app_that_listens_everywhere_is_reached_by_its_machines_names_and_any_address() -> None:
    hosts = hosts_of(Settings(Path("unused"), hosts=("0.0.0.0",)), lambda: {"my-laptop", "my-laptop.local"})
    assert all(map(hosts.answer, ("my-laptop:7860", "my-laptop.local", "192.168.1.5:7860", "[fe80::1]:7860")))
    assert not any(map(hosts.answer, ("evil.example", "192.168.1.5.evil.example", "other.local")))


def test_a_space_is_reached_by_its_own_names() -> None:
    env = {"SPACE_ID": "someone/voicetune", "SPACE_HOST": "someone-voicetune.hf.space,speech.example.org"}
    hosts = hosts_of(Settings.from_env({**env, "VOICETUNE_DATA": "unused", "GRADIO_SERVER_NAME": "0.0.0.0"}), set)
    assert all(map(hosts.answer, ("someone-voicetune.hf.space", "speech.example.org", "10.1.2.3:7860")))
    assert not hosts.answer("evil.example")


FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:9999"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
    {"sec-fetch-site": "cross-site", "origin": "http://localhost:7860"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_what_a_foreign_page_sends_is_refused(house: House, headers: dict[str, str]) -> None:
    assert house.ask("POST", PREDICT, json={}, headers=headers).status_code == 403
    assert house.ask("POST", UPLOAD, files={"files": ("a.wav", b"x")}, headers=headers).status_code == 403
    assert house.ask("GET", "/gradio_api/queue/data?session_hash=a", headers=headers).status_code == 403
    assert house.inside.reached == []
    assert house.ask("GET", "/", headers=headers).text == "inside", "a link to the page is none of this"


def test_its_own_page_is_answered(house: House) -> None:
    for headers in ({}, {"origin": "http://localhost:7860"}, {"sec-fetch-site": "same-origin"}):
        assert house.ask("POST", PREDICT, json={}, headers=headers).text == "inside"


def test_behind_a_proxy_that_rewrites_the_host_the_browsers_word_does() -> None:
    hosts = Hosts(frozenset({"someone-voicetune.hf.space"}), True)
    headers = {"host": "10.0.0.7:7860", "origin": "https://someone-voicetune.hf.space", "sec-fetch-site": "same-origin"}
    assert not module.from_elsewhere(httpx_headers(headers), hosts)
    assert module.from_elsewhere(httpx_headers({**headers, "sec-fetch-site": "cross-site"}), hosts)


def httpx_headers(headers: dict[str, str]) -> Any:
    from starlette.datastructures import Headers

    return Headers(headers)
