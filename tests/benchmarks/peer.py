"""The guide's recipe as an engineer of today would run it, against ours: same base, clips, seed and machine, in turns.

    python -m tests.benchmarks.peer                            # throughput: random weights of true shapes, an hour
    python -m tests.benchmarks.peer wav2vec2-base --turns 1 --rows peer ours
    python -m tests.benchmarks.peer --learn --peer-steps 60    # the starter learns the practice voices' German

The peer: the stock Trainer, clips padded to the longest, the guide's hyperparameters (`peer_sides.GUIDE`). Each row is
in a process of its own, the rows in turns; printed are medians, and ratios within a turn. "audio s/s": seconds of audio
trained a second of one core, padding not counted. Rows of the throughput table change one thing each, after the row
before; "filling" is how quick what is frozen is computed, which happens once a clip and copy.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
LETTERS = "what is this and who is there over the quick brown fox jumps lazy dog"
# Seconds of speech: most short, a few long, as people speak to a telephone; noise, as it takes as long.
CLIPS, MEAN_SECONDS, SPREAD, SHORTEST, LONGEST = 64, 3.0, 0.5, 1.0, 10.0
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2-base": (
        "wav2vec2",
        {
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "conv_dim": (512,) * 7,
            "num_conv_pos_embeddings": 128,
            "num_conv_pos_embedding_groups": 16,
        },
    ),
    "whisper-small": (
        "whisper_ctc",
        {
            "d_model": 768,
            "encoder_layers": 12,
            "encoder_attention_heads": 12,
            "encoder_ffn_dim": 3072,
            "head_layers": 0,
        },
    ),
}


@dataclass(frozen=True)
class Row:
    """One way to train. `changes` as `peer_sides` reads them."""

    name: str
    side: str
    changes: Mapping[str, Any] = field(default_factory=dict)


_UP_TO: list[tuple[str, dict[str, Any]]] = [
    ("peer", {}),
    ("no checkpointing", {"gradient_checkpointing": False}),
    ("bf16", {"bf16": True}),
    ("no attention dropout", {"model.dropouts": "attention"}),
    ("no dropouts", {"model.dropouts": "all"}),
    ("frozen front end", {"model.freeze": True}),
]
_OURS = [
    ("ours, whole", {"frozen_layers": 0}),
    ("ours, 4 frozen", {"frozen_layers": 4}),
    ("ours, 8 frozen", {"frozen_layers": 8}),
    ("ours, 10 frozen", {"frozen_layers": 10}),
]

_ABLATED: list[tuple[str, dict[str, Any]]] = [
    ("ours", {}),
    ("ours, nothing frozen", {"frozen_layers": 0}),
    ("ours, fp32", {"precision": "fp32"}),
    ("ours, clips unchanged", {"augment": False}),
    ("ours, no average", {"keep_share": 0.0}),
]


def rows() -> list[Row]:
    """Of the throughput table: from the peer to ours, then ours with layers that are computed once."""
    found, so_far = list[Row](), dict[str, Any]()
    for name, change in _UP_TO:
        so_far = so_far | change
        found.append(Row(name, "peer", so_far))
    found.append(Row("peer, clips in any order", "peer", {"train_sampling_strategy": "random"}))
    return found + [Row(name, "ours", changes) for name, changes in _OURS]


def save_noise(base: str, folder: Path) -> None:
    """A base of random weights, and noise, which takes as long as speech."""
    from tests.fakes.tiny_models import save_tiny
    from trainer.models.vocabulary import vocabulary_for
    from trainer.speech.dataset import Example, SpeechDataset
    from trainer.speech.locales import LOCALES

    model_type, sizes = SHAPES[base]
    vocabulary = vocabulary_for([LETTERS], LOCALES["en-US"])
    save_tiny(model_type, folder / "base", **sizes, vocab_size=vocabulary.labels, pad_token_id=vocabulary.blank)
    rng, words = np.random.default_rng(0), LETTERS.split()
    clips = []
    for number in range(CLIPS):
        seconds = float(np.clip(MEAN_SECONDS * np.exp(rng.normal(0, SPREAD)), SHORTEST, LONGEST))
        text = " ".join(rng.choice(words, max(1, int(2 * seconds))))
        sound = rng.normal(0, 3000, int(seconds * 16_000)).astype(np.int16)
        clips.append(Example(str(number), sound, text, text.replace(" ", "|")))
    dataset = SpeechDataset(clips, clips[:2], clips[:2], Counter(), [])
    (folder / "clips").write_bytes(pickle.dumps((dataset, vocabulary)))


def save_practice(locale: str, folder: Path, recipe: dict[str, Any]) -> None:
    """The starter with its letters of a language, and the practice clips, both as a run here begins with them."""
    from tests.fakes.training import context_in
    from trainer.settings import Settings
    from trainer.training.finetune import _inputs
    from trainer.training.recipe import Recipe

    inputs = _inputs(Recipe.from_dict(recipe), Settings(data_dir=folder), context_in(folder, []), None)
    inputs.checkpoint.save(folder / "base", {})
    (folder / "clips").write_bytes(pickle.dumps((inputs.dataset, inputs.checkpoint.vocabulary)))


def run(row: Row, folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    """One child process."""
    file = folder / "job.json"
    file.write_text(
        json.dumps(job | {"side": row.side, "changes": {**row.changes}, "base": str(folder / "base"),
                          "clips": str(folder / "clips")})
    )  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": str(job["threads"])}
    command = [sys.executable, "-m", "tests.benchmarks.peer_sides", str(file)]
    said = subprocess.run(command, cwd=PROJECT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    print(row.name, json.dumps({name: value for name, value in found.items() if name != "curve"}), file=sys.stderr)
    return found


def throughput(base: str, wanted: Sequence[str], turns: int, batches: int, threads: int) -> None:
    """Print the table of a base."""
    from trainer.training.recipe import PRESETS

    recipe = PRESETS["full"].recipe.change(max_steps=500, batch_seconds=24.0, copies=0).to_dict()
    job = {"mode": "throughput", "batches": batches, "threads": threads, "recipe": recipe}
    chosen = [row for row in rows() if not wanted or row.name in wanted]
    results: dict[str, list[dict[str, Any]]] = {row.name: [] for row in chosen}
    with tempfile.TemporaryDirectory() as place:
        save_noise(base, Path(place))
        for _ in range(turns):
            for row in chosen:
                results[row.name].append(run(row, Path(place), job))
    print(f"\n{base}, {threads} thread(s), {turns} turn(s)\n")
    print("| | audio s/s | against the peer | filling, audio s/s | peak MiB |\n|---|---|---|---|---|")
    peer = results[chosen[0].name]
    for name, found in results.items():
        ratio = median(one["speed"] / other["speed"] for one, other in zip(found, peer, strict=True))
        filling = [one["filling"] for one in found if one.get("filling")]
        peak = max(one["peak_mib"] for one in found)
        speed = median(one["speed"] for one in found)
        print(f"| {name} | {speed:.2f} | {ratio:.1f} | {f'{median(filling):.0f}' if filling else ''} | {peak} |")


def learn(
    locale: str, peer_steps: int, rates: Sequence[float], turns: int, threads: int, wanted: Sequence[str]
) -> None:
    """Print how soon each is how good. The guide's warm-up, a quarter of its steps, is shortened with them."""
    from trainer.training.recipe import PRESETS

    recipe = PRESETS["quick"].recipe.change(locale=locale, data="practice", eval_clips=60).to_dict()
    job = {"mode": "learn", "threads": threads, "recipe": recipe, "locale": locale, "check": max(1, peer_steps // 6)}
    shortened = {"max_steps": peer_steps, "warmup_steps": peer_steps // 4}
    chosen = [Row(f"peer at {rate:g}", "peer", shortened | {"learning_rate": rate}) for rate in rates]
    chosen += [Row(name, "ours", change) for name, change in _ABLATED]
    chosen = [row for row in chosen if row.name in wanted or (not wanted and "," not in row.name)]
    with tempfile.TemporaryDirectory() as place:
        save_practice(locale, Path(place), recipe)
        for turn in range(turns):
            results = {row.name: run(row, Path(place), job) for row in chosen}
            print(f"\nturn {turn + 1}, {locale}, {threads} thread(s): seconds of one core, WER, CER\n")
            for name, found in results.items():
                curve = ", ".join(f"{s:.0f}: {wer:.1%} {cer:.1%}" for s, _, wer, cer in found["curve"])
                print(f"{name} ({found['audio']:.0f} s of audio, peak {found['peak_mib']} MiB): {curve}")
            _compare(results)


def _compare(results: Mapping[str, dict[str, Any]]) -> None:
    """Against each peer: when ours is as good as it at its end, and how good ours is then."""
    if "ours" not in results:
        return
    curve = results["ours"]["curve"]
    for name, found in results.items():
        if not name.startswith("peer"):
            continue
        end, _, wer, cer = found["curve"][-1]
        soon = next((seconds for seconds, _, _, ours in curve if ours <= cer), None)
        then = [ours for seconds, _, _, ours in curve if seconds <= end][-1:]
        said = "never" if soon is None else f"{soon:.0f} s, {end / soon:.1f} times sooner"
        print(f"{name} ends at {end:.0f} s with CER {cer:.1%} (WER {wer:.1%}). Ours is as good after {said}; "
              f"at equal time it has CER {then[0] if then else float('nan'):.1%}")  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bases", nargs="*", default=[*SHAPES])
    parser.add_argument("--rows", nargs="+", default=[], help="of the throughput's; with --learn of the peer and ours")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batches", type=int, default=3, help="micro-batches that are timed in each row")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--locale", default="de-DE")
    parser.add_argument("--peer-steps", type=int, default=60)
    parser.add_argument("--peer-rates", type=float, nargs="+", default=[1e-5, 1e-4])
    given = parser.parse_args()
    if given.learn:
        learn(given.locale, given.peer_steps, given.peer_rates, given.turns, given.threads, given.rows)
        return
    for base in given.bases:
        throughput(base, given.rows, given.turns, given.batches, given.threads)


if __name__ == "__main__":
    main()
