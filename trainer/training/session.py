"""One training: the Trainer at work, what is told of it, and the best model so far."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import transformers
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.errors import UserError
from trainer.models.loading import Checkpoint
from trainer.speech.dataset import SpeechDataset
from trainer.speech.locales import Locale
from trainer.training.clips import ClipDataset
from trainer.training.ctc_trainer import CTCTrainer
from trainer.training.device import Device
from trainer.training.evaluating import Evaluation, evaluate
from trainer.training.ranks import SECONDS_TO_WAIT, Ranks, stop_together
from trainer.training.recipe import Recipe
from trainer.training.stopping import StopRequested, StopSignal

SHOWN_CLIPS = 5  # fixed test clips whose guesses a person can watch getting better
FEWEST_POINTS = 50  # of the loss curve, where the run has as many steps
SECONDS_BETWEEN_TELLS = 0.5  # of progress inside a phase

Outcome = Literal["finished", "stopped"]
AnyT = TypeVar("AnyT")


class Tell(Protocol):
    """Where events go: `runs.events.EventLog.append`, and from there to whoever watches."""

    def __call__(self, kind: str, **fields: Any) -> object: ...


@dataclass(frozen=True)
class Places:
    """Where a fine-tune writes: the best model, the Trainer's checkpoints, and the clips shown."""

    model: Path
    checkpoints: Path
    clips: Path


