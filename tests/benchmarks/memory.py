"""How far the estimated memory is from what real trainings take, on this machine's processor.

    python -m tests.benchmarks.memory          # some 20 minutes and 6 GB; random weights of published shapes

Every case is `python -m trainer finetune` for three steps on clips of one length, in a process of its own; its largest
resident size is what the system kept of it.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from trainer.models.size import sizes_of
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, load_audio
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source
from trainer.training.estimate import CLIPS, MIB, footprint
from trainer.training.recipe import Recipe

PROJECT = Path(__file__).resolve().parents[2]
STEPS = 3  # the optimizer's averages are there from the second on
LARGE = {
    "model_type": "wav2vec2",
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
SHAPES: dict[str, dict[str, Any]] = {
    "base": {"model_type": "wav2vec2"},
    "large": LARGE,
    "distil": {"model_type": "hubert", "num_hidden_layers": 2},
}


@dataclass(frozen=True)
class Case:
    """A shape of `SHAPES` or the starter, seconds a batch and a clip; `layers` are frozen."""

    shape: str
    batch: float
    clip: int
    frozen: bool = True
    checkpointing: bool = False
    layers: int = 0


CASES = (
    Case("starter", 20, 5, layers=4),
    Case("starter", 20, 10),
    Case("starter", 80, 20),
    Case("starter", 80, 20, layers=4),
    Case("base", 21, 10),
    Case("base", 42, 10),
    Case("base", 42, 20),
    Case("base", 42, 10, frozen=False),
    Case("base", 42, 20, checkpointing=True),
    Case("large", 5.3, 5),
    Case("distil", 42, 10),
)

_MAKE = """
import json
import sys
from transformers import AutoConfig, AutoModelForCTC
kind, values, folder = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
AutoModelForCTC.from_config(AutoConfig.for_model(kind, vocab_size=32, **values)).save_pretrained(folder)
"""


def base_of(shape: str, work: Path) -> str:
    """The starter, or a folder with random weights of this shape."""
    if shape == "starter":
        return shape
    folder = work / shape
    if not folder.exists():
        values = dict(SHAPES[shape])
        kind = values.pop("model_type")
        subprocess.run([sys.executable, "-c", _MAKE, kind, json.dumps(values), str(folder)], check=True)
    return str(folder)


def clips_of(seconds: int, work: Path, count: int = 16) -> Path:
    """A folder of practice clips strung together until each has so many seconds."""
    folder = work / f"clips-{seconds}"
    if folder.exists():
        return folder
    folder.mkdir()
    source = open_source("practice", LOCALES["en-US"], Settings(data_dir=work))
    heard = [load_audio(clip.audio).samples for clip in source.clips[:60] if clip.audio is not None]
    long = np.tile(np.concatenate(heard), 1 + count * seconds // 60)
    rows = ["path\ttext"]
    for number in range(count):
        start = number * seconds * SAMPLE_RATE // 2
        soundfile.write(folder / f"{number}.wav", long[start : start + seconds * SAMPLE_RATE], SAMPLE_RATE)
        rows.append(f"{number}.wav\tplease freeze my card {'abcdefghijklmnop'[number] * 2}")
    (folder / "all.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def measure(case: Case, work: Path) -> int:
    """The largest resident size in bytes. Raises RuntimeError where the training did not end well."""
    switches = [] if case.frozen else ["--no-freeze-feature-encoder"]
    switches += ["--gradient-checkpointing"] if case.checkpointing else []
    run = Path(tempfile.mkdtemp(dir=work)) / "run"
    sizes = ["--batch-seconds", str(case.batch), "--max-steps", str(STEPS), "--eval-steps", "100", "--eval-clips", "2"]
    sizes += ["--frozen-layers", str(case.layers)]
    source = ["--base", base_of(case.shape, work), "--data", str(clips_of(case.clip, work))]
    command = [sys.executable, "-m", "trainer", "finetune", "--quiet", "--run", str(run), *source, *sizes, *switches]
    env = {**os.environ, "VOICETUNE_DATA": str(work / "data"), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, cwd=PROJECT, env=env) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{case} ended with {process.returncode}")
    return usage.ru_maxrss * 1024


def estimate(case: Case, work: Path) -> int:
    """What the page would say, without the room kept for the clips of a real training."""
    recipe = Recipe(
        base=base_of(case.shape, work),
        batch_seconds=case.batch,
        freeze_feature_encoder=case.frozen,
        gradient_checkpointing=case.checkpointing,
        frozen_layers=case.layers,
    )
    sizes = sizes_of(recipe.base_ref)
    assert sizes is not None
    return footprint(recipe, sizes, case.clip, on_gpu=False).memory - CLIPS


def main() -> None:
    """A line a case."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for case in CASES:
            measured, estimated = measure(case, work), estimate(case, work)
            off = f"{100 * (estimated / measured - 1):+.0f} %"
            print(f"{case}: {measured // MIB} MiB, estimated {estimated // MIB} MiB ({off})", flush=True)


if __name__ == "__main__":
    main()
