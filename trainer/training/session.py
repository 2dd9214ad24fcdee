"""One training: the Trainer at work, what is told of it, what is saved of it, and the best model so far."""

import math
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import transformers
from safetensors import SafetensorError

from trainer.errors import is_disk_full
from trainer.models.beam_search import BeamDecoder
from trainer.models.common_words import common_words
from trainer.models.ctc_model import Checkpoint, open_checkpoint
from trainer.models.inference import CLIP_SECONDS, Decoder, clip_seconds
from trainer.models.language_model import LanguageModel, learn
from trainer.models.model_files import add_notes, read_model, read_notes
from trainer.models.word_knowledge import WordKnowledge
from trainer.speech.dataset import Example
from trainer.speech.mistakes import LONGEST_TEXT, TestedClip, write_tested
from trainer.training.callback import EventCallback
from trainer.training.checkpoints import SavePace, save_step
from trainer.training.context import Context, PhaseProgress, TrainingInputs
from trainer.training.ctc_trainer import CTCTrainer, arguments_for
from trainer.training.distributed import NothingToGainError, stop_together
from trainer.training.evaluation import Evaluation, evaluate
from trainer.training.frozen import FrozenLayers, StatesStore, copies_that_fit, room_for_states
from trainer.training.recipe import keeps_states
from trainer.training.state import (
    EvalProgress,
    Saved,
    TrainingState,
    preserve_rng,
    restore_weights,
    write,
)
from trainer.training.stop_signal import StopRequested
from trainer.training.trust import note_confidence

SHOWN_CLIPS = 5  # fixed clips of validation whose guesses a person can watch getting better
KNOWN_BY_HEART = 5.0  # times the loss of validation is as large as that of the clips it learns from
BY_HEART = (
    "It knows the clips that it learns from far better than others. More clips, more voices or a larger base model "
    "would help more than more steps."
)
TEST_SECONDS_AT_STOP = 3.0  # who stops a training waits no longer than this for its figures
Outcome = Literal["finished", "stopped"]
AnyT = TypeVar("AnyT")


