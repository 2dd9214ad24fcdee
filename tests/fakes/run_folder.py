"""A run that looks real without training: writes a run's folder with events over time, as a trainer would.

    python tests/fakes/run_folder.py DATA_DIR --seconds 30 [--locale de-DE] [--end finished|stopped|failed|none]

With --seconds 0 the whole run is there at once. It stops early where the run's stop file appears.
"""

import argparse
import io
import math
import random
import time
import wave
from pathlib import Path

import numpy as np

from trainer.runs.events import EventLog
from trainer.runs.process import own_identity
from trainer.runs.run import Run, create_run, new_run_folder
from trainer.training.recipe import preset_of

TEXTS = {
    "en-US": [
        "i want to pay a bill to the electric company",
        "please freeze my card i lost it yesterday",
        "what is my account balance",
        "how do i set up a joint account with my wife",
        "can i use my card abroad",
    ],
    "de-DE": [
        "ich möchte meine rechnung bezahlen",
        "bitte sperren sie meine karte sofort",
        "wie hoch ist mein kontostand",
        "ich möchte ein gemeinsames konto eröffnen",
        "kann ich meine karte im ausland benutzen",
    ],
    "zh-CN": ["请冻结我的银行卡", "我想查一下余额", "怎么支付账单", "我要开联名账户", "信用卡在国外能用吗"],
}


def write_run(
    data_dir: Path, locale: str = "en-US", seconds: float = 0.0, end: str = "finished", steps: int = 300
) -> Run:
    """A whole run. `end` "none" leaves it as if it were still going on."""
    recipe = preset_of("quick").recipe.change(locale=locale, max_steps=steps)
    run = create_run(new_run_folder(data_dir / "runs", locale), recipe)
    log = EventLog(run.events)
    pace = seconds / (steps + 40)
    rng = random.Random(7)
    texts = TEXTS.get(locale, TEXTS["en-US"])
    log.append("queued", **own_identity())
    log.append("started", **own_identity(), max_steps=steps)
    for done in range(0, 101, 10):
        log.append("phase", phase="preparing", done=done, total=100)
        time.sleep(2 * pace)
    log.append(
        "data", kind="practice", split_by="text", own_test=True, source="Practice voices", note="",
        train_clips=84, validation_clips=20, test_clips=34,
        train_seconds=300.0, validation_seconds=75.0, test_seconds=110.0, left_out={"too long": 2},
    )  # fmt: skip
    _write_clips(run, len(texts))
    _evaluate(log, 0, steps, texts, rng)
    log.append("phase", phase="training", done=0, total=steps)
    for step in range(1, steps + 1):
        if run.stop_file.exists():
            log.append("stopping")
            time.sleep(10 * pace)
            end = "stopped"
            break
        loss = 0.5 + 2.9 * math.exp(-step / (0.25 * steps)) + 0.12 * rng.gauss(0, 1) * math.exp(-step / steps)
        log.append("log", step=step, loss=loss if step != 40 else float("nan"), audio_seconds_per_second=60.0)
        time.sleep(pace)
        if step % max(1, steps // 6) == 0:
            log.append("phase", phase="evaluating", done=0, total=20)
            time.sleep(3 * pace)
            _evaluate(log, step, steps, texts, rng)
            _save(run, log, step)
            log.append("phase", phase="training", done=step, total=steps)
    if end == "failed":
        log.append("failed", what="The computer ran out of memory.", todo="Choose a smaller batch under Advanced.")
    elif end in ("finished", "stopped"):
        if run.model.exists():
            rates = {"wer": 0.26, "cer": 0.11, "untrained_wer": 1.0, "untrained_cer": 1.0}
            log.append("tested", step=steps, loss=0.8, clips=34, blank=False, **rates)
        log.append(end)
    log.close()
    return run


def _evaluate(log: EventLog, step: int, steps: int, texts: list[str], rng: random.Random) -> None:
    fallen = 1 / (1 + math.exp((step - 0.4 * steps) / (0.13 * steps)))
    log.append(
        "evaluated", step=step, loss=0.7 + 2.8 * math.exp(-step / (0.27 * steps)),
        wer=0.22 + 0.82 * fallen, cer=0.08 + 0.88 * fallen,
        guesses=[
            {"clip": number, "reference": text, "hypothesis": _garbled(text, fallen, rng)}
            for number, text in enumerate(texts)
        ],
    )  # fmt: skip


def _garbled(text: str, share: float, rng: random.Random) -> str:
    if share > 0.9:
        return ""
    kept = [letter for letter in text if rng.random() > 0.45 * share]
    return "".join(letter if rng.random() > 0.35 * share else rng.choice("aeinst") for letter in kept)


def _save(run: Run, log: EventLog, step: int) -> None:
    run.model.mkdir(exist_ok=True)
    (run.model / "config.json").write_text('{"model_type": "wav2vec2"}', encoding="utf-8")
    log.append("model_saved", step=step)


def _write_clips(run: Run, count: int) -> None:
    (run.folder / "clips").mkdir(exist_ok=True)
    for number in range(count):
        (run.folder / "clips" / f"{number}.wav").write_bytes(beep(0.6, 220 * (number + 1)))


def beep(seconds: float, hertz: float, rate: int = 16_000) -> bytes:
    """A tone as 16-bit WAV."""
    wave_form = 8000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(wave_form.astype("<i2").tobytes())
    return buffer.getvalue()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--locale", default="en-US")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--end", default="finished")
    chosen = parser.parse_args()
    print(write_run(chosen.data_dir, chosen.locale, chosen.seconds, chosen.end).id)


if __name__ == "__main__":
    main()
