"""What the Trainer calls as a session goes on: its steps are told, and what is needed to go on from them is kept."""

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from trainer.errors import HopelessError
from trainer.training.ctc_trainer import CTCTrainer
from trainer.training.state import TrainingState, restore_rest

if TYPE_CHECKING:
    from trainer.training.session import Session


class EventCallback(TrainerCallback):
    """The Trainer's callback for one session."""

    def __init__(self, session: "Session", trainer: CTCTrainer) -> None:
        self._session, self._trainer = session, trainer
        self._since, self._heard = time.monotonic(), 0.0

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Before the first step: put back what is resumed from, now that there is an optimizer."""
        session, trainer = self._session, self._trainer
        if session.saved:
            saved = restore_rest(session.saved, trainer)
            state.global_step = saved.step
            trainer.loss_sum, trainer.logged = saved.loss_sum.to(trainer.loss_sum.device), saved.logged
            trainer.audio_seconds = self._heard = saved.audio_seconds
        trainer.open_body(state.global_step)
        session.state = self._state(state.global_step)
        session.check_what_is_due()
        session.pace.saved(0.0)

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Between two steps, when all that belongs to the last one has been told."""
        self._session.context.stop.check()
        self._trainer.open_body(state.global_step)
        if self._session.pace.due():
            self._session.save(self._trainer)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After each step of the optimizer."""
        self._session.state = self._state(state.global_step)

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The Trainer's own log line; the last one, a summary, has no loss."""
        logs: dict[str, Any] = kwargs["logs"]
        if "loss" not in logs:
            return
        now, heard = time.monotonic(), self._trainer.audio_seconds
        speed = (heard - self._heard) / max(1e-6, now - self._since)
        self._since, self._heard = now, heard
        loss = self._trainer.mean_loss(state.global_step)
        self._session.tell(
            "log",
            step=state.global_step,
            loss=loss,
            learning_rate=logs.get("learning_rate"),
            gradient_norm=logs.get("grad_norm"),
            audio_seconds_per_second=round(speed, 1),
        )
        self._session.loss = loss
        before = self._session.state
        if before is not None:
            self._session.state = replace(before, loss_sum=self._trainer.loss_sum, logged=self._trainer.logged)
        if not math.isfinite(loss):
            raise HopelessError(
                "The training went astray: the loss is no longer a number.",
                "Try a lower learning rate, or fp32 as the precision, under Advanced.",
            )

    def _state(self, step: int) -> TrainingState:
        trainer = self._trainer
        model = self._session.inputs.checkpoint.model
        return TrainingState.of(model, step, trainer.loss_sum, trainer.logged, trainer.audio_seconds)
