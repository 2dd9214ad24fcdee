"""Many browsers' worth of polling while a run trains and people talk: errors, how fast plots are answered, memory.

    python -m tests.benchmarks.watchers [--watchers 200] [--talkers 10] [--seconds 60]

Loopback only, on a Space's settings: each watcher opens the page's events (not its files) with a secret of the run's
owner and asks every 2.5 s as a page does; each talker uploads a practice clip, waits for its words and starts again.
The run is a real training of the starter model on the practice voices, on the same processor cores.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.app.raw_client import RawClient
from tests.app.serving import App, start_app
from trainer.settings import Settings
from trainer.speech.audio import load_audio, to_wav
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source
from trainer.training.recipe import preset_of
from trainer.ui.finetune_tab import SECONDS_BETWEEN_POLLS_ON_SPACE
from trainer.ui.recipe_form import form_of
from trainer.ui.visitors import COOKIE, valid_or_new

CLOSED = "http://127.0.0.1:9"  # nothing listens there, so there is no Hub
SECONDS_TO_BEGIN = 240.0
SECONDS_BETWEEN_TALKERS = 2.0  # the guard takes 300 files a minute of all
MEGABYTE = 2**20


@dataclass
class Tally:
    """What happened; times in seconds."""

    polls: list[float] = field(default_factory=list)
    plots: list[float] = field(default_factory=list)  # the polls that were answered with a curve
    words: list[float] = field(default_factory=list)
    refused: int = 0  # recordings that the full line did not take
    errors: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # bytes of the app, every second
    busy: float = 0.0  # processor seconds of the app


def percentile(times: list[float], share: float) -> float:
    """E.g. 0.95 of the times are at most this; -1 for none."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))] if times else -1.0


class Watcher:
    """One browser that looks at the run."""

    def __init__(self, http: httpx.AsyncClient, endpoints: dict[str, Any], secret: str, number: int) -> None:
        self._http, self._endpoints, self._session = http, endpoints, f"watcher{number}-{secrets.token_hex(4)}"
        self._cookie = {"cookie": f"{COOKIE}={secret}"}
        self._visit = [None, None, "quick", None, preset_of("quick").recipe.base]

    async def _ask(self, name: str, *more: str) -> tuple[httpx.Response, float]:
        body = {"data": [*self._visit, *more], "fn_index": self._endpoints[name]["id"], "session_hash": self._session}
        began = time.perf_counter()
        answer = await self._http.post("gradio_api/run/predict", json=body, headers=self._cookie)
        return answer, time.perf_counter() - began

    async def watch(self, tally: Tally, until: float, delay: float) -> None:
        """Arrive, then ask as a page does."""
        await asyncio.sleep(delay)
        try:
            await self._ask("arrive", "en-US")
            while time.monotonic() < until:
                await asyncio.sleep(SECONDS_BETWEEN_POLLS_ON_SPACE)
                answer, took = await self._ask("glance")
                if answer.status_code != 200 or "data" not in answer.json():
                    tally.errors.append(f"poll: {answer.status_code} {answer.text[:200]}")
                    continue
                tally.polls.append(took)
                if answer.json().get("changed_state_ids"):
                    more, _ = await self._ask("poll")
                    if more.status_code != 200:
                        tally.errors.append(f"poll: {more.status_code}")
                if "<svg" in answer.text:
                    tally.plots.append(took)
        except httpx.HTTPError as error:
            tally.errors.append(f"watcher: {error!r}")


def talk(url: str, endpoint_name: str, sound: bytes, number: int, tally: Tally, until: float) -> None:
    """One after the other they come, each with a page and a cookie of their own, and say something.

    Blocks; to be run in a thread.
    """
    while time.monotonic() < until:
        client = RawClient(url, f"talker{number}-{secrets.token_hex(4)}", valid_or_new(None))
        time.sleep(SECONDS_BETWEEN_TALKERS)
        try:
            endpoint = client.endpoints()[endpoint_name]
            began = time.perf_counter()
            said = client.call(endpoint, ["ready:en", client.upload("voice.wav", sound), "", True])
        except httpx.HTTPError as error:
            tally.errors.append(f"talker: {error!r}")
            continue
        if "transcript-details" in said:
            tally.words.append(time.perf_counter() - began)
        elif "recordings wait already" in said:
            tally.refused += 1
            time.sleep(1.0)
        else:
            tally.errors.append(f"talker: {said[-300:]}")
        client.close()


