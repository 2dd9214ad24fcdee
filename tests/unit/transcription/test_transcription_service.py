"""Recordings of many visitors: whose slowness holds up whom, and whose words belong to what."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import CancelledError
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from tests.fakes.asynchronous import PATIENCE, run_in_time
from tests.fakes.hub import FakeHub
from trainer.errors import UserError
from trainer.models.inference import HeardPiece
from trainer.settings import Settings
from trainer.transcription import service, turns
from trainer.transcription.service import SoundError, TranscriptionService, Waiting
from trainer.transcription.transcribe import Transcript
from trainer.transcription.turns import Progress

READY = "ready:en"
SKIP = gr.skip()


async def all_of(steps: AsyncGenerator[Any, None]) -> list[Any]:
    async with aclosing(steps):
        return [step async for step in steps]


def test_eight_who_name_slow_repos_hold_nobody_up(hub: FakeHub, settings: Settings, voice: str) -> None:
    async def test() -> float:
        transcriptions = TranscriptionService(replace(settings, hub_endpoint=hub.url))
        await all_of(transcriptions.transcribe("warm", READY, voice))
        hub.repo_delay = PATIENCE
        slow = [
            asyncio.create_task(all_of(transcriptions.transcribe(f"slow{number}", f"slow/model-{number}", voice)))
            for number in range(8)
        ]
        deadline = time.monotonic() + PATIENCE
        while sum("slow" in seen.path for seen in hub.requests) < 8:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        began = time.monotonic()
        steps = await all_of(transcriptions.transcribe("honest", READY, voice))
        waited = time.monotonic() - began
        assert isinstance(steps[-1], Transcript) and steps[-1].text == "h"
        assert not any(task.done() for task in slow), "the slow ones are still at it"
        assert steps[:-1] == [Waiting("turn", 0)], "nobody was before them"
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)
        hub.repo_delay = 0.0
        hub.stop()  # hangs up on those that still wait
        return waited

    waited = run_in_time(test())
    print(f"an honest visitor waited {waited:.2f} s")
    assert waited < 10


def test_files_that_are_hard_to_decode_hold_up_nobody_s_turn(
    settings: Settings, voice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One visitor's, however many: each of theirs waits for the one before."""
    end, load = threading.Event(), service.load_recording

    def load_slowly(path: str, settings: Settings, work_seconds: float) -> np.ndarray:
        if path == "slow":
            end.wait(PATIENCE)
            raise UserError("That file takes too long to decode.", "")
        return load(path, settings, work_seconds)

    monkeypatch.setattr(service, "load_recording", load_slowly)

    async def test() -> None:
        transcriptions = TranscriptionService(settings)
        slow = [asyncio.create_task(all_of(transcriptions.transcribe("attacker", READY, "slow"))) for _ in range(4)]
        await asyncio.sleep(0)
        steps = await all_of(transcriptions.transcribe("honest", READY, voice))
        assert steps[-1].text == "h" and not any(task.done() for task in slow)
        end.set()
        done = await asyncio.gather(*slow, return_exceptions=True)
        assert {type(error) for error in done} == {SoundError}, "no other model would hear anything"

    run_in_time(test())


def test_a_download_that_nobody_wants_any_more_ends(settings: Settings, voice: str, monkeypatch: Any) -> None:
    """It is told at its next piece, and its worker is free for the next."""
    began, ended = threading.Event(), threading.Event()

    def fetch(choice: str, settings: Settings, owner: str, on_progress: Any) -> Path:
        began.set()
        try:
            while True:
                on_progress(1, 100)
                time.sleep(0.005)
        finally:
            ended.set()

    monkeypatch.setattr(service, "folder_of_choice", fetch)

    async def test() -> None:
        transcriptions = TranscriptionService(settings)
        task = asyncio.create_task(all_of(transcriptions.transcribe("a", "some/model", voice)))
        assert await asyncio.to_thread(began.wait, PATIENCE)
        task.cancel()
        await asyncio.wait([task])
        assert await asyncio.to_thread(ended.wait, PATIENCE)

    run_in_time(test())


def test_one_visitor_s_downloads_leave_room_for_others(settings: Settings, voice: str, monkeypatch: Any) -> None:
    begun: asyncio.Queue[str] = asyncio.Queue()
    end = threading.Event()

    async def test() -> None:
        loop = asyncio.get_running_loop()

        def fetch(choice: str, settings: Settings, owner: str, on_progress: Any) -> Path:
            loop.call_soon_threadsafe(begun.put_nowait, owner)
            end.wait(PATIENCE)
            raise UserError("That took too long.", "")

        monkeypatch.setattr(service, "folder_of_choice", fetch)
        transcriptions = TranscriptionService(settings)
        owners = [*["greedy"] * service.DOWNLOADS, "other"]
        asked = [asyncio.create_task(all_of(transcriptions.transcribe(owner, "some/model", voice))) for owner in owners]
        first = [await begun.get() for _ in range(service.DOWNLOADS_OF_VISITOR + 1)]
        assert sorted(first) == [*["greedy"] * service.DOWNLOADS_OF_VISITOR, "other"]
        end.set()
        await asyncio.gather(*asked, return_exceptions=True)

    run_in_time(test())


