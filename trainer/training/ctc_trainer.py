"""The Transformers Trainer, taught what CTC needs: its loss, its batches, its evaluation."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, Trainer, TrainingArguments

from trainer.models.architectures import ARCHITECTURES
from trainer.models.loading import Checkpoint
from trainer.speech.audio import SAMPLE_RATE
from trainer.training.batching import LengthBatchSampler
from trainer.training.clips import Batch, ClipDataset, Collator
from trainer.training.device import Device
from trainer.training.evaluating import Evaluation
from trainer.training.loss import ctc_loss
from trainer.training.ranks import Ranks, Shares
from trainer.training.recipe import Recipe


class CTCTrainer(Trainer):
    """Trains a checkpoint by a recipe. `check_model` is called where the recipe wants an evaluation."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        recipe: Recipe,
        device: Device,
        args: TrainingArguments,
        train_dataset: ClipDataset,
        eval_dataset: ClipDataset,
        check_model: Callable[[int], Evaluation],
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
        self._ranks = Ranks.from_env()
        self._shares: Shares | None = None
        self.audio_seconds = 0.0  # heard so far, for the speed shown

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches by seconds of audio. No worker processes: the clips lie in memory, and daemons may not fork."""
        sampler = LengthBatchSampler(
            self._lengths, self._recipe.batch_seconds, self._recipe.batch_clips, self._recipe.seed
        )
        assert self.train_dataset is not None  # given to the constructor
        if self._ranks.many:  # not prepared by accelerate, which would deal out whole batches
            self._shares = Shares(sampler, self._ranks)
            return DataLoader(self.train_dataset, batch_sampler=self._shares, collate_fn=self.data_collator)
        loader: DataLoader[Any] = DataLoader(self.train_dataset, batch_sampler=sampler, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)

    def training_step(self, model: torch.nn.Module, inputs: Batch, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Forward and backward, in which gradient checkpointing hears a batch a second time."""
        with self._checkpoint.clip_lengths(inputs["lengths"]):
            return super().training_step(model, inputs, *args, **kwargs)

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
