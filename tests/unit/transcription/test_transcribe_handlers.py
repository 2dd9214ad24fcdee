"""What a page shows of its recordings: the newest alone, what is waited for, Stop, and the last one heard again."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.fakes.asynchronous import run_in_time
from tests.fakes.run_folder import beep
from trainer.models.hot_words import MOST_HOT
from trainer.settings import Settings
from trainer.transcription.service import TranscriptionService, Waiting
from trainer.transcription.transcribe import USUAL, Listening, Transcript
from trainer.transcription.turns import Progress
from trainer.ui import newest
from trainer.ui.recordings import Recordings
from trainer.ui.transcribe_handlers import TranscribeHandlers
from trainer.ui.transcript_html import INSTEAD, waiting_words
from trainer.ui.visitors import OpenPage

READY = "ready:en"


SKIP = gr.skip()


class Spoken(TranscriptionService):
    """Hears what is told by its test: per recording a queue of steps."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.steps: dict[str, asyncio.Queue[Any]] = {}
        self.ended: list[str] = []

    async def transcribe(
        self, owner: str, choice: str, path: str, listening: Listening = USUAL
    ) -> AsyncGenerator[Any, None]:
        name = Path(path).name
        try:
            while (step := await self.steps[name].get()) is not None:
                yield step
        finally:
            self.ended.append(name)


def heard(text: str) -> Transcript:
    return Transcript(text, (), 1.0, 0.1, "your model")


def request(page: str) -> gr.Request:
    return gr.Request(session_hash=page, cookies={})


@pytest.fixture
def two(settings: Settings, tmp_path: Path) -> tuple[TranscribeHandlers, list[str]]:
    paths = [str(tmp_path / name) for name in ("first", "second")]
    for path in paths:
        Path(path).write_bytes(b"RIFF")
    return TranscribeHandlers(settings, Spoken(settings)), paths


async def texts(answers: AsyncIterator[list[Any]], shown: list[str]) -> None:
    """What stands where the words are, one after another."""
    async for words, _ in answers:
        if words != SKIP:
            shown.append(words)


@pytest.mark.parametrize("same_page", [True, False])
def test_the_newest_recording_of_a_page_is_the_one_that_is_written_down(
    two: tuple[TranscribeHandlers, list[str]], same_page: bool
) -> None:
    handlers, (first, second) = two
    assert isinstance(handlers.service, Spoken)
    spoken = handlers.service

    async def test() -> None:
        spoken.steps = {"first": asyncio.Queue(), "second": asyncio.Queue()}
        shown: dict[str, list[str]] = {"first": [], "second": []}
        spoken.steps["first"].put_nowait(Waiting("turn", 1))
        one = asyncio.create_task(texts(handlers.hear(READY, first, "", True, "any", request("page")), shown["first"]))
        while len(shown["first"]) < 2:
            await asyncio.sleep(0.005)
        page = request("page" if same_page else "another page")
        two = asyncio.create_task(texts(handlers.hear(READY, second, "", True, "any", page), shown["second"]))
        while not shown["second"]:
            await asyncio.sleep(0.005)
        if same_page:
            await one
            assert spoken.ended == ["first"] and not two.done(), "its place is free"
        for name in ("first", "second"):
            spoken.steps[name].put_nowait(heard(f"words of the {name}"))
            spoken.steps[name].put_nowait(None)
        await asyncio.gather(one, two)
        assert "One other recording comes before yours" in shown["first"][1]
        assert "words of the second" in shown["second"][-1]
        assert (INSTEAD in shown["second"][0]) == same_page
        assert any("words of the first" in text for text in shown["first"]) == (not same_page)
        assert not any(handlers.newest.busy(OpenPage("local", name)) for name in ("page", "another page"))

    run_in_time(test())


