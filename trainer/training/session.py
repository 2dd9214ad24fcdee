"""One training: the Trainer at work, what is told of it, what is saved of it, and the best model so far."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import torch
import transformers
from safetensors import SafetensorError

from trainer.models.loading import Checkpoint, read_notes
from trainer.speech.dataset import SpeechDataset
from trainer.speech.locales import Locale
from trainer.training.checkpoints import save_step
from trainer.training.clips import ClipDataset
from trainer.training.ctc_trainer import CTCTrainer, arguments_for
from trainer.training.device import Device
from trainer.training.disk import is_disk_full
from trainer.training.evaluating import Evaluation, evaluate
from trainer.training.going_on import Found, Saved, Stand, put_back_weights, write
from trainer.training.origin import Origin
from trainer.training.pace import SavePace
from trainer.training.randomness import undisturbed
from trainer.training.ranks import Ranks, stop_together
from trainer.training.recipe import Recipe
from trainer.training.stopping import StopRequested, StopSignal
from trainer.training.telling import Telling

SHOWN_CLIPS = 5  # fixed test clips whose guesses a person can watch getting better
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
    """One training, from its first step or from where `saved` stands."""

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
        origin: Origin,
        saved: Saved | None = None,
    ) -> None:
        self.recipe, self.device, self.places, self.tell, self.stop = recipe, device, places, tell, stop
        self.checkpoint, self.dataset, self.locale, self.origin = checkpoint, dataset, locale, origin
        self.saved = saved
        self.found = saved.found if saved else Found()
        self.stand: Stand | None = None  # None until the first step is about to be made
        self.pace = SavePace()
        self._told_full = False

    @property
    def steps(self) -> int:
        """Steps made, those of earlier attempts included."""
        return self.stand.step if self.stand else self.saved.step if self.saved else 0

    def run(self) -> Outcome:
        """Train to the end or to the stop, and leave a model wherever one step was taken.

        Raises StopRequested where not even one was taken, torch.OutOfMemoryError with the last step saved, and
        OSError or SafetensorError where the model cannot be written.
        """
        if self.recipe.freeze_feature_encoder:
            self.checkpoint.freeze_front_end()
        if self.saved:
            put_back_weights(self.saved, self.checkpoint.model)
        trainer = CTCTrainer(
            self.checkpoint,
            self.recipe,
            self.device,
            arguments_for(self.recipe, self.device, self.places.checkpoints, checked=self.found.checked >= 0),
            ClipDataset(self.dataset.train, self.checkpoint, augmented=self.recipe.augment),
            ClipDataset(self.dataset.test, self.checkpoint),
            check_model=self.check_model,
            first_step=self.steps,
            stop=self.stop,
        )
        ranks = Ranks.from_env()
        trainer.add_callback(Telling(self, trainer))
        trainer.add_callback(stop_together(ranks, self.stop, trainer.args.device))
        trainer.remove_callback(transformers.PrinterCallback)
        self.tell("phase", phase="training", done=self.steps, total=self.recipe.max_steps)
        outcome: Outcome = "finished"
        try:
            self._train(trainer)
        except StopRequested:
            self.tell("stopping", step=self.steps)
            if self.steps == 0:
                raise
            self.save(trainer)
            outcome = "stopped"
        except torch.OutOfMemoryError:
            self.save(trainer)  # nothing of the step that failed has reached the weights
            raise
        if self.found.best is None and ranks.first and "test" not in read_notes(self.places.model):
            self._save_model(self.steps, None)
        return outcome

    def _train(self, trainer: CTCTrainer) -> None:
        if self.steps < self.recipe.max_steps:
            trainer.train()
        else:
            self.check_what_is_due()

    def check_what_is_due(self) -> None:
        """Make the check of this step where it was cut off: a stop does not wait for it."""
        step, total = self.steps, self.recipe.max_steps
        first = Ranks.from_env().first
        if first and step and self.found.checked < step and (step % self.recipe.eval_steps == 0 or step == total):
            self.check_model(step)

    def check_model(self, step: int) -> Evaluation:
        """Evaluate, tell it, and keep the model where it is the best so far. Step 0 is the baseline."""
        progress = Progress(self.tell, "evaluating")
        total = len(self.dataset.test)

        def on_clip(done: int) -> None:
            self.stop.check()
            progress(done, total)

        with undisturbed():
            result = evaluate(self.checkpoint, self.dataset.test, self.locale, on_clip)
        pairs = list(zip(self.dataset.test, result.hypotheses, strict=True))
        guesses = [
            {"clip": number, "reference": example.text, "hypothesis": hypothesis}
            for number, (example, hypothesis) in enumerate(shown(pairs))
        ]
        rates = result.rates
        blank = not any(result.hypotheses)
        self.tell("evaluated", step=step, loss=result.loss, wer=rates.wer, cer=rates.cer, blank=blank, guesses=guesses)
        found = replace(self.found, checked=step)
        if step == 0:
            found = replace(found, untrained={"wer": rates.wer, "cer": rates.cer})
        else:
            figure = self._figure(rates.wer, rates.cer, result.loss)
            if found.best is None or figure < found.best:
                self._save_model(step, result)
                found = replace(found, best=figure)
        self.found = found
        self.tell("phase", phase="training", done=step, total=self.recipe.max_steps)
        return result

    def adopt_model(self) -> None:
        """Take the model that is there for the best so far where it was saved after what is resumed from."""
        notes = read_notes(self.places.model)
        test = notes.get("test", {})
        if self.saved is None or notes.get("step", -1) <= self.found.checked or "loss" not in test:
            return
        self.found = replace(self.found, best=self._figure(test["wer"], test["cer"], test["loss"]))
        self.tell("model_saved", step=notes["step"])

    def _figure(self, wer: float, cer: float, loss: float) -> tuple[float, ...]:
        # The others decide while the first is still at 100 %, as word errors are for some time.
        return (cer, wer, loss) if self.locale.headline == "cer" else (wer, cer, loss)

    def save(self, trainer: CTCTrainer) -> None:
        """Save all that a training goes on from. A full disk is told, and training goes on."""
        stand, model = self.stand, self.checkpoint.model
        if stand is None or self._is_saved(stand) or not Ranks.from_env().first:
            return
        if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
            return  # it went astray, which the next point of the curve will say; what was saved before is better
        started = time.monotonic()

        def write_all(folder: Path) -> None:
            scaler = trainer.accelerator.scaler
            write(folder, model, trainer.optimizer, trainer.lr_scheduler, scaler, stand, self.found, self.origin)

        try:
            save_step(self.places.checkpoints, stand.step, write_all)
        except (OSError, SafetensorError) as error:
            if not is_disk_full(error):
                raise
            if not self._told_full:
                self.tell("note", text=f"The disk is full: step {stand.step} could not be saved. Make some room.")
            self._told_full = True
        else:
            self._told_full = False
            self.tell("checkpoint", step=stand.step)
        finally:
            self.pace.saved(time.monotonic() - started)

    def _is_saved(self, stand: Stand) -> bool:
        """Whether nothing was added to what this was resumed from."""
        before = self.saved
        return before is not None and (before.step, before.found) == (stand.step, self.found) and before.folder.exists()

    def _save_model(self, step: int, result: Evaluation | None) -> None:
        self.tell("phase", phase="saving")
        notes: dict[str, Any] = {
            "locale": self.locale.code,
            "base": self.recipe.base,
            "preset": self.recipe.preset,
            "step": step,
        }
        if self.found.untrained is not None:
            notes["untrained"] = self.found.untrained
        if result is not None:
            notes["test"] = {"wer": result.rates.wer, "cer": result.rates.cer, "loss": result.loss}
        self.checkpoint.save(self.places.model, notes)
        self.tell("model_saved", step=step)
