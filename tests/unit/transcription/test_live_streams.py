"""Open microphones of many visitors: who is heard, who is told that it cannot be, and that all of it is bounded."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.asynchronous import run_in_time
from tests.fakes.models import save_answering
from trainer.errors import UserError
from trainer.settings import Settings
from trainer.transcription import live_streams, model_list
from trainer.transcription.fair_queue import FairQueue
from trainer.transcription.live_streams import (
    BURST_SECONDS,
    MOST_CHUNK_SECONDS,
    MOST_STREAMS,
    MOST_UNHEARD_SECONDS,
    Caption,
    Chunk,
    LiveStreams,
)

READY, RATE, PATIENCE = "ready:en", 16_000, 60.0


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_answering(tmp_path_factory.mktemp("ready"), "h")


@pytest.fixture
def settings(answering: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a host whose ready model hears "h" in everything that is not silent."""
    monkeypatch.setattr(model_list, "starter_of", lambda language: answering if language == "en" else None)
    monkeypatch.setattr(live_streams, "ANSWER_SECONDS", PATIENCE)
    return Settings(data_dir=tmp_path / "data")


def chunk(number: int = 0, seconds: float = 1.0, stream: str = "one", rate: int = RATE) -> Chunk:
    noise = 8000 * np.random.default_rng(number).standard_normal(int(seconds * rate))
    return Chunk(stream, number, rate, noise.astype(np.int16))


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def until(met: Any) -> None:
    while not met():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_words_come_while_somebody_talks_at_any_rate(settings: Settings, rate: int) -> None:
    async def test() -> Caption:
        streams = LiveStreams(settings, FairQueue("line"))
        for number in range(2):
            caption = await streams.take("me", "page", chunk(number, rate=rate), READY)
        streams.close("page")
        return caption

    assert run_in_time(test()) == Caption("", "h", "live")


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (chunk(1, stream="another"), "connection"),
        (chunk(0 + 2), "connection"),
        (chunk(1, rate=8_000), "More sound"),
        (chunk(1, seconds=MOST_CHUNK_SECONDS + 0.1), "More sound"),
    ],
)
def test_what_does_not_follow_ends_the_stream(settings: Settings, second: Chunk, why: str) -> None:
    async def test() -> Caption:
        streams = LiveStreams(settings, FairQueue("line"))
        await streams.take("me", "page", chunk(), READY)
        caption = await streams.take("me", "page", second, READY)
        assert streams.open == 0
        return caption

    caption = run_in_time(test())
    assert caption.state == "over" and why in str(caption.error)


def test_sound_that_comes_faster_than_anybody_speaks_is_refused(settings: Settings) -> None:
    async def test() -> int:
        streams = LiveStreams(settings, FairQueue("line"), Clock())
        for number in range(100):
            caption = await streams.take("me", "page", chunk(number), READY)
            if caption.state == "over":
                return number
        return 100

    assert run_in_time(test()) == int(BURST_SECONDS)


def test_no_more_sound_than_a_recording_may_have(settings: Settings) -> None:
    async def test() -> Caption:
        streams = LiveStreams(Settings(settings.data_dir, max_audio_seconds=2.5), FairQueue("line"))
        for number in range(3):
            caption = await streams.take("me", "page", chunk(number), READY)
        return caption

    caption = run_in_time(test())
    assert caption.state == "over" and "as long as a recording may be" in str(caption.error)


def test_so_many_talk_at_once_and_of_one_visitor_the_newest(settings: Settings) -> None:
    async def test() -> None:
        streams = LiveStreams(settings, FairQueue("line"))
        for number in range(MOST_STREAMS):
            assert (await streams.take(f"visitor{number}", f"page{number}", chunk(), READY)).state == "live"
        refused = await streams.take("late", "late page", chunk(), READY)
        assert refused.state == "over" and "as many as can" in str(refused.error)
        assert (await streams.take("visitor0", "another page", chunk(), READY)).state == "live", "in place of theirs"
        assert (await streams.take("visitor0", "page0", chunk(1), READY)).state == "over"
        streams.close("page1")
        assert (await streams.take("late", "late page", chunk(), READY)).state == "live"
        assert streams.open == MOST_STREAMS

    run_in_time(test())


def test_people_who_share_a_name_do_not_end_each_others_streams(settings: Settings) -> None:
    async def test() -> None:
        streams = LiveStreams(settings, FairQueue("line"))
        for page in ("page1", "page2"):
            assert (await streams.take("nobody", page, chunk(), READY, shared=True)).state == "live"
        assert (await streams.take("nobody", "page1", chunk(1), READY, shared=True)).state == "live"
        assert (await streams.take("nobody", "page1", chunk(), READY, shared=True)).state == "live"
        assert streams.open == 2, "of one page the newest"
        for page in ("page1", "page2"):
            streams.close(page)

    run_in_time(test())


