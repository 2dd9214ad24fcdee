"""What a page sends of its microphone while it is open, and what it is told: bounds, strangers, and sentences."""

import base64
import re
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from tests.fakes.asynchronous import run_apart
from tests.fakes.models import save_answering
from trainer.errors import UserError
from trainer.settings import Settings
from trainer.transcription import live_streams, model_list
from trainer.transcription.fair_queue import FairQueue
from trainer.transcription.live_streams import MOST_CHUNK_SECONDS, Caption, LiveStreams
from trainer.ui.live_captions import LATE, WAKING, LiveHandlers, chunk_of, note_of, told
from trainer.ui.request_limits import LARGEST_JSON
from trainer.ui.theme import script
from trainer.ui.visitors import COOKIE, valid_or_new

RATE = 16_000
NOISE = (8000 * np.random.default_rng(0).standard_normal(RATE)).astype("<i2")


def sent(samples: np.ndarray = NOISE, **but: Any) -> dict[str, Any]:
    pcm = base64.b64encode(samples.astype("<i2").tobytes()).decode()
    return {"stream": "one", "number": 0, "rate": RATE, "seen": 0, "pcm": pcm, **but}


def test_a_chunk_arrives_as_it_was_spoken() -> None:
    chunk = chunk_of(sent(np.array([0, 1, -1, 32767, -32768])))
    assert (chunk.stream, chunk.number, chunk.rate) == ("one", 0, RATE)
    assert chunk.samples.tolist() == [0, 1, -1, 32767, -32768]


@pytest.mark.parametrize(
    "wrong",
    [
        {"stream": ""},
        {"stream": "x" * 65},
        {"stream": 1},
        {"number": -1},
        {"number": True},
        {"number": "0"},
        {"rate": 7_999},
        {"rate": 1_000_000},
        {"rate": 16_000.5},
        {"pcm": ""},
        {"pcm": "AAA"},
        {"pcm": "AA=="},
        {"pcm": "not sound!"},
        {"pcm": ["AAAA"]},
        {"pcm": base64.b64encode(bytes(2 * int(MOST_CHUNK_SECONDS * RATE) + 2)).decode()},
    ],
)
def test_what_is_no_sound_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="no sound from a microphone"):
        chunk_of(sent(**wrong))


def test_what_the_page_sends_at_once_passes_the_guard() -> None:
    found = re.search(r"MOST_SAMPLES = (\d+), MOST_SECONDS = (\d+);", script())
    assert found
    assert len(str(sent(np.zeros(int(found[1]))))) + 10_000 < LARGEST_JSON, "with the words to listen for beside it"
    assert chunk_of(sent(np.zeros(int(found[2]) * RATE))).samples.shape == (int(found[2]) * RATE,)


def test_only_what_is_new_of_the_settled_text_is_told() -> None:
    caption = Caption("one two", "three", "live")
    assert told(caption, "one", 1, 3)["settled"] == " two" and told(caption, "one", 1, 3)["seen"] == 7
    for seen in (None, -1, "x", True):
        assert told(caption, "one", 1, seen)["settled"] == "one two"
    assert told(caption, "one", 1, 99)["settled"] == ""


def test_what_is_going_on_is_said() -> None:
    assert note_of(Caption()) == WAKING and note_of(Caption(state="late")) == LATE
    assert "may still change" in note_of(Caption(state="live"))
    assert note_of(Caption(state="over", error=UserError("A.", "B."))) == "A. B."
    fault = note_of(Caption(state="over", error=ValueError("/a/path")))
    assert "went wrong on my side" in fault and "/a/path" not in fault


@pytest.fixture
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveHandlers:
    """Of a Space whose ready model hears "h" in everything that is not silent."""
    folder = save_answering(tmp_path / "ready", "h")
    monkeypatch.setattr(model_list, "starter_of", lambda language: folder)
    monkeypatch.setattr(live_streams, "ANSWER_SECONDS", 60.0)
    settings = Settings(tmp_path / "data", on_space=True, can_sign_in=False)
    return LiveHandlers(settings, LiveStreams(settings, FairQueue("line")))


def asking(session: str | None, secret: str) -> gr.Request:
    return gr.Request(session_hash=session, cookies={COOKIE: secret})


def test_a_page_is_told_its_words_and_no_stranger_continues_it(handlers: LiveHandlers) -> None:
    mine, stranger = valid_or_new(None), valid_or_new(None)

    async def test() -> None:
        first = await handlers.caption(sent(), "ready:en", "", True, asking("page", mine))
        assert (first["state"], first["unsettled"], first["number"]) == ("live", "h", 0)
        for session, secret in (("page", stranger), ("another", mine), (None, mine)):
            answer = await handlers.caption(sent(number=1), "ready:en", "", True, asking(session, secret))
            assert answer["state"] == "over" and not answer["unsettled"]
        second = await handlers.caption(sent(number=1), "ready:en", "", True, asking("page", mine))
        assert second["state"] == "live", "and what they sent changes nothing"
        await handlers.caption({"stream": "one", "end": True}, "ready:en", "", True, asking("page", mine))
        assert handlers.streams.open == 0

    run_apart(test())


@pytest.mark.parametrize("nothing", [None, [], "x", {}, {"stream": "one"}, {"stream": [1], "number": {}, "seen": []}])
def test_what_is_no_message_is_answered_all_the_same(handlers: LiveHandlers, nothing: Any) -> None:
    answer = run_apart(handlers.caption(nothing, "ready:en", "", True, asking("page", "")))
    assert answer["state"] == "over" and handlers.streams.open == 0
