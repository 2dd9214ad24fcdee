"""Both sides of `tests.benchmarks.peer`, each in a process of its own: `python -m tests.benchmarks.peer_sides FILE`.

FILE is a JSON job that `peer` wrote; the figures are printed as JSON. Seconds are those that the processor worked for
the process: with one thread they are what a clock shows on an idle machine, and other programs count little.
"""

import json
import pickle
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCTC, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_pt_utils import LengthGroupedSampler

from tests.fakes.models import files_in
from tests.fakes.training import context_in, inputs_for
from trainer.models import whisper_ctc
from trainer.models.ctc_model import Checkpoint, feature_extractor_for, open_base
from trainer.models.model_config import ModelConfig
from trainer.models.vocabulary import Vocabulary
from trainer.speech.audio import SAMPLE_RATE
from trainer.speech.dataset import Example, SpeechDataset
from trainer.speech.locales import locale_of
from trainer.training.averaging import Averaging
from trainer.training.ctc_trainer import CTCTrainer
from trainer.training.data import pad_labels
from trainer.training.device import choose_device
from trainer.training.evaluation import Evaluation, evaluate
from trainer.training.finetune import _overrides
from trainer.training.recipe import Recipe
from trainer.training.session import Session

Job = dict[str, Any]
WARM = 1  # micro-batches before the clock runs, in which memory is taken
# https://huggingface.co/docs/transformers/tasks/asr, TrainingArguments as written there, by today's names. Its fp16
# needs a GPU. Its length grouping does nothing there (`input_values` are nested); here it works, in its favour.
GUIDE: dict[str, Any] = {
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 2,
    "learning_rate": 1e-5,
    "warmup_steps": 500,
    "max_steps": 2000,
    "gradient_checkpointing": True,
    "train_sampling_strategy": "group_by_length",
    "logging_steps": 25,
    "seed": 42,
}


class EnoughError(Exception):
    """Measured enough."""


class Meter:
    """Audio seconds a second of one core, once so many micro-batches are past."""

    def __init__(self, most: int) -> None:
        self.most, self.batches, self.audio = most, 0, 0.0
        self._began, self._from = 0.0, 0.0

    def add(self, audio: float) -> None:
        """After a micro-batch. Raises EnoughError after the last."""
        self.batches += 1
        self.audio += audio
        if self.batches == WARM:
            self._began, self._from = time.process_time(), self.audio
        if self.batches == WARM + self.most:
            raise EnoughError

    @property
    def speed(self) -> float:
        """Of what was measured so far."""
        return (self.audio - self._from) / (time.process_time() - self._began)


class StockCollator:
    """The guide's, for samples or for features: inputs and labels are padded to the longest."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._name, self._mask = checkpoint.architecture.input_name, checkpoint.config.wants_attention_mask

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Along the last axis, which is time in both."""
        inputs = [item["inputs"] for item in items]
        longest = max(clip.shape[-1] for clip in inputs)
        padded = [np.pad(clip, [(0, 0)] * (clip.ndim - 1) + [(0, longest - clip.shape[-1])]) for clip in inputs]
        batch = {self._name: torch.from_numpy(np.stack(padded)), "labels": pad_labels([i["labels"] for i in items])}
        if self._mask:
            batch["attention_mask"] = torch.tensor(
                [[1] * clip.shape[-1] + [0] * (longest - clip.shape[-1]) for clip in inputs]
            )
        batch["seconds"] = torch.tensor(sum(item["seconds"] for item in items))
        return batch


class MeteredTrainer(Trainer):
    """The stock one; it only counts what it heard."""

    meter: Meter | None = None
    audio_seconds = 0.0

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """As the stock one makes of a dataset of the datasets library, which these rows are not."""
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        lengths = [row["input_length"] for row in self.train_dataset]  # type: ignore[union-attr]
        each = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(each, lengths=lengths)

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Count, then as ever."""
        seconds = float(inputs.pop("seconds"))
        loss = super().training_step(model, inputs, *args, **kwargs)
        self.audio_seconds += seconds
        if self.meter:
            self.meter.add(seconds)
        return loss


def opened(folder: Path, vocabulary: Vocabulary) -> Checkpoint:
    """The stock model with what belongs to it here, to judge both sides by the same evaluation."""
    config = ModelConfig.read(folder)
    whisper_ctc.register()
    model = AutoModelForCTC.from_pretrained(folder, ctc_loss_reduction="mean", pad_token_id=vocabulary.blank)
    return Checkpoint(model, feature_extractor_for(folder, config), vocabulary, config)


def peer(job: Job, clips: SpeechDataset, vocabulary: Vocabulary, folder: Path) -> dict[str, Any]:
    """The guide's recipe with the stock Trainer. `changes` are TrainingArguments, or model options after "model."."""
    changes = {name: value for name, value in job["changes"].items() if "." not in name}
    checkpoint = opened(Path(job["base"]), vocabulary)
    model: Any = checkpoint.model
    for name, value in job["changes"].items():
        part, _, option = name.partition(".")
        if part == "model" and option == "attention":
            model.set_attn_implementation(value)
        elif part == "model" and option == "dropouts":
            _without_dropout(model, value)
        elif part == "model" and option == "freeze":
            model.freeze_feature_encoder()
    extractor = checkpoint.extractor
    name = checkpoint.architecture.input_name
    rows = [
        {
            "inputs": np.asarray(extractor(clip.waveform(), sampling_rate=SAMPLE_RATE)[name][0], dtype=np.float32),
            "labels": vocabulary.encode(clip.units),
            "seconds": clip.seconds,
            "input_length": len(clip.samples),
        }
        for clip in clips.train
    ]
    arguments = TrainingArguments(
        str(folder), use_cpu=True, report_to=[], disable_tqdm=True, save_strategy="no", remove_unused_columns=False,
        **(GUIDE | changes),
    )  # fmt: skip
    trainer = MeteredTrainer(model=model, args=arguments, train_dataset=rows, data_collator=StockCollator(checkpoint))
    if job["mode"] == "throughput":
        trainer.meter = meter = Meter(job["batches"])
        with suppress(EnoughError):
            trainer.train()
        return {"speed": meter.speed}
    watch = _Watch(checkpoint, clips, job, trainer)
    trainer.add_callback(watch)
    trainer.train()
    return {"curve": watch.curve, "audio": trainer.audio_seconds}


