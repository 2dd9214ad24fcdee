"""How much may be sent to the app: JSON, files, and all at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fakes.house import LARGEST, PREDICT, UPLOAD, House
from trainer.ui import guard as module
from trainer.ui.request_limits import (
    FILES_OF_ALL,
    FILES_OF_VISITOR,
    FORM_BYTES,
    LARGEST_JSON,
    LARGEST_OF_ALL,
    LARGEST_OF_VISITOR,
    SECONDS_COUNTED,
    Uploads,
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def in_pieces(piece: bytes, count: int) -> AsyncIterator[bytes]:
    """A body without a declared length."""
    for _ in range(count):
        yield piece


def test_json_has_a_bound_declared_or_not(house: House) -> None:
    for body in (b"[" + b"{}," * 8_000_000, in_pieces(b"{}," * 20_000, 400)):
        assert house.ask("POST", PREDICT, content=body).status_code == 413
    assert house.inside.reached == []
    fits = b"x" * LARGEST_JSON
    assert house.ask("POST", PREDICT, content=fits).text == "inside" and house.inside.bodies == [fits]


def test_json_that_never_ends_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_FOR_JSON", 0.05)

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    assert house.ask("POST", PREDICT, content=drip()).status_code == 408
    assert house.inside.reached == []


def form(*contents: bytes, name: bytes = b"files") -> tuple[bytes, dict[str, str]]:
    """A form with files, and its content type."""
    head = b'--b0undary\r\nContent-Disposition: form-data; name="' + name + b'"; filename="a.wav"\r\n\r\n'
    body = b"".join(head + content + b"\r\n" for content in contents) + b"--b0undary--\r\n"
    return body, {"content-type": "multipart/form-data; boundary=b0undary"}


def pieces_of(body: bytes, size: int) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    return pieces()


def test_one_file_arrives_whole(house: House) -> None:
    for size in (7, 10**6):
        body, headers = form(b"RIFF--b0undar-" * 1000)
        assert house.ask("POST", UPLOAD, content=pieces_of(body, size), headers=headers).text == "inside"
        assert house.inside.bodies.pop() == body


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_more_files_than_one_are_refused(house: House, size: int) -> None:
    body, headers = form(b"RIFF", b"RIFF")
    assert house.ask("POST", UPLOAD, content=pieces_of(body, size), headers=headers).status_code == 413


def test_a_file_that_is_too_large_is_refused_declared_or_not(house: House) -> None:
    body, headers = form(bytes(LARGEST + FORM_BYTES + 1))
    for content in (body, pieces_of(body, 10_000)):
        answer = house.ask("POST", UPLOAD, content=content, headers=headers)
        assert answer.status_code == 413 and "at most" in answer.text and "inside" not in answer.text


def test_a_form_without_a_boundary_is_refused(house: House) -> None:
    assert house.ask("POST", UPLOAD, content=b"x").status_code == 400
    assert house.inside.reached == []


def uploads(room: int = 10**12) -> tuple[Uploads, list[float]]:
    now = [0.0]
    return Uploads(LARGEST, lambda: room, lambda: now[0]), now


def sent_until_refused(taken: Uploads, visitor: Callable[[int], str], size: int) -> tuple[int, str]:
    """How many of this size are taken one after another, and what is said then."""
    for number in range(100_000):
        if refusal := taken.refusal(visitor(number), size):
            return number, refusal
    raise AssertionError("it has no bound")


def test_one_visitor_cannot_send_without_end_and_others_still_can() -> None:
    taken, now = uploads()
    assert sent_until_refused(taken, lambda number: "one", LARGEST)[0] == LARGEST_OF_VISITOR
    assert taken.refusal("another", LARGEST) == ""
    now[0] = SECONDS_COUNTED + 1
    assert taken.refusal("one", LARGEST) == "", "what was sent a minute ago is gone"
    assert sent_until_refused(uploads()[0], lambda number: "one", 1)[0] == FILES_OF_VISITOR


def test_all_visitors_together_cannot_either() -> None:
    taken, refusal = sent_until_refused(uploads()[0], str, LARGEST)
    assert taken == LARGEST_OF_ALL and "Many recordings" in refusal
    assert sent_until_refused(uploads()[0], str, 1)[0] == FILES_OF_ALL


def test_the_disk_keeps_what_a_training_needs() -> None:
    assert "almost full" in uploads(room=10)[0].refusal("one", 11)
    assert uploads(room=11)[0].refusal("one", 11) == ""


def test_a_refusal_to_a_visitor_is_a_sentence(house: House) -> None:
    body, headers = form(bytes(LARGEST - 1000))
    answers = [house.ask("POST", UPLOAD, content=body, headers=headers) for _ in range(LARGEST_OF_VISITOR + 1)]
    assert [answer.status_code for answer in answers] == [200] * LARGEST_OF_VISITOR + [429]
    assert answers[-1].text == "You have sent a lot within a minute. Please wait a minute, then try again."


def test_only_so_many_are_answered_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUESTS_AT_ONCE", 0)
    assert house.ask("GET", "/").status_code == 503
    monkeypatch.setattr(module, "REQUESTS_AT_ONCE", 1)
    for _ in range(3):
        assert house.ask("GET", "/").status_code == 200
