"""How late words come while somebody talks: practice clips joined with pauses, sent as the page sends a microphone.

    python -m tests.benchmarks.live_captions                # the ready-made model, en-US
    python -m tests.benchmarks.live_captions --training     # while a quick look trains beside it
    python -m tests.benchmarks.live_captions --work         # the processor's seconds alone, also on a busy machine

A word counts as heard with the first answer that has heard all of it, and as shown with the first one that has as many
words as the finished recording has up to there; both from its end as the finished recording times it. Not measured are
the network and the browser, which gathers a quarter of a second of sound before it sends. How busy the machine is
otherwise is printed; on one that does other things too, what is printed is that machine's and not the model's.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from tests.benchmarks.heard_clips import Heard, joined_clips
from trainer.runs.run import Run, list_runs
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE
from trainer.transcription.fair_queue import FairQueue
from trainer.transcription.live import Ear
from trainer.transcription.live_streams import Chunk, LiveStreams
from trainer.transcription.model_list import folder_here
from trainer.transcription.transcribe import USUAL, opened_for, transcribe_samples, warm_up

SECONDS_A_CHUNK, MOST_SECONDS = 0.25, 2.0  # as live.js
CHOICE, OWNER = "ready:en", "local"


@dataclass
class Followed:
    """What was answered, and when: seconds from the first sample on."""

    answers: list[tuple[float, float, str]] = field(default_factory=list)  # when, sound heard up to, all words shown
    settled: list[str] = field(default_factory=list)
    over: str = ""


async def follow(settings: Settings, sound: np.ndarray) -> Followed:
    """Send a sound as fast as it would be spoken."""
    streams, found = LiveStreams(settings, FairQueue("line")), Followed()
    pcm = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
    began, sent, number = time.perf_counter(), 0, 0
    ends: list[int] = []
    while sent < len(pcm):
        spoken = int((time.perf_counter() - began) * SAMPLE_RATE)
        if spoken - sent < SECONDS_A_CHUNK * SAMPLE_RATE:
            await asyncio.sleep(0.01)
            continue
        end = min(spoken, sent + int(MOST_SECONDS * SAMPLE_RATE), len(pcm))
        ends.append(end)
        caption = await streams.take(OWNER, "page", Chunk("one", number, SAMPLE_RATE, pcm[sent:end]), CHOICE)
        if caption.state == "over":
            found.over = str(caption.error)
            break
        heard = streams._streams["page"].heard  # chunks
        shown = f"{caption.settled} {caption.unsettled}".strip()
        now = time.perf_counter() - began
        found.answers.append((now, ends[heard - 1] / SAMPLE_RATE if heard else 0.0, shown))
        found.settled.append(caption.settled)
        sent, number = end, number + 1
    streams.close("page")
    return found


@contextlib.contextmanager
def training(settings: Settings) -> Iterator[None]:
    """A quick look that trains meanwhile, begun already."""
    command = [sys.executable, "-m", "trainer", "finetune", "--locale", "en-US", "--data", "practice"]
    env = {**os.environ, "VOICETUNE_DATA": str(settings.data_dir), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not any(
                '"loss"' in run.events.read_text() for run in list_runs(settings.runs_dir) if run.events.is_file()
            ):
                if process.poll() is not None:
                    raise RuntimeError("The training has ended before it began.")
                time.sleep(1)
            yield
            if process.poll() is not None:
                print("The training ended before the recording did: the figures are of both.")
        finally:
            process.terminate()


def _learns(run: Run) -> bool:
    """Whether its first steps are done."""
    return run.events.is_file() and '"loss"' in run.events.read_text(encoding="utf-8")


def work(settings: Settings, model: Path, sound: np.ndarray) -> list[float]:
    """The processor's seconds of each hearing, where one comes every half a second."""
    ear, found = Ear(*opened_for(model, settings, USUAL)), []
    for chunk in np.split(sound, np.arange(SAMPLE_RATE // 2, len(sound), SAMPLE_RATE // 2)):
        began = time.process_time()
        ear.hear(chunk)
        found.append(time.process_time() - began)
    return found


def report(name: str, seconds: list[float]) -> None:
    """A row of the table."""
    if seconds:
        median, late = np.percentile(seconds, [50, 95])
        print(f"| {name} | {len(seconds)} | {median:.2f} | {late:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--work", action="store_true")
    parser.add_argument("--clips", type=int, default=20)
    given = parser.parse_args()
    heard = Heard.open("en-US", None)
    sound, _ = joined_clips(heard.dataset.test[: given.clips])
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        model = folder_here(CHOICE, settings, OWNER)
        assert model is not None
        warm_up(model, settings)
        if given.work:
            print("| | hearings | median | 95th percentile |\n|---|---|---|---|")
            report("seconds of a processor", work(settings, model, sound))
            return
        finished = transcribe_samples(sound, model, settings, "practice model")
        with training(settings) if given.training else contextlib.nullcontext():
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
            found = asyncio.run(follow(settings, sound))
    print(f"{len(sound) / SAMPLE_RATE:.0f} s, {len(finished.words)} words, {len(found.answers)} answers {found.over}")
    print("| seconds from a word's end until it is | words | median | 95th percentile |\n|---|---|---|---|")
    heard_after, shown_after = [], []
    for count, word in enumerate(finished.words, start=1):
        heard_at = next((when for when, upto, _ in found.answers if upto >= word.end), None)
        shown_at = next((when for when, _, text in found.answers if len(text.split()) >= count), None)
        heard_after += [heard_at - word.end] if heard_at is not None else []
        shown_after += [shown_at - word.end] if shown_at is not None else []
    report("heard", heard_after)
    report("shown", shown_after)
    last = found.answers[-1][2] if found.answers else ""
    alike = SequenceMatcher(None, last.split(), finished.text.split(), autojunk=False).ratio()
    kept = finished.text.startswith(found.settled[-1]) if found.settled else False
    print(f"The last words shown are the finished recording's to {alike:.1%}; all settled ones are: {kept}")


if __name__ == "__main__":
    main()
