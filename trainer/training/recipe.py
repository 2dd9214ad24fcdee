"""All that decides what a fine-tune does: one frozen dataclass that checks itself when it is made."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from trainer.errors import UserError
from trainer.formatting import number
from trainer.models.base_ref import BaseRef, read_base
from trainer.models.model_config import ModelConfig
from trainer.models.size import shape_of
from trainer.speech.locales import locale_of

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["linear", "cosine", "constant"]
ClipOrder = Literal["seeded", "source"]
NAMED_DATA = ("auto", "minds14", "practice")  # any other data is a folder's path
# Field: (lowest, highest, unit). Beyond these a value is a slip of the keyboard, not a choice.
NUMBERS: dict[str, tuple[float, float, str]] = {
    "max_steps": (1, 1_000_000, "steps"),
    "learning_rate": (1e-7, 0.1, ""),
    "head_learning_rate": (1e-7, 0.1, ""),
    "warmup_steps": (0, 100_000, "steps"),
    "head_steps": (0, 1_000_000, "steps"),
    "frozen_layers": (0, 96, "layers"),
    "copies": (0, 64, "copies"),
    "keep_share": (0, 0.9, ""),
    "batch_seconds": (1, 3600, "seconds of audio"),
    "batch_clips": (1, 512, "clips"),
    "gradient_accumulation": (1, 256, "batches"),
    "eval_steps": (1, 1_000_000, "steps"),
    "patience": (0, 1_000, "checks"),
    "logging_steps": (1, 1_000_000, "steps"),
    "clips": (4, 1_000_000, "clips"),
    "eval_clips": (1, 100_000, "clips"),
    "mask_time_prob": (0, 0.8, ""),
    "dropout": (0, 0.5, ""),
    "adam_beta2": (0.5, 0.9999, ""),
    "seed": (0, 2**32 - 1, ""),
}
_OPTIONAL = ("batch_seconds", "batch_clips", "clips", "head_learning_rate", "mask_time_prob", "dropout")
_RENAMED = {"test_clips": "eval_clips"}  # fields of older runs, by what they are called now
_WHOLE = (
    "seed",
    *(
        name
        for name, (_, _, unit) in NUMBERS.items()
        if unit in ("steps", "checks", "clips", "batches", "layers", "copies")
    ),
)


@dataclass(frozen=True)
class Recipe:
    """A fine-tune, whole: two runs with equal recipes on one machine give equal models.

    A batch is bounded by seconds of audio (`batch_seconds`) or by a number of clips (`batch_clips`, as the
    Transformers guide does); exactly one of the two is set. Raises UserError naming the field that is off.
    """

    locale: str = "en-US"
    data: str = "auto"  # auto | minds14 | practice | the path of a folder with a table of one's own
    also: str = ""  # auto | minds14 | practice: clips to learn from besides a folder of one's own, never to judge by
    base: str = "starter"  # a `BaseRef` as text: starter | a Hub id | the absolute path of a checkpoint folder
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
    frozen_layers: int = 0  # the lowest of the encoder, never trained: what they make of a clip is computed once
    # Of the model that is kept, what it was before: where it could write the language already and a computer taught it.
    keep_share: float = 0.0
    head_steps: int = 0  # so many first steps train the head alone; the warm-up of the rest follows
    augment: bool = False  # speed, tone and noise, drawn anew in every epoch
    copies: int = 4  # changed ones of a clip, where layers are frozen: taken in turns with the clip itself
    mask_time_prob: float | None = 0.05  # SpecAugment: share of frames hidden in training; None: the base's own
    dropout: float | None = 0.0  # None: the base's own; on a CPU it costs some 20 % of a step of a small model
    adam_beta2: float = 0.98  # as fairseq fine-tunes; AdamW's default is 0.999
    precision: Precision = "auto"
    eval_steps: int = 50
    patience: int = 0  # checks in a row that find nothing better, after which it ends early; 0: it never does
    logging_steps: int = 1
    clips: int | None = None  # of the source, all splits together; None: all
    clip_order: ClipOrder = "seeded"  # which ones `clips` takes: drawn by the seed, or the first
    eval_clips: int = 100  # of validation, at each check, and of test, at the end; `evaluate` always takes all
    seed: int = 42

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_kind(field.name, getattr(self, field.name), field.type)
        locale_of(self.locale)
        if (self.batch_seconds is None) == (self.batch_clips is None):
            raise UserError(
                "A batch needs one size: seconds of audio or a number of clips.",
                "Set exactly one of the two.",
            )
        if self.also and (self.also not in NAMED_DATA or self.data in NAMED_DATA):
            raise UserError(
                "Only a folder of your own can have other clips besides it.",
                f"Name one of {', '.join(NAMED_DATA)}, and as the data a folder.",
            )
        for name, allowed in (("precision", Precision), ("schedule", Schedule), ("clip_order", ClipOrder)):
            if getattr(self, name) not in get_args(allowed):
                raise UserError(
                    f"“{getattr(self, name)}” is not a {name.replace('_', ' ')} I know.",
                    f"Choose one of: {', '.join(get_args(allowed))}.",
                )
        for name in NUMBERS:
            _check_range(name, getattr(self, name))

    @property
    def base_ref(self) -> BaseRef:
        """The base. Raises UserError where the text is no base's."""
        return read_base(self.base)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """The inverse of `to_dict`; unknown names are an error, missing ones take their defaults."""
        values = {_RENAMED.get(name, name): value for name, value in values.items()}
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


# As the page and the command line call them, where that is not the field's name.
_WORDS = {
    "max_steps": "steps",
    "batch_seconds": "batch",
    "warmup_steps": "warm-up",
    "clips": "clips to use",
    "frozen_layers": "number of layers kept as they are",
}