def shown(test: Sequence[AnyT]) -> list[AnyT]:
    """The fixed test clips that a person watches: spread evenly over the test split."""
    count = min(SHOWN_CLIPS, len(test))
    return [test[number * len(test) // count] for number in range(count)]


class Progress:
    """Tells how far a phase is, but not for every single clip."""

    def __init__(self, tell: Tell, phase: str) -> None:
        self._tell, self._phase, self._last = tell, phase, 0.0

    def __call__(self, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._last > SECONDS_BETWEEN_TELLS:
            self._last = time.monotonic()
            self._tell("phase", phase=self._phase, done=done, total=total)


class Session:
    """One training: the Trainer, what is told, and the best model so far."""

    def __init__(
        self,
        recipe: Recipe,
        device: Device,
        places: Places,
        tell: Tell,
        stop: StopSignal,
        checkpoint: Checkpoint,
        dataset: SpeechDataset,
        locale: Locale,
    ) -> None:
        self.recipe, self.device, self.places, self.tell, self.stop = recipe, device, places, tell, stop
        self.checkpoint, self.dataset, self.locale = checkpoint, dataset, locale
        self.best: tuple[float, float, float] | None = None
        self.baseline: Evaluation | None = None
        self.steps = 0

    def run(self) -> Outcome:
        """Train to the end or to the stop, and leave a model wherever one step was taken."""
        if self.recipe.freeze_feature_encoder:
            self.checkpoint.freeze_front_end()
        trainer = CTCTrainer(
            self.checkpoint,
            self.recipe,
            self.device,
            _arguments(self.recipe, self.device, self.places.checkpoints),
            ClipDataset(self.dataset.train, self.checkpoint, augmented=self.recipe.augment),
            ClipDataset(self.dataset.test, self.checkpoint),
            check_model=self.check_model,
        )
        ranks = Ranks.from_env()
        trainer.add_callback(_Telling(self, trainer))
        trainer.add_callback(stop_together(ranks, self.stop, trainer.args.device))
        trainer.remove_callback(transformers.PrinterCallback)
        self.tell("phase", phase="training", done=0, total=self.recipe.max_steps)
        try:
            trainer.train()
            outcome: Outcome = "finished"
        except StopRequested:
            self.tell("stopping", step=self.steps)
            if self.steps == 0:
                raise
            outcome = "stopped"
        if self.best is None and ranks.first:
            self._save(self.steps, None)
        return outcome

    def check_model(self, step: int) -> Evaluation:
        """Evaluate, tell it, and keep the model where it is the best so far. Step 0 is the baseline."""
        progress = Progress(self.tell, "evaluating")
        total = len(self.dataset.test)

        def on_clip(done: int) -> None:
            self.stop.check()
            progress(done, total)

        result = evaluate(self.checkpoint, self.dataset.test, self.locale, on_clip)
        pairs = list(zip(self.dataset.test, result.hypotheses, strict=True))
        guesses = [
            {"clip": number, "reference": example.text, "hypothesis": hypothesis}
            for number, (example, hypothesis) in enumerate(shown(pairs))
        ]
        rates = result.rates
        self.tell("evaluated", step=step, loss=result.loss, wer=rates.wer, cer=rates.cer, guesses=guesses)
        if step == 0:
            self.baseline = result
        else:
            # The others decide while the first is still at 100 %, as word errors are for some time.
            others = (rates.cer, rates.wer) if self.locale.headline == "cer" else (rates.wer, rates.cer)
            figure = (*others, result.loss)
            if self.best is None or figure < self.best:
                self.best = figure
                self._save(step, result)
        self.tell("phase", phase="training", done=step, total=self.recipe.max_steps)
        return result

    def _save(self, step: int, result: Evaluation | None) -> None:
        self.tell("phase", phase="saving")
        notes: dict[str, Any] = {
            "locale": self.locale.code,
            "base": self.recipe.base,
            "preset": self.recipe.preset,
            "step": step,
        }
        for name, evaluation in (("untrained", self.baseline), ("test", result)):
            if evaluation is not None:
                notes[name] = {"wer": evaluation.rates.wer, "cer": evaluation.rates.cer}
        self.checkpoint.save(self.places.model, notes)
        self.tell("model_saved", step=step)


class _Telling(TrainerCallback):
    """Turns what the Trainer says into events, and stops it."""

    def __init__(self, session: Session, trainer: CTCTrainer) -> None:
        self._session, self._trainer = session, trainer
        self._since, self._heard = time.monotonic(), 0.0

    def on_substep_end(self, *args: Any, **kwargs: Any) -> None:
        """Between two batches that are accumulated."""
        self._session.stop.check()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After each step of the optimizer."""
        self._session.steps = state.global_step
        self._session.stop.check()

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The Trainer's own log line; the last one, a summary, has no loss."""
        logs: dict[str, Any] = kwargs["logs"]
        if "loss" not in logs:
            return
        now, heard = time.monotonic(), self._trainer.audio_seconds
        speed = (heard - self._heard) / max(1e-6, now - self._since)
        self._since, self._heard = now, heard
        self._session.tell(
            "log",
            step=state.global_step,
            loss=logs["loss"],
            learning_rate=logs.get("learning_rate"),
            gradient_norm=logs.get("grad_norm"),
            audio_seconds_per_second=round(speed, 1),
        )
        if not math.isfinite(logs["loss"]):
            raise UserError(
                "The training went astray: the loss is no longer a number.",
                "Try a lower learning rate, or fp32 as the precision, under Advanced.",
            )


def _arguments(recipe: Recipe, device: Device, folder: Path) -> TrainingArguments:
    schedules = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.max_steps,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        lr_scheduler_type=schedules[recipe.schedule],
        gradient_accumulation_steps=recipe.gradient_accumulation,
        activation_checkpointing=recipe.gradient_checkpointing,
        fp16=device.precision == "fp16",
        use_cpu=device.name == "cpu",
        eval_strategy="steps",
        eval_steps=recipe.eval_steps,
        eval_on_start=True,
        # A run of a few steps shall have a curve too.
        logging_steps=max(1, min(recipe.logging_steps, recipe.max_steps // FEWEST_POINTS)),
        logging_nan_inf_filter=False,  # its default hides NaN from the plot
        save_strategy="no",  # the best model is saved by the session, whole
        seed=recipe.seed,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        adam_beta2=recipe.adam_beta2,
        ddp_timeout=SECONDS_TO_WAIT,
    )