def test_a_page_that_is_gone_gives_its_place_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_streams, "SECONDS_UNTIL_GONE", 0.05)

    async def test() -> None:
        streams = LiveStreams(settings, FairQueue("line"))
        await streams.take("me", "page", chunk(), READY)
        await until(lambda: streams.open == 0)

    run_in_time(test())


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, list[int]]]:
    """What holds every hearing up, and how many chunks each has heard."""
    opened, sizes, hear = threading.Event(), [], live_streams._hear

    def held_up(*given: Any) -> tuple[int, float]:
        assert opened.wait(PATIENCE)
        heard, seconds = hear(*given)
        sizes.append(heard)
        return heard, seconds

    monkeypatch.setattr(live_streams, "_hear", held_up)
    yield opened, sizes
    opened.set()


Gate = tuple[threading.Event, list[int]]


def test_what_comes_during_a_hearing_is_heard_at_once_by_the_next(settings: Settings, gate: Gate) -> None:
    opened, sizes = gate

    async def test() -> None:
        streams = LiveStreams(settings, FairQueue("line"))
        answers = []
        for number in range(4):
            answers.append(asyncio.create_task(streams.take("me", "page", chunk(number), READY)))
            await asyncio.sleep(0.05)
        opened.set()
        assert {caption.state for caption in await asyncio.gather(*answers)} == {"live"}
        assert sum(sizes) == 4 and len(sizes) <= 2

    run_in_time(test())


def test_a_stream_that_is_closed_frees_its_place_in_the_line(settings: Settings, gate: Gate) -> None:
    """While it is heard, and while it waits for its turn."""
    opened, _ = gate

    async def test() -> None:
        line = FairQueue("line")
        streams = LiveStreams(settings, line)
        asking = [asyncio.create_task(streams.take(name, name, chunk(), READY)) for name in ("heard", "waiting")]
        await until(lambda: line.waiting == 1)
        streams.close("waiting")
        await until(lambda: line.waiting == 0)
        streams.close("heard")
        opened.set()
        with line.joined("next", 8) as recording:
            assert await line.run(recording, lambda left: "served") == "served"
        for task in asking:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    run_in_time(test())


def test_who_waits_behind_others_is_told_so_and_in_the_end_given_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_streams, "ANSWER_SECONDS", 0.05)

    async def test() -> None:
        line, clock, opened = FairQueue("line"), Clock(), threading.Event()
        streams = LiveStreams(settings, line, clock)
        number = 0

        async def say(seconds: float = 1.0) -> Caption:
            nonlocal number
            clock.now += seconds
            number += 1
            return await streams.take("me", "page", chunk(number - 1, seconds), READY)

        while (await say()).state == "waking":
            await asyncio.sleep(0.05)
        with line.joined("another", 8) as recording:
            work = asyncio.create_task(line.run(recording, lambda left: opened.wait(PATIENCE)))
            states = [(await say(2.0)).state for _ in range(3)]
            assert line.waiting == 1
            assert states[-1] == "late"
            said = 6.0
            while (caption := await say(2.0)).state == "late":
                said += 2.0
            assert said <= MOST_UNHEARD_SECONDS + 2.0
            assert caption.state == "over" and "Others are talking too" in str(caption.error)
            opened.set()
            await work

    run_in_time(test())


def test_a_machine_that_is_too_slow_gives_up_and_says_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, hear = Clock(), live_streams._hear

    def slowly(*given: Any) -> tuple[int, float]:
        clock.now += 4.0
        return hear(*given)

    monkeypatch.setattr(live_streams, "_hear", slowly)

    async def test() -> tuple[int, Caption]:
        streams = LiveStreams(settings, FairQueue("line"), clock)
        for number in range(10):
            caption = await streams.take("me", "page", chunk(number), READY)
            if caption.state == "over":
                break
        return number, caption

    number, caption = run_in_time(test())
    assert number == live_streams.MEASURED_HEARINGS - 1 and "too slow" in str(caption.error)


@pytest.mark.parametrize(
    ("choice", "why"), [("", "No model is chosen"), ("ready:xx", "did not come"), ("some/model", "fetched first")]
)
def test_without_a_model_that_is_here_nothing_is_heard_live(settings: Settings, choice: str, why: str) -> None:
    async def test() -> Caption:
        streams = LiveStreams(settings, FairQueue("line"))
        caption = await streams.take("me", "page", chunk(), choice)
        assert streams.open == 0
        return caption

    caption = run_in_time(test())
    assert caption.state == "over" and isinstance(caption.error, UserError) and why in str(caption.error)