def check_base(recipe: Recipe, config: ModelConfig) -> None:
    """Raises UserError where a base of this config cannot be trained by the recipe."""
    kept, layers = recipe.frozen_layers, shape_of(config).layers
    if kept and not (config.architecture.layers_apart and not config.complete.get("add_adapter")):
        raise UserError(
            f"A base of the kind {config.architecture.title} learns as a whole: none of its layers can be kept as they "
            "are.",
            "Set the layers kept as they are to 0, or choose a Wav2Vec2 or a Whisper.",
        )
    if kept > layers:
        raise UserError(
            f"This base has {layers} layer{'s' if layers > 1 else ''}, so {kept} cannot be kept as they are.",
            f"Choose a number from 0 to {layers}.",
        )


def keeps_states(recipe: Recipe, config: ModelConfig) -> bool:
    """Whether what is frozen is computed once a clip: layers that a recipe names, or convolutions on raw sound, where
    nothing changes the clips from epoch to epoch."""
    apart = config.architecture.front_apart and not config.complete.get("add_adapter")
    return recipe.frozen_layers > 0 or (apart and recipe.freeze_feature_encoder and not recipe.augment)


def said_range(name: str) -> str:
    """What a number of a recipe may be: "1 to 1,000,000 steps"."""
    low, high, unit = NUMBERS[name]
    return f"{number(low)} to {number(high)}{' ' + unit if unit else ''}"


def _check_kind(name: str, value: Any, kind: Any) -> None:
    """For fields that are texts or yes and no: a config.json may hold anything. Raises UserError."""
    if (kind is str and not isinstance(value, str)) or (kind is bool and not isinstance(value, bool)):
        said = "a text" if kind is str else "yes or no (true or false)"
        raise UserError(f"The {name.replace('_', ' ')} of this recipe is not {said}.", "Start a new training.")


def _check_range(name: str, value: Any) -> None:
    low, high, _ = NUMBERS[name]
    if value is None and name in _OPTIONAL:
        return
    words = _WORDS.get(name, name.replace("_", " "))
    # `not (low <= value)` rather than `value < low`: a NaN must not pass.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UserError(
            f"The {words} cannot be {_said(value)}.",
            f"Choose a number from {said_range(name)}.",
        )
    if name in _WHOLE and int(value) != value:
        raise UserError(
            f"The {words} must be a whole number, not {_said(value)}.", "Leave out the part after the point."
        )


def _said(value: Any) -> str:
    plain = isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) > 1e15
    return number(value) if plain else f"“{str(value)[:40]}”"


@dataclass(frozen=True)
class Preset:
    """A named recipe. `summary` says in a sentence for whom it is."""

    name: str
    title: str
    summary: str
    recipe: Recipe
    needs_hub: bool = False


# The lower four layers stay as they have heard people, and averaging is a compromise: what else was tried, and what
# came of it, is in tests/benchmarks/README.md.
_STARTER = Recipe(
    base="starter",
    max_steps=300,
    learning_rate=2e-4,
    head_learning_rate=1e-3,
    warmup_steps=20,
    schedule="cosine",
    batch_seconds=20.0,
    frozen_layers=4,
    copies=5,
    keep_share=0.65,
    augment=True,
    mask_time_prob=0.1,
    eval_steps=30,
    logging_steps=5,
)
# https://huggingface.co/docs/transformers/tasks/asr, its TrainingArguments to the letter; its fp16 needs a GPU,
# so "auto" falls back to what the machine can do.
_GUIDE = Recipe(
    preset="guide",
    base="facebook/wav2vec2-base",
    data="minds14",
    max_steps=2000,
    learning_rate=1e-5,
    warmup_steps=500,
    schedule="linear",
    batch_seconds=None,
    batch_clips=8,
    gradient_accumulation=2,
    gradient_checkpointing=True,
    freeze_feature_encoder=False,
    mask_time_prob=None,
    dropout=None,
    adam_beta2=0.999,
    eval_steps=1000,
    logging_steps=25,
    clips=100,
    clip_order="source",
)
_ROWS = (
    Preset("quick", "Quick look", "See a model get used to words and voices, in minutes.", _STARTER),
    Preset(
        "thorough",
        "Thorough",
        "The same model, given the time to get as good as it can.",
        _STARTER.change(
            preset="thorough",
            max_steps=1000,
            learning_rate=1e-4,
            warmup_steps=60,
            frozen_layers=2,
            copies=6,
            mask_time_prob=0.25,
            eval_steps=50,
            patience=6,
        ),
    ),
    Preset(
        "full",
        "A real model",
        "wav2vec2-base, 95 million parameters. Wants a GPU.",
        Recipe(
            preset="full",
            base="facebook/wav2vec2-base",
            max_steps=3000,
            learning_rate=1e-4,
            warmup_steps=300,
            schedule="cosine",
            batch_seconds=80.0,
            gradient_accumulation=1,
            eval_steps=200,
            patience=4,
            logging_steps=5,
        ),
        needs_hub=True,
    ),
    Preset(
        "guide",
        "The guide's recipe",
        "Just what the Transformers guide does, to compare. It learns very slowly.",
        _GUIDE,
        needs_hub=True,
    ),
)
PRESETS: dict[str, Preset] = {row.name: row for row in _ROWS}


def preset_of(name: str) -> Preset:
    """The preset with this name. Raises UserError naming the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UserError(f"There is no preset “{name[:40]}”.", f"Choose one of: {', '.join(PRESETS)}.") from None
