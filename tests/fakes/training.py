"""What a training is given, without a run around it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainingArguments

from tests.fakes.sounds import say
from trainer.models.ctc_model import Checkpoint
from trainer.speech.dataset import Example, SpeechDataset
from trainer.speech.locales import LOCALES
from trainer.training.averaging import Averaging
from trainer.training.context import Context, Places, TrainingInputs
from trainer.training.ctc_trainer import CTCTrainer
from trainer.training.device import Device, choose_device
from trainer.training.evaluation import Evaluation
from trainer.training.recipe import Recipe
from trainer.training.state import Origin
from trainer.training.stop_signal import StopSignal

Events = list[dict[str, Any]]


def context_in(folder: Path, events: Events) -> Context:
    """Everything is written under the folder, and told to the list."""
    places = Places(folder / "model", folder / "checkpoints", folder / "clips")
    return Context(places, lambda kind, /, **fields: events.append({"event": kind, **fields}), StopSignal())


def inputs_for(
    checkpoint: Checkpoint, examples: Sequence[Example], recipe: Recipe, device: Device | None = None
) -> TrainingInputs:
    """The examples in all three splits; in fp32 where no device is given."""
    device = device or choose_device("fp32")
    dataset = SpeechDataset(list(examples), list(examples), list(examples), Counter(), [])
    origin = Origin.of(recipe, dataset, device)
    averaging = Averaging(checkpoint.model, recipe.keep_share)
    return TrainingInputs(recipe, LOCALES["en-US"], dataset, checkpoint, averaging, device, origin, 10**10)


def trainer_for(
    checkpoint: Checkpoint, examples: Sequence[Example], recipe: Recipe, arguments: TrainingArguments
) -> CTCTrainer:
    """A trainer in fp32 that learns these examples and is never asked to check its model."""
    inputs = inputs_for(checkpoint, examples, recipe)
    return CTCTrainer(inputs, context_in(Path(str(arguments.output_dir)), []), arguments, _unused)


def _unused(step: int) -> Evaluation:
    raise AssertionError("no evaluation was asked for")


def examples_of(texts: list[str]) -> list[Example]:
    """Clips that say these texts, in English."""
    sounds = [(say(text, number) * 32767).astype(np.int16) for number, text in enumerate(texts)]
    return [
        Example(str(number), sound, text, text.replace(" ", "|"))
        for number, (text, sound) in enumerate(zip(texts, sounds, strict=True))
    ]