def _without_dropout(model: torch.nn.Module, only_attention: str) -> None:
    """Set dropouts to 0 in a model that is built already: of attention alone, or all."""
    module: Any
    for module in model.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # of attention, in all these models; in Whisper's layers of all
        if isinstance(module, torch.nn.Dropout) and only_attention == "all":
            module.p = 0.0
    config: Any = model.config
    if only_attention == "all":
        for name in ("layerdrop", "encoder_layerdrop"):
            if hasattr(config, name):
                setattr(config, name, 0.0)


class _Watch(TrainerCallback):
    """Checks that no clock counts."""

    def __init__(self, checkpoint: Checkpoint, clips: SpeechDataset, job: Job, trainer: MeteredTrainer) -> None:
        self._checkpoint, self._clips, self._job, self._trainer = checkpoint, clips, job, trainer
        self._began, self._checking = time.process_time(), 0.0
        self.curve: list[tuple[float, float, float, float]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Seconds, audio seconds, WER and CER."""
        if state.global_step % self._job["check"] and state.global_step != state.max_steps:
            return
        now = time.process_time()
        rates = evaluate(self._checkpoint, self._clips.validation, locale_of(self._job["locale"])).rates
        heard = self._trainer.audio_seconds
        self.curve.append((now - self._began - self._checking, heard, rates.wer, rates.cer))
        self._checking += time.process_time() - now


def ours(job: Job, clips: SpeechDataset, vocabulary: Vocabulary, folder: Path) -> dict[str, Any]:
    """This app's recipe; `changes` are its fields."""
    recipe = Recipe.from_dict(job["recipe"]).change(**job["changes"])
    files, device = files_in(Path(job["base"])), choose_device(recipe.precision)
    overrides = _overrides(recipe, files.config, clips)
    set_seed(recipe.seed)
    checkpoint = open_base(files, vocabulary, overrides, job["mode"] == "learn", device.attention)
    inputs = replace(inputs_for(checkpoint, clips.train, recipe, device), dataset=clips)
    curve: list[tuple[float, float, float, float]] = []
    began, trainers = time.process_time(), list[CTCTrainer]()

    def tell(kind: str, /, **fields: Any) -> None:
        if kind == "evaluated" and fields["step"]:
            curve.append((time.process_time() - began, trainers[0].audio_seconds, fields["wer"], fields["cer"]))

    context = replace(context_in(folder, []), tell=tell)
    session = Session(inputs, context)
    if job["mode"] == "learn":
        keep_share = recipe.keep_share
        session = Session(
            replace(inputs, locale=locale_of(job["locale"]), averaging=Averaging(checkpoint.model, keep_share)), context
        )
        trainers.append(session._prepare())
        session._train(trainers[0])
        return {"curve": curve, "audio": trainers[0].audio_seconds}
    trainer = session._prepare()
    filling = _fill(session, clips.train)
    meter, compute = Meter(job["batches"]), trainer.training_step

    def step(*args: Any, **kwargs: Any) -> torch.Tensor:
        before = trainer.audio_seconds
        loss = compute(*args, **kwargs)
        meter.add(trainer.audio_seconds - before)
        return loss

    trainer.training_step = step  # type: ignore[method-assign]
    trainer._check_model = lambda step: Evaluation(0.0, None, [])  # type: ignore[arg-type]
    trainer.args.eval_on_start = False
    with suppress(EnoughError):
        trainer.train()
    return {"speed": meter.speed, "filling": filling}


def _fill(session: Session, clips: Sequence[Example]) -> float | None:
    """Audio seconds a second that what is frozen is computed with; None where nothing is kept of it."""
    store = session._store
    if store is None:
        return None
    store.of_training(clips[0], 0, 0)
    began = time.process_time()
    for number, clip in enumerate(clips[1:], start=1):
        store.of_training(clip, number, 0)
    return sum(clip.seconds for clip in clips[1:]) / (time.process_time() - began)


def main() -> None:
    """Do the job of the file."""
    job: Job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    clips, vocabulary = pickle.loads(Path(job["clips"]).read_bytes())  # `peer` wrote it just now
    with tempfile.TemporaryDirectory() as folder:
        found = (peer if job["side"] == "peer" else ours)(job, clips, vocabulary, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"peak_mib": round(peak)}))


if __name__ == "__main__":
    main()
