"""What it gains to compute frozen layers once: audio seconds a second of one core, padding not counted.

    python -m tests.benchmarks.frozen_layers               # some five minutes; random weights of Whisper base's shape
    python -m tests.benchmarks.frozen_layers --layers 6

One thread, and the time that the processor worked for it, so that other programs count little. "whole": the layers are
frozen, but computed in every step. "above": their states are kept already. "lower": the states being computed, clip by
clip, with the weights themselves and with a copy in bf16.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import TrainingArguments

from tests.fakes.models import files_in
from tests.fakes.tiny_models import save_tiny
from tests.fakes.training import context_in, inputs_for
from trainer.models.ctc_model import Checkpoint, open_base
from trainer.models.vocabulary import vocabulary_for
from trainer.speech.dataset import Example
from trainer.speech.locales import LOCALES
from trainer.training.ctc_trainer import CTCTrainer
from trainer.training.data import Batch
from trainer.training.device import Device, choose_device
from trainer.training.evaluation import Evaluation
from trainer.training.frozen import FrozenLayers, StatesStore
from trainer.training.recipe import Recipe

WHISPER_BASE = {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048}
TEXT = "what is this and who is there"
SECONDS, CLIPS, BATCH_SECONDS, TURNS = 5, 8, 20.0, 5


def examples() -> list[Example]:
    """Noise, which takes as long as speech."""
    rng = np.random.default_rng(0)
    sounds = (rng.normal(0, 3000, SECONDS * 16_000).astype(np.int16) for _ in range(CLIPS))
    return [Example(str(number), sound, TEXT, TEXT.replace(" ", "|")) for number, sound in enumerate(sounds)]


def trainer_of(
    checkpoint: Checkpoint, clips: list[Example], recipe: Recipe, store: StatesStore | None, folder: Path
) -> CTCTrainer:
    """One that was told nothing but the recipe, in this machine's precision."""
    arguments = TrainingArguments(str(folder), use_cpu=True, report_to=[], remove_unused_columns=False)

    def unused(step: int) -> Evaluation:
        raise AssertionError("no check was asked for")

    inputs = inputs_for(checkpoint, clips, recipe, choose_device())
    trainer = CTCTrainer(inputs, context_in(folder, []), arguments, unused, store=store)
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def stepper(trainer: CTCTrainer, checkpoint: Checkpoint, head_alone: bool = False) -> Callable[[], None]:
    """A call is one step on the same batch."""
    trainer.create_optimizer()
    batches: list[Batch] = list(trainer.get_train_dataloader())[:1]

    def step() -> None:
        trainer.open_body(0 if head_alone else 10**9)
        assert trainer.optimizer is not None
        trainer.optimizer.zero_grad()
        trainer.training_step(checkpoint.model, batches[0])
        trainer.optimizer.step()
        trainer.open_body(10**9)  # others train the same weights

    return step


def measure(layers: int, folder: Path, device: Device) -> dict[str, float]:
    """Audio seconds a second of each row."""
    save_tiny("whisper_ctc", folder / "base", **WHISPER_BASE, head_layers=2, head_kernel=5)
    vocabulary, clips = vocabulary_for([TEXT], LOCALES["en-US"]), examples()
    recipe = Recipe(batch_seconds=BATCH_SECONDS, frozen_layers=layers, max_steps=4, head_steps=1)
    checkpoint = open_base(files_in(folder / "base"), vocabulary, {"mask_time_prob": 0.1}, False, device.attention)
    checkpoint.freeze_layers(layers)
    lower = {in_bf16: FrozenLayers(checkpoint, layers, in_bf16) for in_bf16 in (False, True)}
    store = StatesStore(lower[True], checkpoint, 0, 0, 10**10, lambda: None)
    whole = trainer_of(checkpoint, clips, recipe, None, folder)
    above = trainer_of(checkpoint, clips, recipe, store, folder)
    waveform = clips[0].waveform()
    rows: dict[str, tuple[float, Callable[[], object]]] = {
        "whole": (BATCH_SECONDS, stepper(whole, checkpoint)),
        "above": (BATCH_SECONDS, stepper(above, checkpoint)),
        "above, head alone": (BATCH_SECONDS, stepper(above, checkpoint, head_alone=True)),
        "lower, fp32": (SECONDS, lambda: lower[False](waveform)),
        "lower, bf16": (SECONDS, lambda: lower[True](waveform)),
    }
    best: dict[str, float] = {}
    for turn in range(TURNS + 1):
        for name, (seconds, work) in rows.items():
            started = time.process_time()
            work()
            if turn:  # the first one warms up
                best[name] = max(best.get(name, 0.0), seconds / (time.process_time() - started))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[4, 6], help="frozen ones, of six")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device()
    print(f"{device.precision}; audio seconds a second of one core\n")
    for layers in options.layers:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(layers, Path(folder), device)
        print(f"{layers} layers frozen: " + ", ".join(f"{name} {speed:.0f}" for name, speed in found.items()))
        print(f"  a step above them is {found['above'] / found['whole']:.1f} times as quick as one of the whole\n")


if __name__ == "__main__":
    main()
