"""How far off what the page says of a run's end is: before its start, and when a tenth of its steps is made.

    python -m tests.benchmarks.estimates               # some ten minutes: runs of several bases, one after the other
    python -m tests.benchmarks.estimates --runs DIR    # of runs that were made before, by their events

Every case is `python -m trainer finetune` on the practice voices, twice: the second time the first is known. "before":
the estimate on the form, over what the run took; "at 10%": what had passed and the page's clock together, likewise.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from trainer.runs.events import EventReader
from trainer.runs.run import Run
from trainer.runs.view import RunView, fold
from trainer.settings import Settings
from trainer.training.estimate import estimate_seconds

SHARES = (0.1, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Case:
    """A run by the command line. `model_type` "": the starter; else random weights of these sizes."""

    name: str
    options: Sequence[str]
    model_type: str = ""
    sizes: tuple[tuple[str, Any], ...] = ()


_CONVOLUTIONS = (("conv_dim", (512,) * 7), ("num_conv_pos_embeddings", 128), ("num_conv_pos_embedding_groups", 16))
_BASE = (("hidden_size", 768), ("num_attention_heads", 12), ("intermediate_size", 3072), *_CONVOLUTIONS)
_TINY = (("d_model", 384), ("encoder_layers", 4), ("encoder_attention_heads", 6), ("encoder_ffn_dim", 1536))
CASES = (
    Case("starter", ("--max-steps", "150", "--eval-steps", "15")),
    Case("starter, nothing frozen", ("--max-steps", "60", "--eval-steps", "12", "--frozen-layers", "0")),
    Case("whisper-tiny", ("--max-steps", "60", "--eval-steps", "12", "--frozen-layers", "0"), "whisper_ctc", _TINY),
    Case(
        "distilhubert",
        ("--max-steps", "40", "--eval-steps", "10", "--no-augment", "--frozen-layers", "0"),
        "hubert",
        (("num_hidden_layers", 2), *_BASE),
    ),
    Case(
        "wav2vec2-base, 10 frozen",
        ("--max-steps", "60", "--eval-steps", "20", "--no-augment", "--frozen-layers", "10"),
        "wav2vec2",
        (("num_hidden_layers", 12), *_BASE),
    ),
)


def said(run: Run) -> tuple[float, dict[float, float]]:
    """Seconds that it took, and by share of its steps what the page said then, over that."""
    events = EventReader(run.events).read_new()
    times = [datetime.fromisoformat(event["time"]).timestamp() for event in events]
    began = next(time for time, event in zip(times, events, strict=True) if event["event"] == "started")
    view, found, took = RunView(), dict[float, float](), times[-1] - began
    for time, event in zip(times, events, strict=True):
        fold(view, [event])
        left = view.remaining(time)
        for share in SHARES:
            if left is not None and view.step >= share * view.max_steps:
                found.setdefault(share, (time - began + left) / took)
    return took, found


def make(case: Case, data_dir: Path) -> Iterator[tuple[str, float, Run]]:
    """The same run twice: its name, what was estimated before, and the run."""
    base: list[str] = []
    if case.model_type:
        from tests.fakes.tiny_models import save_tiny

        folder = data_dir / case.name.split(",")[0]
        save_tiny(case.model_type, folder, **dict(case.sizes))
        base = ["--base", str(folder)]
    for turn in ("first", "again"):
        folder = data_dir / "made" / f"{case.name} {turn}"
        command = [sys.executable, "-m", "trainer", "finetune", "--run", str(folder), "--quiet", "--locale", "de-DE"]
        env = {**os.environ, "VOICETUNE_DATA": str(data_dir)}
        settings = replace(Settings.from_env(), data_dir=data_dir)
        measured = data_dir / "measured.json"
        before = measured.read_bytes() if measured.exists() else b""
        subprocess.run([*command, "--data", "practice", *base, *case.options], env=env, check=True)
        after = measured.read_bytes() if measured.exists() else b""
        measured.write_bytes(before or b"[]")  # as it was when the form was drawn
        guess = estimate_seconds(Run(folder).recipe(), settings)
        measured.write_bytes(after or b"[]")
        yield f"{case.name}, {turn}", guess, Run(folder)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, help="a data folder's runs")
    parser.add_argument("--cases", nargs="+", default=[case.name for case in CASES])
    given = parser.parse_args()
    print("| run | took, s | before | " + " | ".join(f"at {share:.0%}" for share in SHARES) + " |")
    print("|" + "---|" * (3 + len(SHARES)))
    with tempfile.TemporaryDirectory() as place:
        made = (row for case in CASES if case.name in given.cases for row in make(case, Path(place)))
        earlier = ((folder.name, 0.0, Run(folder)) for folder in sorted(given.runs.iterdir())) if given.runs else made
        for name, guess, run in earlier:
            took, found = said(run)
            shares = " | ".join(f"{found[share]:.2f}" if share in found else "" for share in SHARES)
            print(f"| {name} | {took:.0f} | {guess / took:.2f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