def shown(validation: Sequence[AnyT]) -> list[AnyT]:
    """The fixed clips that a person watches: spread evenly over the validation split."""
    count = min(SHOWN_CLIPS, len(validation))
    return [validation[number * len(validation) // count] for number in range(count)]


def _of_the_memory(copies: int) -> str:
    """A sentence where fewer changed copies of a clip fit it than the recipe has; -1: not even the clips do."""
    if copies < 0:
        return "There is too little memory to keep what the frozen layers make of the clips: training takes longer."
    each = f"{copies} changed cop{'y' if copies == 1 else 'ies'} of each clip" if copies else "no changed copies"
    return f"There is memory for {each} beside the clips themselves."


class Session:
    """One training, from its first step or from where `saved` stands."""

    def __init__(self, inputs: TrainingInputs, context: Context, saved: Saved | None = None) -> None:
        self.inputs, self.context, self.saved = inputs, context, saved
        self.tell = context.tell
        self.progress = saved.progress if saved else EvalProgress()
        self.state: TrainingState | None = None  # None until the first step is about to be made
        self.pace = SavePace()
        self.loss = math.inf  # of the steps that were told last
        self._validation_loss = math.inf  # of the last check
        self._store: StatesStore | None = None  # where layers are frozen and there is room
        self._told_full = False
        self._seconds_to_save = 0.0  # what the model took last; to open it takes about as long

    @property
    def steps(self) -> int:
        """Steps made, those of earlier attempts included."""
        return self.state.step if self.state else self.saved.step if self.saved else 0

    def run(self) -> Outcome:
        """Train to the end or to the stop, and leave a model wherever one step was taken.

        Raises StopRequested where not even one was taken, torch.OutOfMemoryError with the last step saved, and
        OSError or SafetensorError where the model cannot be written.
        """
        trainer = self._prepare()
        self.tell("phase", phase="training", done=self.steps, total=self.inputs.recipe.max_steps)
        outcome = self._train(trainer)
        if not self.context.ranks.first:
            return outcome
        if self.progress.best is None and "validation" not in read_notes(self.context.places.model):
            with self.inputs.averaging.averaged():
                self._save_model(self.steps, None)
        if not self.test(in_a_hurry=outcome == "stopped") and outcome == "finished":
            self._save_where_it_stopped(trainer)
            outcome = "stopped"
        return outcome

    def _prepare(self) -> CTCTrainer:
        """A trainer for the steps that are left; where something was saved, with the weights of then."""
        recipe, checkpoint = self.inputs.recipe, self.inputs.checkpoint
        if recipe.frozen_layers:
            checkpoint.freeze_layers(recipe.frozen_layers)
        elif recipe.freeze_feature_encoder:
            checkpoint.freeze_front_end()
        if self.saved:
            restore_weights(self.saved, self.inputs.checkpoint.model)
        arguments = arguments_for(self.inputs, self.context, checked=self.progress.checked >= 0)
        if keeps_states(recipe, checkpoint.config):
            self._store = self._open_store(arguments.device)
        trainer = CTCTrainer(self.inputs, self.context, arguments, self.check_model, self.steps, self._store)
        trainer.add_callback(EventCallback(self, trainer))
        trainer.add_callback(stop_together(self.context.ranks, self.context.stop, self.had_enough, trainer.args.device))
        trainer.remove_callback(transformers.PrinterCallback)
        return trainer

    def _open_store(self, device: torch.device) -> StatesStore | None:
        """For the states of the clips; None where the memory is too small for them, which is told."""
        recipe, dataset, checkpoint = self.inputs.recipe, self.inputs.dataset, self.inputs.checkpoint
        ranks = self.context.ranks
        room, copies = room_for_states() // ranks.count, self.progress.copies
        if copies is None:
            wanted = recipe.copies if recipe.augment else 0
            fitting = copies_that_fit(checkpoint, dataset.train, dataset.validation, wanted, room)
            copies = ranks.least(-1 if fitting is None else fitting, device)
            self.progress = replace(self.progress, copies=copies)
            if copies < wanted:
                self.tell("note", text=_of_the_memory(copies))
        if copies < 0:
            return None
        layers = FrozenLayers(checkpoint, recipe.frozen_layers, self.inputs.device.precision == "bf16")
        return StatesStore(layers, checkpoint, copies, recipe.seed, room, self.context.stop.check)

    def _train(self, trainer: CTCTrainer) -> Outcome:
        """All steps that are left, or those until a stop; what is needed to go on is saved then."""
        try:
            if self.steps < self.inputs.recipe.max_steps:
                trainer.train()
            else:
                self.check_what_is_due()
        except NothingToGainError:
            self._tell_of_the_early_end()
        except StopRequested:
            self._save_where_it_stopped(trainer)
            return "stopped"
        except torch.OutOfMemoryError:
            self.save(trainer)  # nothing of the step that failed has reached the weights
            raise
        return "finished"

    def had_enough(self) -> bool:
        """Whether so many checks in a row found nothing better that it ends before its last step."""
        patience = self.inputs.recipe.patience
        return patience > 0 and self.progress.in_vain >= patience

    def _tell_of_the_early_end(self) -> None:
        steps = f"{self.steps:,} of {self.inputs.recipe.max_steps:,} steps"
        self.tell("note", text=f"No better for {self.progress.in_vain} checks: finished early, after {steps}.")
        if self.loss * KNOWN_BY_HEART < self._validation_loss:
            self.tell("note", text=BY_HEART)

    def _save_where_it_stopped(self, trainer: CTCTrainer) -> None:
        self.tell("stopping", step=self.steps)
        if self.steps == 0:
            raise StopRequested
        self.save(trainer)

    def check_what_is_due(self) -> None:
        """Make the check of this step where it was cut off: a stop does not wait for it."""
        step, recipe = self.steps, self.inputs.recipe
        due = step and (step % recipe.eval_steps == 0 or step == recipe.max_steps)
        if due and self.progress.checked < step and self.context.ranks.first:
            self.check_model(step)

    def check_model(self, step: int) -> Evaluation:
        """Evaluate on validation, tell it, and keep the model where it is the best so far. Step 0 is the baseline."""
        with self.inputs.averaging.averaged():
            return self._check_model(step)

    def _check_model(self, step: int) -> Evaluation:
        examples = self.inputs.dataset.validation
        # Where a front end alone is kept, in 16 bits, the figures told shall still be those of the model that is saved.
        store = self._store if self.inputs.recipe.frozen_layers else None

        def above_the_frozen(store: StatesStore, number: int) -> torch.Tensor:
            return store.layers.logits(store.of_validation(examples[number], number))

        result = self._evaluate(
            self.inputs.checkpoint,
            examples,
            lambda done: self.context.stop.check(),
            None if store is None else partial(above_the_frozen, store),
        )
        rates, blank = result.rates, not any(result.hypotheses)
        guesses = [
            {"clip": number, "reference": example.text, "hypothesis": hypothesis}
            for number, (example, hypothesis) in enumerate(shown(list(zip(examples, result.hypotheses, strict=True))))
        ]
        progress = replace(self.progress, checked=step)
        if step == 0:
            untrained = {"wer": rates.wer, "cer": rates.cer}
            progress = replace(progress, untrained=untrained, untrained_test=self._untrained_test(blank))
        self.tell("evaluated", step=step, loss=result.loss, wer=rates.wer, cer=rates.cer, blank=blank, guesses=guesses)
        if step > 0:
            figure = self._figure(rates.wer, rates.cer, result.loss)
            if progress.best is None or figure < progress.best:
                self._save_model(step, result)
                progress = replace(progress, best=figure, in_vain=0)
            else:
                progress = replace(progress, in_vain=progress.in_vain + 1)
        self.progress, self._validation_loss = progress, result.loss
        self.tell("phase", phase="training", done=step, total=self.inputs.recipe.max_steps)
        return result

    def _untrained_test(self, blank: bool) -> dict[str, float]:
        """What the base makes of the test split, which nothing is decided by. A head that writes nothing misses all."""
        if blank:
            return {"wer": 1.0, "cer": 1.0}
        test = self.inputs.dataset.test
        rates = self._evaluate(self.inputs.checkpoint, test, lambda done: self.context.stop.check()).rates
        return {"wer": rates.wer, "cer": rates.cer}

    def _evaluate(
        self,
        checkpoint: Checkpoint,
        examples: Sequence[Example],
        check: Callable[[int], None],
        logits_for: Callable[[int], torch.Tensor] | None = None,
        phrases: Decoder | None = None,
    ) -> Evaluation:
        """As `evaluation.evaluate`, told as it goes; training draws the same numbers as without it."""
        report = PhaseProgress(self.tell, "evaluating")

        def on_clip(done: int) -> None:
            check(done)
            report(done, len(examples))

        with preserve_rng():
            return evaluate(checkpoint, examples, self.inputs.locale, on_clip, logits_for, phrases)

    def _phrases(self, but: Collection[str] = ()) -> LanguageModel:
        """Of what is said in the clips that it learns from, each different text once."""
        inputs = self.inputs
        return learn(inputs.dataset.texts("train").difference(but), inputs.locale, inputs.checkpoint.vocabulary.case)

    def test(self, in_a_hurry: bool) -> bool:
        """Judge the model that was kept, as it lies on the disk, by the test split, and tell it. To be called last.

        False where a stop cut it short. `in_a_hurry`: a stop waits for it already, and for little more.
        """
        places, stop, started = self.context.places, self.context.stop, time.monotonic()
        if in_a_hurry and (stop.urgent or self._seconds_to_save > TEST_SECONDS_AT_STOP):
            return False

        def check(done: int) -> None:
            late = time.monotonic() - started > TEST_SECONDS_AT_STOP
            if stop.urgent or (late if in_a_hurry else stop.requested):
                raise StopRequested

        kept = open_checkpoint(read_model(places.model, self.inputs.most_bytes))
        model: Any = kept.model  # its `to` is declared without self
        model.to(self.inputs.checkpoint.model.device)
        # A text that is in both splits would be known by heart: it tells nothing of what phrases do for new ones.
        common = common_words(self.inputs.locale.language)
        known = WordKnowledge(self._phrases(but=self.inputs.dataset.texts("test")), common)
        decoder = BeamDecoder(kept.vocabulary, known) if known else None
        try:
            result = self._evaluate(kept, self.inputs.dataset.test, check, phrases=decoder)
        except StopRequested:
            return False
        self._keep_what_it_heard(result)
        rates, clips, taught = result.rates, len(result.hypotheses), dict[str, float]()
        figures = {"wer": rates.wer, "cer": rates.cer, "loss": result.loss, "clips": clips}
        add_notes(places.model, test=figures)
        if result.with_phrases:
            taught = {"wer": result.with_phrases.wer, "cer": result.with_phrases.cer}
            add_notes(places.model, test_with_phrases=taught)
        before = self.progress.untrained_test or {}
        self.tell(
            "tested",
            step=read_notes(places.model)["step"],
            **figures,
            blank=not any(result.hypotheses),
            untrained_wer=before.get("wer"),
            untrained_cer=before.get("cer"),
            **{f"phrases_{name}": rate for name, rate in taught.items()},
        )
        if not in_a_hurry:
            note_confidence(self.inputs, places.model, kept, check)
        return True

    def _keep_what_it_heard(self, result: Evaluation) -> None:
        """For "What did it learn?"; a full disk or a text too long to keep spoils nothing else."""
        file = self.context.places.tested
        phrased: Sequence[str | None] = result.phrased or [None] * len(result.hypotheses)
        if file is None:
            return
        heard = zip(self.inputs.dataset.test, result.hypotheses, phrased, strict=True)
        clips = [
            TestedClip(seconds=example.seconds, reference=example.text, by_sound=by_sound, with_words=with_words)
            for example, by_sound, with_words in heard
            if max(len(example.text), len(by_sound), len(with_words or "")) <= LONGEST_TEXT
        ]
        with suppress(OSError):
            file.unlink(missing_ok=True)  # of an earlier attempt
            write_tested(file, clips)

    def adopt_model(self) -> None:
        """Take the model that is there for the best so far where it was saved after what is resumed from."""
        notes = read_notes(self.context.places.model)
        figures = notes.get("validation", {})
        if self.saved is None or notes.get("step", -1) <= self.progress.checked or "loss" not in figures:
            return
        self.progress = replace(self.progress, best=self._figure(figures["wer"], figures["cer"], figures["loss"]))
        self.tell("model_saved", step=notes["step"])

    def _figure(self, wer: float, cer: float, loss: float) -> tuple[float, ...]:
        # The others decide while the first is still at 100 %, as word errors are for some time.
        return (cer, wer, loss) if self.inputs.locale.headline == "cer" else (wer, cer, loss)

    def save(self, trainer: CTCTrainer) -> None:
        """Save all that a training goes on from. A full disk is told, and training goes on."""
        state, model = self.state, self.inputs.checkpoint.model
        if state is None or self._is_saved(state) or not self.context.ranks.first:
            return
        if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
            return  # it went astray, which the next point of the curve will say; what was saved before is better
        started = time.monotonic()

        def write_all(folder: Path) -> None:
            write(folder, trainer, state, self.progress, self.inputs.origin)

        try:
            save_step(self.context.places.checkpoints, state.step, write_all)
        except (OSError, SafetensorError) as error:
            if not is_disk_full(error):
                raise
            if not self._told_full:
                self.tell("note", text=f"The disk is full: step {state.step} could not be saved. Make some room.")
            self._told_full = True
        else:
            self._told_full = False
            self.tell("checkpoint", step=state.step)
        finally:
            self.pace.saved(time.monotonic() - started)

    def _is_saved(self, state: TrainingState) -> bool:
        """Whether nothing was added to what this was resumed from."""
        before = self.saved
        return (
            before is not None
            and (before.step, before.progress) == (state.step, self.progress)
            and before.folder.exists()
        )

    def _save_model(self, step: int, result: Evaluation | None) -> None:
        self.tell("phase", phase="saving")
        notes: dict[str, Any] = {
            "locale": self.inputs.locale.code,
            "base": self.inputs.recipe.base,
            "preset": self.inputs.recipe.preset,
            "step": step,
            CLIP_SECONDS: clip_seconds(example.seconds for example in self.inputs.dataset.train),
        }
        if self.progress.untrained is not None:
            notes["untrained"] = self.progress.untrained
        if result is not None:
            notes["validation"] = {"wer": result.rates.wer, "cer": result.rates.cer, "loss": result.loss}
        started = time.monotonic()
        self.inputs.checkpoint.save(self.context.places.model, notes, self._phrases())
        self._seconds_to_save = time.monotonic() - started
        self.tell("model_saved", step=step)
