"""All that decides what a fine-tune does: one frozen dataclass that checks itself when it is made."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from trainer.errors import UserError
from trainer.speech.locales import locale_of

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["linear", "cosine", "constant"]
ClipOrder = Literal["seeded", "source"]

# name: (lowest, highest, unit). Beyond these a value is a slip of the keyboard, not a choice.
_RANGES: dict[str, tuple[float, float, str]] = {
    "max_steps": (1, 1_000_000, "steps"),
    "learning_rate": (1e-7, 0.1, ""),
    "head_learning_rate": (1e-7, 0.1, ""),
    "warmup_steps": (0, 100_000, "steps"),
    "batch_seconds": (1, 3600, "seconds of audio"),
    "batch_clips": (1, 512, "clips"),
    "gradient_accumulation": (1, 256, "batches"),
    "eval_steps": (1, 1_000_000, "steps"),
    "clips": (4, 1_000_000, "clips"),
    "test_clips": (1, 100_000, "clips"),
    "mask_time_prob": (0, 0.8, ""),
    "dropout": (0, 0.5, ""),
    "adam_beta2": (0.5, 0.9999, ""),
    "seed": (0, 2**32 - 1, ""),
}
_OPTIONAL = ("batch_seconds", "batch_clips", "clips", "head_learning_rate", "mask_time_prob", "dropout")
_WHOLE = ("seed", *(name for name, (_, _, unit) in _RANGES.items() if unit in ("steps", "clips", "batches")))


@dataclass(frozen=True)
class Recipe:
    """A fine-tune, whole: two runs with equal recipes on one machine give equal models.

    A batch is bounded by seconds of audio (`batch_seconds`) or by a number of clips (`batch_clips`, as the
    Transformers guide does); exactly one of the two is set. Raises UserError naming the field that is off.
    """

    locale: str = "en-US"
    data: str = "auto"  # auto | minds14 | practice | the path of a folder with a table of one's own
    base: str = "starter"  # starter | a Hub id | the path of a checkpoint folder
    preset: str = "quick"  # only the name it came from; the fields below are what counts
    max_steps: int = 300
    learning_rate: float = 1e-3
    head_learning_rate: float | None = None  # the new CTC head alone; None: as the rest
    warmup_steps: int = 30
    schedule: Schedule = "linear"
    batch_seconds: float | None = 40.0
    batch_clips: int | None = None
    gradient_accumulation: int = 1
    gradient_checkpointing: bool = False
    freeze_feature_encoder: bool = True
    augment: bool = False  # speed, tone and noise, drawn anew in every epoch
    mask_time_prob: float | None = 0.05  # SpecAugment: share of frames hidden in training; None: the base's own
    dropout: float | None = 0.0  # None: the base's own; on a CPU it costs some 20 % of a step of a small model
    adam_beta2: float = 0.98  # as fairseq fine-tunes; AdamW's default is 0.999
    precision: Precision = "auto"
    eval_steps: int = 50
    logging_steps: int = 1
    clips: int | None = None  # of the source, train and test together; None: all
    clip_order: ClipOrder = "seeded"  # which ones `clips` takes: drawn by the seed, or the first
    test_clips: int = 100  # checked while training; `evaluate` always takes all
    seed: int = 42

    def __post_init__(self) -> None:
        locale_of(self.locale)
        if (self.batch_seconds is None) == (self.batch_clips is None):
            raise UserError(
                "A batch needs one size: seconds of audio or a number of clips.",
                "Set exactly one of the two.",
            )
        for name, allowed in (("precision", Precision), ("schedule", Schedule), ("clip_order", ClipOrder)):
            if getattr(self, name) not in get_args(allowed):
                raise UserError(
                    f"“{getattr(self, name)}” is not a {name.replace('_', ' ')} I know.",
                    f"Choose one of: {', '.join(get_args(allowed))}.",
                )
        for name, (low, high, unit) in _RANGES.items():
            _check_range(name, getattr(self, name), low, high, unit)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """The inverse of `to_dict`; unknown names are an error, missing ones take their defaults."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UserError(f"This recipe has a part I do not know: {unknown[0]}.", "Was it made by a newer Voicetune?")
        return cls(**values)

    def change(self, **values: Any) -> "Recipe":
        """A copy with these fields changed, checked again."""
        return dataclasses.replace(self, **values)

    def halved(self) -> "Recipe":
        """Batches of half the size and twice as many a step, so that a step hears as much as before."""
        each = self.gradient_accumulation * 2
        if self.batch_clips is not None:
            return self.change(batch_clips=max(1, self.batch_clips // 2), gradient_accumulation=each)
        assert self.batch_seconds is not None  # checked when it was made
        return self.change(batch_seconds=max(1.0, self.batch_seconds / 2), gradient_accumulation=each)


def _check_range(name: str, value: Any, low: float, high: float, unit: str) -> None:
    if value is None and name in _OPTIONAL:
        return
    words = name.replace("_", " ")
    # `not (low <= value)` rather than `value < low`: a NaN must not pass.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UserError(
            f"The {words} cannot be {value}.",
            f"Choose a number from {low:g} to {high:g}{' ' + unit if unit else ''}.",
        )
    if name in _WHOLE and int(value) != value:
        raise UserError(f"The {words} must be a whole number, not {value}.", "Leave out the part after the point.")