def test_a_page_that_is_closed_gives_its_place_away(
    two: tuple[TranscribeHandlers, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio closes the generator of a visitor who has left, once there is something to send to them."""
    monkeypatch.setattr(newest, "SECONDS_BETWEEN_SIGNS", 0.01)
    handlers, (first, _) = two
    assert isinstance(handlers.service, Spoken)
    spoken = handlers.service

    async def test() -> None:
        spoken.steps = {"first": asyncio.Queue()}
        answers = handlers.hear(READY, first, "", True, "any", request("page"))
        assert await anext(answers) != [SKIP, SKIP]
        assert [await anext(answers) for _ in range(3)] == [[SKIP, SKIP]] * 3, "signs, though nothing is told"
        await answers.aclose()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert spoken.ended == ["first"] and not handlers.newest.busy(OpenPage("local", "page"))

    run_in_time(test())


def test_what_is_waited_for_is_said() -> None:
    assert waiting_words(Waiting("turn", 1)) == "One other recording comes before yours …"
    assert waiting_words(Waiting("turn", 3)) == "3 other recordings come before yours …"
    assert "Listening" in waiting_words(Waiting("turn", 0))
    assert "Fetching the model" in waiting_words(Waiting("model", 0))
    assert "yours comes after 2" in waiting_words(Waiting("model", 2))


def progress(text: str) -> Progress:
    return Progress(heard(text), 0.5, 20.0)


def test_stop_keeps_the_words_so_far(two: tuple[TranscribeHandlers, list[str]]) -> None:
    handlers, (first, _) = two
    assert isinstance(handlers.service, Spoken)
    spoken = handlers.service

    async def test() -> None:
        spoken.steps = {"first": asyncio.Queue()}
        spoken.steps["first"].put_nowait(progress("words so far"))
        shown: list[str] = []
        task = asyncio.create_task(texts(handlers.hear(READY, first, "", True, "any", request("page")), shown))
        while len(shown) < 2:
            await asyncio.sleep(0.005)
        assert "words so far" in shown[1] and "about 20 s left" in shown[1]
        handlers.stop_hearing(OpenPage("local", "another page"))
        await asyncio.sleep(0.05)
        assert not task.done()
        await asyncio.to_thread(handlers.stop_hearing, OpenPage("local", "page"))
        await task
        assert 'id="transcript"' in shown[-1] and "words so far" in shown[-1] and "Stopped after 0.5 s of" in shown[-1]
        assert spoken.ended == ["first"] and not handlers.newest.busy(OpenPage("local", "page"))

    run_in_time(test())


@pytest.fixture
def kept(settings: Settings, tmp_path: Path) -> tuple[TranscribeHandlers, str]:
    """Handlers, and a recording in their folder."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "voice.wav").write_bytes(beep(1.0, 440))
    handlers = TranscribeHandlers(settings, TranscriptionService(settings), Recordings(folder, settings))
    return handlers, str(folder / "voice.wav")


async def said(answers: Any) -> str:
    """The last thing that stands there."""
    last = [step if isinstance(step, str) else step[0] async for step in answers][-1]
    return str(last)


def test_the_last_recording_is_heard_again_by_its_page_alone(kept: tuple[TranscribeHandlers, str]) -> None:
    handlers, voice = kept

    async def test() -> None:
        assert ">h</" in await said(handlers.hear(READY, voice, "", True, "any", request("page")))
        assert ">h</" in await said(handlers.hear_again(READY, "", True, "any", request("page")))
        assert ">h</" in await said(handlers.hear_with(READY, "", True, "any", request("page")))
        for page in ("another page", ""):
            answer = await said(handlers.hear_again(READY, "", True, "any", request(page)))
            assert "not here any more" in answer and "data-no-sound" in answer
            assert [step async for step in handlers.hear_with(READY, "", True, "any", request(page))] == [SKIP]
        away = [step async for step in handlers.hear_with("somebody/large-model", "", True, "any", request("page"))]
        assert away == [SKIP], "nothing is downloaded before somebody asks for it"
        handlers.forget(OpenPage("local", "page"))
        assert "not here any more" in await said(handlers.hear_again(READY, "", True, "any", request("page")))

    run_in_time(test())


def test_a_file_without_sound_is_not_kept_and_one_whose_model_is_gone_is(kept: tuple[TranscribeHandlers, str]) -> None:
    handlers, voice = kept

    async def test() -> None:
        answer = await said(handlers.hear("run:20261123-151204-en-US-9f3a1c", voice, "", True, "any", request("page")))
        assert "not there any more" in answer and "data-no-sound" not in answer
        assert handlers.recordings.last_of(OpenPage("local", "page")) == voice
        Path(voice).write_bytes(b"a poem")
        answer = await said(handlers.hear(READY, voice, "", True, "any", request("page")))
        assert "I cannot find any sound" in answer and "data-no-sound" in answer
        assert handlers.recordings.last_of(OpenPage("local", "page")) is None

    run_in_time(test())


@pytest.mark.parametrize("typed", ["Anna, Kopenhagen", None])
def test_what_is_to_be_listened_for_reaches_the_model(settings: Settings, voice: str, typed: str | None) -> None:
    """And the recording of somebody else, who typed nothing, is heard as usual."""
    asked: list[Listening] = []

    class Asked(TranscriptionService):
        async def transcribe(
            self, owner: str, choice: str, path: str, listening: Listening = USUAL
        ) -> AsyncGenerator[Any, None]:
            asked.append(listening)
            async with aclosing(super().transcribe(owner, choice, path, listening)) as steps:
                async for step in steps:
                    yield step

    async def test() -> list[Any]:
        handlers = TranscribeHandlers(settings, Asked(settings))
        return [step async for step in handlers.hear(READY, voice, typed, False, "any", request("page"))]

    assert any("<p>h</p>" in str(step) or ">h</span></p>" in str(step) for step in run_in_time(test()))
    assert asked == [Listening(typed or "", phrases=False)]


def test_far_too_many_words_are_refused_where_the_text_would_be(settings: Settings, voice: str) -> None:
    async def test() -> list[Any]:
        typed = ", ".join(["name"] * (MOST_HOT + 1))
        handlers = TranscribeHandlers(settings, TranscriptionService(settings))
        return [step async for step in handlers.hear(READY, voice, typed, True, "any", request("page"))]

    assert f"I can listen for {MOST_HOT} names and words at most." in str(run_in_time(test()))