async def measure(app: App, secret: str, options: argparse.Namespace, sounds: list[bytes]) -> Tally:
    """All of them at once."""
    tally, until = Tally(), time.monotonic() + options.seconds
    client = RawClient(app.url, "counter")
    endpoints = client.endpoints()
    client.close()
    # Connections that idle between two polls are let go: the server closes them at its own time, and a browser would
    # simply ask again.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=1.0)
    async with httpx.AsyncClient(base_url=app.url, timeout=60.0, limits=limits) as http:
        watchers = [
            Watcher(http, endpoints, secret, number).watch(
                tally, until, SECONDS_BETWEEN_POLLS_ON_SPACE * number / options.watchers
            )
            for number in range(options.watchers)
        ]
        talkers = [
            asyncio.to_thread(talk, app.url, "hear", sounds[number % len(sounds)], number, tally, until)
            for number in range(options.talkers)
        ]
        await asyncio.gather(_weigh(app, tally, until), *watchers, *talkers)
    return tally


async def _weigh(app: App, tally: Tally, until: float) -> None:
    process = psutil.Process(app.process.pid)
    before = sum(process.cpu_times()[:2])
    while time.monotonic() < until:
        tally.memory.append(process.memory_info().rss)
        await asyncio.sleep(1.0)
    tally.busy = sum(process.cpu_times()[:2]) - before


def begin_training(app: App, secret: str, steps: int) -> None:
    """Press Start as the owner, and return when steps are made. Raises RuntimeError where it does not begin."""
    client = RawClient(app.url, "owner", secret)
    endpoints = client.endpoints()
    form = form_of(preset_of("quick").recipe.change(data="practice", max_steps=steps))
    visit = [None, None, "quick", None, preset_of("quick").recipe.base]
    client.call(endpoints["arrive"], [*visit, form.locale])
    said = client.call(endpoints["start"], [*visit, *vars(form).values(), False])
    deadline = time.monotonic() + SECONDS_TO_BEGIN
    while not any('"log"' in file.read_text() for file in app.data.glob("runs/*/events.jsonl")):
        if time.monotonic() > deadline:
            raise RuntimeError(f"It did not begin to train: {said[:500]}")
        time.sleep(0.5)
    client.close()


def some_sounds(count: int) -> list[bytes]:
    """Practice clips of the test split as WAV; as many as there are people, so that no two send the same."""
    clips = open_source("practice", LOCALES["en-US"], Settings(Path("unused"))).clips
    return [to_wav(load_audio(clip.audio).samples) for clip in clips[:count] if clip.audio is not None]


def report(tally: Tally) -> dict[str, Any]:
    """The figures: times in milliseconds, but words in seconds; memory in MB."""
    half = len(tally.memory) // 2
    return {
        "polls": len(tally.polls),
        "polls_p50_ms": round(1000 * percentile(tally.polls, 0.5), 1),
        "polls_p95_ms": round(1000 * percentile(tally.polls, 0.95)),
        "plots": len(tally.plots),
        "plots_p95_ms": round(1000 * percentile(tally.plots, 0.95)),
        "app_cores": round(tally.busy / len(tally.memory), 2),
        "transcripts": len(tally.words),
        "transcript_median_s": round(statistics.median(tally.words), 1) if tally.words else None,
        "transcript_p95_s": round(percentile(tally.words, 0.95), 1),
        "refused": tally.refused,
        "errors": len(tally.errors),
        "first_errors": tally.errors[:3],
        "memory_start_mb": round(tally.memory[0] / MEGABYTE),
        "memory_half_mb": round(tally.memory[half] / MEGABYTE),
        "memory_end_mb": round(tally.memory[-1] / MEGABYTE),
    }


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--talkers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    secret = valid_or_new(None)
    with tempfile.TemporaryDirectory() as folder:
        app = start_app(Path(folder), SPACE_ID="someone/voicetune", HF_ENDPOINT=CLOSED)
        try:
            begin_training(app, secret, steps=20_000)
            tally = asyncio.run(measure(app, secret, options, some_sounds(options.talkers)))
        finally:
            app.stop()  # and with it the training
    print(json.dumps({"cores": os.cpu_count(), **vars(options), **report(tally)}, indent=2))


if __name__ == "__main__":
    main()
