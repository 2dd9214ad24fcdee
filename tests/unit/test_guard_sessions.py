"""Whose page it is: the visitor's secret, and the sessions that belong to it."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.house import ANSWERS, CANCEL, JOIN, PREDICT, House, signed_in_space
from trainer.ui.visitors import COOKIE, SECURE_COOKIE, valid_or_new

RESET = "/gradio_api/reset"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def cookie_of(answer: httpx.Response) -> tuple[str, str, set[str]]:
    """Its name, value and attributes."""
    first, *attributes = answer.headers["set-cookie"].split("; ")
    name, _, value = first.partition("=")
    return name, value, set(attributes)


def test_a_space_gives_each_browser_a_secret_that_no_script_can_read(tmp_path: Path) -> None:
    house = signed_in_space(tmp_path)
    name, value, attributes = cookie_of(house.ask("GET", "/", headers={"x-forwarded-proto": "https,http"}))
    assert name == SECURE_COOKIE and {"HttpOnly", "Secure", "SameSite=None", "Partitioned", "Path=/"} <= attributes
    assert cookie_of(house.ask("GET", "/"))[1] != value
    again = house.ask("GET", "/", headers={"x-forwarded-proto": "https", "cookie": f"a=b; {SECURE_COOKIE}={value}"})
    assert cookie_of(again)[1] == value
    assert "set-cookie" not in house.ask("GET", "/config").headers


def test_without_https_the_cookie_stays_on_its_own_site(tmp_path: Path) -> None:
    name, _, attributes = cookie_of(signed_in_space(tmp_path).ask("GET", "/"))
    assert name == COOKIE and {"HttpOnly", "SameSite=Lax"} <= attributes and "Secure" not in attributes


def test_what_is_no_secret_is_replaced(tmp_path: Path) -> None:
    house = signed_in_space(tmp_path)
    for forged in ("short", "a" * 65, "x; Path=/evil", "../" * 20):
        assert cookie_of(house.ask("GET", "/", headers={"cookie": f"{COOKIE}={forged}"}))[1] != forged
    kept = valid_or_new(None)
    assert cookie_of(house.ask("GET", "/", headers={"cookie": f"{COOKIE}={kept}"}))[1] == kept


def test_a_laptop_has_one_owner_and_no_cookie(house: House) -> None:
    assert "set-cookie" not in house.ask("GET", "/").headers


def naming(session: object) -> list[tuple[str, str, dict[str, Any]]]:
    """Every way in which a request names a session."""
    body = {"session_hash": session, "fn_index": 0, "data": [], "event_id": "e"}
    return [
        *(("POST", path, {"json": body}) for path in (PREDICT, JOIN, CANCEL, "/gradio_api/reset")),
        ("GET", f"{ANSWERS}?session_hash={session}", {}),
        ("GET", f"/gradio_api/heartbeat/{session}", {}),
    ]


def as_visitor(secret: str | None) -> dict[str, Any]:
    return {"headers": {"cookie": f"{COOKIE}={secret}"} if secret else {}}


@pytest.mark.parametrize("first", range(6))
def test_a_page_belongs_to_the_browser_that_named_it_first(tmp_path: Path, first: int) -> None:
    house = signed_in_space(tmp_path)
    house.sessions.blocks._queue.pending_event_ids_session["page"] = {"e"}
    mine, another = valid_or_new(None), valid_or_new(None)
    method, path, sent = naming("page")[first]
    assert house.ask(method, path, **sent, **as_visitor(mine)).text == "inside"
    for method, path, sent in naming("page"):
        for stranger in (another, None):
            house.inside.reached.clear()
            refused = house.ask(method, path, **sent, **as_visitor(stranger))
            assert refused.status_code == 403 and not house.inside.reached, (path, stranger)
        assert house.ask(method, path, **sent, **as_visitor(mine)).text == "inside", path


def test_a_browser_that_keeps_no_cookie_has_its_page_too(tmp_path: Path) -> None:
    """As in a frame on another site, where cookies are blocked. Such browsers cannot be told from one another."""
    house = signed_in_space(tmp_path)
    house.sessions.blocks._queue.pending_event_ids_session["page"] = {"e"}
    for _ in range(2):
        for method, path, sent in naming("page"):
            assert house.ask(method, path, **sent).text == "inside", path
    assert (
        house.ask("POST", PREDICT, json={"session_hash": "page"}, **as_visitor(valid_or_new(None))).status_code == 403
    )


def test_nobody_ends_another_pages_event_by_its_number(tmp_path: Path) -> None:
    """Gradio ends the event that is named, whatever session is named beside it."""
    house = signed_in_space(tmp_path)
    house.sessions.blocks._queue.pending_event_ids_session["page"] = {"e"}
    asked = {"session_hash": "mine", "fn_index": 0, "event_id": "e"}
    assert house.ask("POST", CANCEL, json=asked, **as_visitor(valid_or_new(None))).json() == {"success": True}
    assert house.inside.reached == []


def test_what_is_no_session_s_name_is_refused(house: House) -> None:
    """Gradio keeps the names of the last 10,000 events' sessions, however long."""
    for session in ("", "x" * 65, "x" * 100_000, "a b", "../a", "ä"):
        for path in (PREDICT, JOIN, CANCEL):
            assert house.ask("POST", path, json={"session_hash": session}).status_code == 403
    for query in (
        "",
        "session_hash=a&session_hash=b",
        "session_hash=",
        "session_hash=a%20b",
        f"session_hash={'x' * 65}",
    ):
        assert house.ask("GET", f"{ANSWERS}?{query}").status_code == 403
    assert house.inside.reached == [] and not house.sessions._owners
