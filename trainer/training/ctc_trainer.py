"""The Transformers Trainer, taught what CTC needs: its loss, batches and evaluation, and to begin in the middle."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader, Sampler
from transformers import PreTrainedModel, Trainer, TrainingArguments

from trainer.models.architectures import ARCHITECTURES
from trainer.speech.audio import SAMPLE_RATE
from trainer.training.context import Context, TrainingInputs
from trainer.training.data import Batch, BatchRange, ClipDataset, Collator, LengthBatchSampler
from trainer.training.distributed import SECONDS_TO_WAIT, DistributedBatchSampler
from trainer.training.evaluation import Evaluation, ctc_loss
from trainer.training.frozen import StatesCollator, StatesDataset, StatesStore, VisitSampler
from trainer.training.recipe import Schedule

FEWEST_POINTS = 50  # of the loss curve, where the run has as many steps


class CTCTrainer(Trainer):
    """Trains a checkpoint by a recipe. `check_model` is called with the step where the recipe wants an evaluation.

    `first_step` steps count as made already: their batches are passed over. A request to stop may interrupt a step;
    weights and optimizer are then as before it. The rest of what a resumed training needs, its callback puts back.

    With a `store` the batches are the states of the clips above the frozen layers instead of their sound.
    """

    def __init__(
        self,
        inputs: TrainingInputs,
        context: Context,
        args: TrainingArguments,
        check_model: Callable[[int], Evaluation],
        first_step: int = 0,
        store: StatesStore | None = None,
    ) -> None:
        recipe, dataset, checkpoint = inputs.recipe, inputs.dataset, inputs.checkpoint
        clips = ClipDataset(dataset.train, checkpoint, augmented=recipe.augment)
        super().__init__(
            model=checkpoint.model,
            args=args,
            train_dataset=clips if store is None else StatesDataset(dataset.train, checkpoint, store),
            eval_dataset=ClipDataset(dataset.validation, checkpoint),
            data_collator=Collator(checkpoint) if store is None else StatesCollator(checkpoint),
        )
        self._checkpoint, self._recipe = checkpoint, recipe
        self._in_bf16 = inputs.device.precision == "bf16"
        self._check_model = check_model
        self._lengths = clips.longest_seconds
        self._first_step, self._store = first_step, store
        # What learns, the head aside; until the recipe's `head_steps` it does not.
        self._body = [weight for name, weight in self._learning(of_head=False)]
        self._closed = False
        self._stop, self._ranks = context.stop, context.ranks
        self._shares: DistributedBatchSampler | None = None
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
        batches: Sampler[list[Any]] = sampler if self._store is None else VisitSampler(sampler)
        stretch = BatchRange(batches, self._first_step * each, steps * each)
        assert self.train_dataset is not None  # given to the constructor
        generator = torch.Generator()
        dealt: BatchRange[Any] | DistributedBatchSampler = stretch
        if self._ranks.many:
            dealt = self._shares = DistributedBatchSampler(stretch, self._ranks)
        return DataLoader(self.train_dataset, batch_sampler=dealt, collate_fn=self.data_collator, generator=generator)

    def open_body(self, step: int) -> None:
        """Let all that is not frozen learn from the recipe's `head_steps` on, and until then the head alone."""
        closed = step < self._recipe.head_steps
        if closed == self._closed:
            return
        self._closed = closed
        if not self._ranks.many:  # which must agree on what they exchange from the first step to the last
            for weight in self._body:
                weight.requires_grad_(not closed)

    def _learning(self, of_head: bool) -> list[tuple[str, torch.nn.Parameter]]:
        """Names and weights that are trained, those of the head or the others."""
        assert isinstance(self.model, PreTrainedModel)
        head = ARCHITECTURES[self.model.config.model_type].head
        named = [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]
        return [(name, weight) for name, weight in named if name.startswith(head) == of_head]

    def training_step(self, model: torch.nn.Module, inputs: Batch, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Forward and backward, in which gradient checkpointing hears a batch a second time."""
        with self._stop.anywhere(), self._checkpoint.clip_lengths(inputs["lengths"]):
            loss = super().training_step(model, inputs, *args, **kwargs)
        if self._closed:
            for weight in self._body:
                weight.grad = None
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
        """CTC over each clip's own frames. `num_items_in_batch` is not used: see `models.ctc_model.open_base`."""
        given: dict[str, Any] = dict(inputs)
        labels, lengths = given.pop("labels"), given.pop("lengths")
        self.audio_seconds += float(lengths.sum()) / SAMPLE_RATE
        # Here rather than by TrainingArguments(bf16=True), which wraps the model's forward for good: evaluations would
        # run in bf16 too, and tell other figures than the saved model gives.
        if self._store is not None:
            given |= {"hidden_states": given["hidden_states"].float(), "first_layer": self._store.layers.count}
        bf16 = torch.autocast(labels.device.type, torch.bfloat16, enabled=self._in_bf16)
        with bf16:
            outputs = model(**given)
        frames = torch.tensor([self._checkpoint.frames(int(length)) for length in lengths], device=labels.device)
        loss = ctc_loss(outputs.logits, frames, labels, self._checkpoint.vocabulary.blank)
        if self._shares is not None:
            loss = loss * self._shares.next_weight()
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Check the model clip by clip (see `training.evaluation`) and tell the callbacks."""
        if not self._ranks.first:
            return {}
        result = self._check_model(self.state.global_step)
        metrics = {"eval_loss": result.loss, "eval_wer": result.rates.wer, "eval_cer": result.rates.cer}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """AdamW; a new head learns at its own rate where the recipe gives one."""
        recipe = self._recipe
        if self.optimizer is not None or not (recipe.head_learning_rate or recipe.head_steps):
            return super().create_optimizer(*args, **kwargs)
        head = [weight for _, weight in self._learning(of_head=True)]
        rate = recipe.head_learning_rate or recipe.learning_rate
        groups: list[dict[str, Any]] = [{"params": self._body}, {"params": head, "lr": rate}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=self.args.learning_rate, betas=(0.9, self.args.adam_beta2), weight_decay=0.0, fused=True
        )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        """The recipe's; with `head_steps` one for the head, and one for the rest that begins after them."""
        recipe = self._recipe
        if self.lr_scheduler is not None or not recipe.head_steps:
            return super().create_scheduler(num_training_steps, optimizer)

        def of_body(step: int) -> float:
            left = num_training_steps - recipe.head_steps
            return share_of_rate(recipe.schedule, step - recipe.head_steps, recipe.warmup_steps, left)

        def of_head(step: int) -> float:
            return share_of_rate(recipe.schedule, step, recipe.warmup_steps, num_training_steps)

        optimizer = optimizer or self.optimizer
        assert optimizer is not None  # made before its schedule
        self.lr_scheduler = LambdaLR(optimizer, [of_body, of_head])
        self._created_lr_scheduler = True
        return self.lr_scheduler


def share_of_rate(schedule: Schedule, step: int, warmup: int, steps: int) -> float:
    """Of the highest learning rate, at a step of so many: as Transformers' schedules are; 0 before step 0."""
    if step < 0:
        return 0.0
    if step < warmup:
        return step / warmup
    if schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, steps - warmup)
    return max(0.0, 1 - done if schedule == "linear" else (1 + math.cos(math.pi * done)) / 2)


def arguments_for(inputs: TrainingInputs, context: Context, checked: bool) -> TrainingArguments:
    """What the Trainer is told. `checked`: there has been a check of the untrained model already."""
    recipe, device = inputs.recipe, inputs.device
    schedules = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
    return TrainingArguments(
        output_dir=str(context.places.checkpoints),
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
        save_strategy="no",  # it keeps neither all that is drawn from nor what was told: see `training.state`
        seed=recipe.seed,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        adam_beta2=recipe.adam_beta2,
        ddp_timeout=SECONDS_TO_WAIT,
    )