def test_one_who_waits_for_a_turn_is_told_their_place(settings: Settings, voice: str, monkeypatch: Any) -> None:
    gate = threading.Event()

    def hold(*_: Any) -> Iterator[HeardPiece]:
        assert gate.wait(PATIENCE)
        yield HeardPiece("h", (), "h", 1, 1, 1.0)

    monkeypatch.setattr(turns, "hear_pieces", hold)

    async def test() -> None:
        transcriptions = TranscriptionService(settings)
        told = asyncio.Queue[Any]()

        async def follow(owner: str) -> None:
            async for step in transcriptions.transcribe(owner, READY, voice):
                told.put_nowait((owner, step))

        first = asyncio.create_task(follow("a"))
        assert await told.get() == ("a", Waiting("turn", 0))
        second = asyncio.create_task(follow("b"))
        assert await told.get() == ("b", Waiting("turn", 1))
        third = asyncio.create_task(follow("c"))
        assert await told.get() == ("c", Waiting("turn", 2))
        second.cancel()
        assert await told.get() == ("c", Waiting("turn", 1))
        gate.set()
        await asyncio.gather(first, third)

    run_in_time(test())


def test_a_warm_up_takes_one_thread_however_often_it_is_asked_for(settings: Settings, monkeypatch: Any) -> None:
    end, began = threading.Event(), list[Path | None]()

    def warm_up(folder: Path | None, settings: Settings) -> None:
        began.append(folder)
        end.wait(PATIENCE)

    monkeypatch.setattr(service, "warm_up", warm_up)
    transcriptions = TranscriptionService(settings)
    before = threading.active_count()
    for number in range(500):
        transcriptions.warm_up(f"visitor{number % 20}", READY)
    assert threading.active_count() <= before + 1
    end.set()
    transcriptions._warming.shutdown()
    assert len(began) == service.MOST_WARMING


def five_pieces(gates: list[threading.Event]) -> Any:
    """In place of `hear_pieces`: a word a second, each once its gate is open."""

    def hear(samples: np.ndarray, folder: Path, settings: Settings, given_up: Any, *_: Any) -> Iterator[HeardPiece]:
        for number, gate in enumerate(gates, start=1):
            assert gate.wait(PATIENCE)
            if given_up():
                raise CancelledError
            yield HeardPiece(
                f"word{number}", (), f"word{number}", number, len(gates), number * len(samples) / 16_000 / 5
            )

    return hear


def test_a_long_recording_s_words_come_as_they_are_heard(settings: Settings, voice: str, monkeypatch: Any) -> None:
    gates = [threading.Event() for _ in range(5)]
    monkeypatch.setattr(turns, "hear_pieces", five_pieces(gates))

    async def test() -> None:
        steps = TranscriptionService(settings).transcribe("a", READY, voice)
        assert await anext(steps) == Waiting("turn", 0)
        for number in range(1, 5):
            gates[number - 1].set()
            step = await anext(steps)
            assert isinstance(step, Progress), "nothing else is waited for"
            assert step.transcript.text == " ".join(f"word{n}" for n in range(1, number + 1))
            assert step.seconds == pytest.approx(number / 5) and step.transcript.audio_seconds == 1.0
            assert (step.left is None) == (number == 1), "one piece says nothing: the model was opened in it"
        gates[4].set()
        end = await anext(steps)
        assert isinstance(end, Transcript) and end.text == "word1 word2 word3 word4 word5"
        assert [step async for step in steps] == []

    run_in_time(test())


def test_who_comes_while_a_long_one_is_heard_waits_for_a_turn_of_it(
    settings: Settings, voice: str, monkeypatch: Any
) -> None:
    gates = [threading.Event() for _ in range(5)]
    slowly = five_pieces(gates)
    waiting = iter([slowly, turns.hear_pieces])
    monkeypatch.setattr(turns, "hear_pieces", lambda *given: next(waiting)(*given))
    monkeypatch.setattr(turns, "SECONDS_A_TURN", 0.0)

    async def test() -> None:
        transcriptions = TranscriptionService(settings)
        long = transcriptions.transcribe("a", READY, voice)
        assert await anext(long) == Waiting("turn", 0)
        gates[0].set()
        assert isinstance(await anext(long), Progress)
        other = asyncio.create_task(all_of(transcriptions.transcribe("b", READY, voice)))
        while not transcriptions._line.waiting:
            await asyncio.sleep(0.005)
        gates[1].set()
        assert isinstance(await anext(long), Progress)
        assert await anext(long) == Waiting("turn", 1), "it makes way"
        steps = await other
        assert steps[-1].text == "h" and Waiting("turn", 1) in steps
        for gate in gates:
            gate.set()
        rest = await all_of(long)
        assert rest[-1].text == "word1 word2 word3 word4 word5", "and goes on where it was"

    run_in_time(test())


def test_a_long_recording_that_nobody_wants_any_more_ends_at_its_next_piece(
    settings: Settings, voice: str, monkeypatch: Any
) -> None:
    gates = [threading.Event() for _ in range(5)]
    monkeypatch.setattr(turns, "hear_pieces", five_pieces(gates))

    async def test() -> None:
        transcriptions = TranscriptionService(settings)
        steps = transcriptions.transcribe("a", READY, voice)
        gates[0].set()
        while not isinstance(await anext(steps), Progress):
            pass
        await steps.aclose()
        gates[1].set()
        monkeypatch.setattr(turns, "hear_pieces", five_pieces(gates[:1]))
        assert (await all_of(transcriptions.transcribe("b", READY, voice)))[-1].text == "word1", "the worker is free"
        assert not gates[2].is_set()

    run_in_time(test())
