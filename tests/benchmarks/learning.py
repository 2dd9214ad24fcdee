"""Fine-tune on the practice set or on real speech, from the starter and from random weights, and print a table.

    python -m tests.benchmarks.learning                         # all 14 locales, quick preset, both starts
    python -m tests.benchmarks.learning en-US ko-KR --starts starter
    python -m tests.benchmarks.learning de_phrases en_fsdd_digits --speech ../shared/speech --max-steps 6000

Each row is a run of `python -m trainer finetune`, then of `evaluate`, as a person would. `--at-once 2` gives each of
two runs half of the cores: quicker in all, but then the minutes say nothing, and are left out.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from trainer.models.catalog import STARTER_ID
from trainer.runs.events import EventReader
from trainer.settings import STARTER
from trainer.speech.locales import LOCALES
from trainer.training.recommendation import LEARNING

# Real speech: its locale, and which clips are the test (the others are trained on).
REAL = {"de_phrases": "de-DE", "en_fsdd_digits": "en-US"}
TRAIN_PHRASES = 300
HELD_OUT_SPEAKER = "theo"
LABELS = 32  # of a head that is thrown away


@dataclass(frozen=True)
class Job:
    """One row of the table."""

    name: str
    start: str  # starter | random
    base: str
    data: str
    options: tuple[str, ...]

    @property
    def locale(self) -> str:
        return REAL.get(self.name, self.name)


def prepare_real(name: str, speech: Path, folder: Path) -> Path:
    """A copy of the recordings with a table that says which ones are for testing."""
    shutil.copytree(speech / name, folder)
    table = folder / "transcripts.tsv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for number, row in enumerate(rows):
        held = row["speaker"] == HELD_OUT_SPEAKER if name == "en_fsdd_digits" else number >= TRAIN_PHRASES
        row["split"] = "test" if held else "train"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]], delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def save_random(folder: Path) -> Path:
    """A model of the starter's shape that has heard nothing."""
    import torch
    from transformers import AutoConfig, AutoModelForCTC

    from trainer.models import whisper_ctc

    whisper_ctc.register()
    torch.manual_seed(0)
    AutoModelForCTC.from_config(AutoConfig.from_pretrained(STARTER, vocab_size=LABELS)).save_pretrained(folder)
    shutil.copy(STARTER / "preprocessor_config.json", folder)
    return folder


def measure(job: Job, threads: int) -> dict[str, Any]:
    """Fine-tune, evaluate, and read what the run's events say."""
    with tempfile.TemporaryDirectory() as data_dir:
        run = Path(data_dir) / "run"
        env = {**os.environ, "VOICETUNE_DATA": data_dir, "OMP_NUM_THREADS": str(threads)}

        def call(*words: str) -> str:
            command = [sys.executable, "-m", "trainer", *words, "--data", job.data, "--locale", job.locale]
            return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout

        call("finetune", "--run", str(run), "--base", job.base, "--quiet", *job.options)
        after = json.loads(call("evaluate", "--model", str(run / "model"), "--json"))
        events = EventReader(run / "events.jsonl").read_new()
    checks = [event for event in events if event["event"] == "evaluated"]
    tested = next(event for event in events if event["event"] == "tested")
    seconds = [_seconds_between(events[0], check) for check in checks]
    return {
        "name": job.name,
        "start": job.start,
        "minutes": round(_seconds_between(events[0], events[-1]) / 60, 2),
        "first_check_seconds": round(seconds[0], 1),
        "steps": checks[-1]["step"],
        "wer_before": tested["untrained_wer"],
        "wer": after["wer"],
        "cer_before": tested["untrained_cer"],
        "cer": after["cer"],
        "phrases_wer": tested.get("phrases_wer"),
        "phrases_cer": tested.get("phrases_cer"),
        "curve": [[round(s), round(c["wer"], 4), round(c["cer"], 4)] for s, c in zip(seconds, checks, strict=True)],
        "guess": checks[-1]["guesses"][0],
    }


def _seconds_between(first: dict[str, Any], last: dict[str, Any]) -> float:
    return (datetime.fromisoformat(last["time"]) - datetime.fromisoformat(first["time"])).total_seconds()


def jobs_of(given: argparse.Namespace, folder: Path) -> Iterator[Job]:
    """The rows that were asked for; what they need is put into `folder`."""
    bases = {STARTER_ID: STARTER_ID}
    if "random" in given.starts:
        bases["random"] = str(save_random(folder / "random"))
    options = ["--preset", given.preset]
    if given.max_steps:
        options += ["--max-steps", str(given.max_steps), "--eval-steps", str(max(1, given.max_steps // 12))]
    for name in given.names or LOCALES:
        data = str(prepare_real(name, given.speech, folder / name)) if name in REAL else "practice"
        for start in given.starts:
            whole = () if start == STARTER_ID else ("--frozen-layers", "0")  # what has heard nothing must learn all
            yield Job(name, start, bases[start], data, (*options, *whole, *given.option))


def print_table(rows: list[dict[str, Any]], with_minutes: bool) -> None:
    """As the README has it."""
    print(
        "| data | start | minutes | WER before → after | with phrases | CER before → after |\n|---|---|---|---|---|---|"
    )
    for row in rows:
        minutes = f"{row['minutes']:.1f}" if with_minutes else ""
        wer, cer = (f"{row[f'{kind}_before']:.1%} → {row[kind]:.1%}" for kind in ("wer", "cer"))
        phrases = "" if row["phrases_wer"] is None else f"{row['phrases_wer']:.1%}"
        print(f"| {row['name']} | {row['start']} | {minutes} | {wer} | {phrases} | {cer} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"locales, or {' | '.join(REAL)}")
    parser.add_argument("--starts", nargs="+", default=["starter", "random"], choices=("starter", "random"))
    parser.add_argument("--speech", type=Path, default=Path("../shared/speech"), help="where the real speech lies")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument(
        "--option", action="append", default=[], help="passed on to finetune, e.g. --option=--no-augment"
    )
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="note the starter's rates: the page's advice rests on them")
    parser.add_argument("--out", type=Path, help="a file to which each row is added as JSON")
    given = parser.parse_args()
    threads = max(1, (os.cpu_count() or 2) // given.at_once)
    rows = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.at_once) as pool:
        for row in pool.map(lambda job: measure(job, threads), jobs_of(given, Path(folder))):
            rows.append(row)
            print(json.dumps(row, ensure_ascii=False), file=sys.stderr, flush=True)
            if given.out:
                with given.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print_table(rows, given.at_once == 1)
    if given.keep:
        keep([row for row in rows if row["start"] == STARTER_ID and row["name"] in LOCALES])


RATES = ("wer_before", "wer", "cer_before", "cer")


def keep(rows: list[dict[str, Any]]) -> None:
    """Note what a quick look made of the starter, beside what was noted of other locales."""
    known = json.loads(LEARNING.read_text(encoding="utf-8"))
    known |= {row["name"]: {name: round(row[name], 4) for name in RATES} for row in rows}
    LEARNING.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
