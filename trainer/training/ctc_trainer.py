"""The Transformers Trainer, taught what CTC needs: its loss, batches and evaluation, and to begin in the middle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, Trainer, TrainingArguments

from trainer.models.architectures import ARCHITECTURES
from trainer.models.loading import Checkpoint
from trainer.speech.audio import SAMPLE_RATE
from trainer.training.batching import LengthBatchSampler, Stretch
from trainer.training.clips import Batch, ClipDataset, Collator
from trainer.training.device import Device
from trainer.training.evaluating import Evaluation
from trainer.training.loss import ctc_loss
from trainer.training.ranks import SECONDS_TO_WAIT, Ranks, Shares
from trainer.training.recipe import Recipe
from trainer.training.stopping import StopSignal

FEWEST_POINTS = 50  # of the loss curve, where the run has as many steps


class CTCTrainer(Trainer):
    """Trains a checkpoint by a recipe. `check_model` is called where the recipe wants an evaluation.

    `first_step` steps count as made already: their batches are passed over. A request to `stop` may interrupt a step;
    weights and optimizer are then as before it. The rest of what a resumed training needs, its callback puts back.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        recipe: Recipe,
        device: Device,
        args: TrainingArguments,
        train_dataset: ClipDataset,
        eval_dataset: ClipDataset,
        check_model: Callable[[int], Evaluation],
        first_step: int = 0,
        stop: StopSignal | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model=checkpoint.model,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            data_collator=Collator(checkpoint),
            **kwargs,
        )
        self._checkpoint = checkpoint
        self._recipe = recipe
        self._in_bf16 = device.precision == "bf16"
        self._check_model = check_model
        self._lengths = [example.seconds for example in train_dataset.examples]
        self._first_step = first_step
        self._stop = stop or StopSignal()
        self._ranks = Ranks.from_env()
        self._shares: Shares | None = None
        self.audio_seconds = 0.0  # heard so far, for the speed shown
        # Over the steps since step `logged`. The Trainer's own mean cannot be kept and put back.
        self.loss_sum = torch.tensor(0.0, device=args.device)
        self.logged = first_step

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches by seconds of audio. No worker processes: the clips lie in memory, and daemons may not fork.

        Neither prepared by accelerate, which draws each batch before the one in hand is used, nor with the global
        generator: between two steps nothing may have been drawn that the next step needs. It lasts to the end of the
        run, in one epoch, so that no step is made of fewer batches than the others.
        """
        sampler = LengthBatchSampler(
            self._lengths, self._recipe.batch_seconds, self._recipe.batch_clips, self._recipe.seed
        )
        each, steps = self._recipe.gradient_accumulation, self._recipe.max_steps
        stretch = Stretch(sampler, self._first_step * each, steps * each)
        assert self.train_dataset is not None  # given to the constructor
        generator = torch.Generator()
        batches: Stretch | Shares = stretch
        if self._ranks.many:
            batches = self._shares = Shares(stretch, self._ranks)
        return DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator, generator=generator)

    def training_step(self, model: torch.nn.Module, inputs: Batch, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Forward and backward, in which gradient checkpointing hears a batch a second time."""
        with self._stop.anywhere(), self._checkpoint.clip_lengths(inputs["lengths"]):
            loss = super().training_step(model, inputs, *args, **kwargs)
        self.loss_sum = self.loss_sum + loss  # a new tensor: the old one may be kept as where the step began
        return loss

    def mean_loss(self, step: int) -> float:
        """Over the steps since the last call, as a number for the curve."""
        mean = self._ranks.mean(self.loss_sum).item() / max(1, step - self.logged)
        self.loss_sum, self.logged = torch.zeros_like(self.loss_sum), step
        return mean

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """CTC over each clip's own frames. `num_items_in_batch` is not used: see `models.loading.open_base`."""
        inputs = dict(inputs)
        labels, lengths = inputs.pop("labels"), inputs.pop("lengths")
        self.audio_seconds += float(lengths.sum()) / SAMPLE_RATE
        # Here rather than by TrainingArguments(bf16=True), which wraps the model's forward for good: evaluations would
        # run in bf16 too, and tell other figures than the saved model gives.
        bf16 = torch.autocast(labels.device.type, torch.bfloat16, enabled=self._in_bf16)
        with bf16:
            outputs = model(**inputs)
        frames = torch.tensor([self._checkpoint.frames(int(length)) for length in lengths], device=labels.device)
        loss = ctc_loss(outputs.logits, frames, labels, self._checkpoint.vocabulary.blank)
        if self._shares is not None:
            loss = loss * self._shares.next_weight()
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Check the model clip by clip (see `training.evaluating`) and tell the callbacks."""
        if not self._ranks.first:
            return {}
        result = self._check_model(self.state.global_step)
        metrics = {"eval_loss": result.loss, "eval_wer": result.rates.wer, "eval_cer": result.rates.cer}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """AdamW; a new head learns at its own rate where the recipe gives one."""
        if self._recipe.head_learning_rate is None or self.optimizer is not None:
            return super().create_optimizer(*args, **kwargs)
        assert isinstance(self.model, PreTrainedModel)
        named = [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]
        of_head = ARCHITECTURES[self.model.config.model_type].head
        head = [weight for name, weight in named if name.startswith(of_head)]
        body = [weight for name, weight in named if not name.startswith(of_head)]
        groups: list[dict[str, Any]] = [{"params": body}, {"params": head, "lr": self._recipe.head_learning_rate}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=self.args.learning_rate, betas=(0.9, self.args.adam_beta2), weight_decay=0.0, fused=True
        )
        return self.optimizer


def arguments_for(recipe: Recipe, device: Device, folder: Path, checked: bool) -> TrainingArguments:
    """What the Trainer is told. `checked`: there has been a check of the untrained model already."""
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
        eval_on_start=not checked,
        # A run of a few steps shall have a curve too.
        logging_steps=max(1, min(recipe.logging_steps, recipe.max_steps // FEWEST_POINTS)),
        logging_nan_inf_filter=False,  # its default hides NaN from the plot
        save_strategy="no",  # it keeps neither all that is drawn from nor what was told: see `training.going_on`
        seed=recipe.seed,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        adam_beta2=recipe.adam_beta2,
        ddp_timeout=SECONDS_TO_WAIT,
    )
