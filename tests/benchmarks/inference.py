"""How fast models listen beside the stock pipeline, in turns, on the same clips; and what the speed costs in words.

    python -m tests.benchmarks.inference                              # the ready-made model on the en-US test clips
    python -m tests.benchmarks.inference --locale de-DE --model RUN/model
    python -m tests.benchmarks.inference --random                     # a random model of wav2vec2-base's shape
    python -m tests.benchmarks.inference --recordings ../shared/speech/multilang     # word errors alone, of people

Seconds are of the processor (`--wall`: of the clock) with one thread: other programs may use the machine meanwhile.
"""

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, pipeline
from transformers import logging as transformers_logging

from tests.benchmarks.heard_clips import Heard
from trainer.models import mctct, whisper_ctc
from trainer.models.ctc_model import open_base, open_checkpoint
from trainer.models.inference import Transcriber, open_transcriber
from trainer.models.listening_precision import listening_precision
from trainer.models.model_files import read_model
from trainer.models.vocabulary import vocabulary_for
from trainer.settings import STARTER_HEADS, Settings
from trainer.speech.audio import SAMPLE_RATE, AudioLimits, from_16_bit, load_audio, to_16_bit
from trainer.speech.evaluate_metrics import measured
from trainer.speech.locales import LOCALES, Locale, locale_of
from trainer.speech.text import normalise

CLIPS, ROUNDS, MOST_BYTES = 20, 3, 10**10
Listen = Callable[[Sequence[np.ndarray]], list[str]]


def stock_pipeline(folder: Path) -> Listen:
    """Transformers' own, in fp32, as its documentation has it."""
    mctct.register()
    whisper_ctc.register()
    listen = pipeline("automatic-speech-recognition", model=str(folder), device="cpu")

    def texts(sounds: Sequence[np.ndarray]) -> list[str]:
        given: Any = [{"raw": from_16_bit(to_16_bit(sound)), "sampling_rate": SAMPLE_RATE} for sound in sounds]
        return [heard["text"] for heard in listen(given)]

    return texts


def ours(listen: Transcriber) -> Listen:
    return lambda sounds: [listen(sound).text for sound in sounds]


def in_turns(
    listeners: dict[str, Listen], sounds: Sequence[np.ndarray], clock: Callable[[], float]
) -> dict[str, float]:
    """The median seconds of each."""
    took: dict[str, list[float]] = {name: [] for name in listeners}
    for turn in range(ROUNDS + 1):
        for name, listen in listeners.items():
            started = clock()
            listen(sounds)
            if turn:  # the first is to warm up
                took[name].append(clock() - started)
    return {name: statistics.median(each) for name, each in took.items()}


def compare(
    folder: Path, sounds: Sequence[np.ndarray], texts: Sequence[str], code: str, clock: Callable[[], float]
) -> None:
    """Print seconds and word errors of the three."""
    locale = locale_of(code)
    quick = open_transcriber(read_model(folder, MOST_BYTES), quick=True)
    with tempfile.TemporaryDirectory() as place:
        checkpoint = open_checkpoint(read_model(folder, MOST_BYTES))
        checkpoint.save(Path(place) / "model", {})  # a head apart is no model that the stock pipeline opens
        listeners = {
            "stock pipeline, fp32": stock_pipeline(Path(place) / "model"),
            "ours, fp32": ours(Transcriber(checkpoint)),
            "ours, bf16": ours(quick),
        }
    some = sorted(sounds, key=len)[:: max(1, len(sounds) // CLIPS)][:CLIPS]
    alone = [some[len(some) // 2]]
    lengths = [len(sound) / SAMPLE_RATE for sound in some]
    print(f"{len(some)} clips of {lengths[0]:.1f} to {lengths[-1]:.1f} s; one of {len(alone[0]) / SAMPLE_RATE:.1f} s")
    one, many = in_turns(listeners, alone, clock), in_turns(listeners, some, clock)
    print("| | one clip, ms | of stock | 20 clips, s | of stock | WER |\n|---|---|---|---|---|---|")
    for name, listen in listeners.items():
        first = next(iter(listeners))
        heard = [normalise(text, locale) for text in listen(sounds)] if texts else []
        wer = f"{measured(texts, heard).wer:.2%}" if texts else "none: it is random"
        print(
            f"| {name} | {one[name] * 1000:.0f} | {one[first] / one[name]:.2f} times as fast | {many[name]:.2f} | "
            f"{many[first] / many[name]:.2f} times as fast | {wer} |",
            flush=True,
        )


def random_base(folder: Path) -> None:
    """Save one of wav2vec2-base's shape."""
    letters = vocabulary_for(["abcdefghijklmnopqrstuvwxyz'"], LOCALES["en-US"])
    torch.manual_seed(0)
    Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=letters.labels)).save_pretrained(folder)
    open_base(read_model(folder, MOST_BYTES), letters, {}, keep_head=True).save(folder, {})


def people(recordings: Path) -> None:
    """Print the word errors of all ready-made letters in fp32 and bf16, of people together."""
    with (recordings / "transcripts.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    said, heard = list[str](), {False: list[str](), True: list[str]()}
    for head in sorted(STARTER_HEADS.iterdir()):
        locale = next(locale for locale in LOCALES.values() if locale.language == head.name)
        found = list(_of(rows, locale, recordings))
        for quick, texts in heard.items():
            listen = open_transcriber(read_model(head, MOST_BYTES), quick)
            texts += [normalise(listen(sound).text, locale) for sound, _ in found]
        said += [text for _, text in found]
        print(f"{head.name}: {len(found)} clips", flush=True)
    for quick, texts in heard.items():
        rates = measured(said, texts)
        print(f"{'bf16' if quick else 'fp32'}: WER {rates.wer:.2%}, CER {rates.cer:.2%}")
    print(f"{sum(a != b for a, b in zip(*heard.values(), strict=True))} of {len(said)} texts differ")


def _of(rows: list[dict[str, str]], locale: Locale, folder: Path) -> Iterator[tuple[np.ndarray, str]]:
    """Sounds in a language with what is said in them, as far as it is known."""
    for row in rows:
        text = normalise(row["text"], locale)
        if row["language"] == locale.language and text and not any(map(str.isdigit, text)):
            yield load_audio(folder / row["path"], AudioLimits(120, 10**8)).samples, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locale", default="en-US")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    transformers_logging.set_verbosity_error()
    found = listening_precision(Settings.from_env().data_dir)
    print(f"this machine listens in {found.name}: {found.reason}")
    if given.recordings:
        people(given.recordings)
        return
    clock = time.perf_counter if given.wall else time.process_time
    heard = Heard.open(given.locale, given.model)
    examples = heard.dataset.test
    sounds, texts = [example.waveform() for example in examples], [example.text for example in examples]
    with tempfile.TemporaryDirectory() as place:
        folder = given.model or STARTER_HEADS / heard.locale.language
        if given.random:
            random_base(folder := Path(place) / "base")
        compare(folder, sounds, [] if given.random else texts, given.locale, clock)


if __name__ == "__main__":
    main()
