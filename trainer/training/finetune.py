"""From a recipe to a checkpoint, telling events as it goes."""

import gc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from trainer.errors import UserError
from trainer.models.ctc_model import open_base
from trainer.models.model_config import ModelConfig
from trainer.models.model_files import ModelFiles
from trainer.models.resolve import find_model
from trainer.models.vocabulary import UnusableVocabularyError, Vocabulary, vocabulary_for
from trainer.settings import Settings
from trainer.speech.audio import to_wav
from trainer.speech.dataset import SPLITS, Preparation, SpeechDataset
from trainer.speech.locales import Locale, locale_of
from trainer.speech.mixing import Selection, open_and_split
from trainer.training.averaging import Averaging
from trainer.training.checkpoints import drop_after, recover_model
from trainer.training.context import Context, PhaseProgress, Tell, TrainingInputs
from trainer.training.data import SPEEDS
from trainer.training.device import choose_device, machine_of
from trainer.training.recipe import Recipe, check_base
from trainer.training.session import Outcome, Session, shown
from trainer.training.state import Origin, Saved, read

MISSING_SHOWN = 6  # letters that a base lacks, in a sentence


def finetune(recipe: Recipe, settings: Settings, context: Context, resume: bool = False) -> Outcome:
    """Train by the recipe until it is done or told to stop; the best model so far is kept either way.

    `resume` goes on from the newest whole checkpoint or, where none was ever written, begins again.
    Raises UserError for what a person can mend, StopRequested when stopped before there was anything to keep.
    """
    transformers.set_seed(recipe.seed)  # before the new head draws its weights
    places, tell, ranks = context.places, context.tell, context.ranks
    with context.stop.anywhere():
        tell("phase", phase="downloading")
        saved = read(places.checkpoints) if resume else None
        inputs = _inputs(recipe, settings, context, saved)
    if ranks.first:
        _save_shown_clips(inputs.dataset, places.clips)
    first = _session(inputs, context, saved)
    if resume and ranks.first:
        recover_model(places.model)
        drop_after(places.checkpoints, first.steps if saved else -1)
        first.adopt_model()
        tell("resumed", step=first.steps, checked=first.progress.checked)
    return first.run() if ranks.many else _with_half_the_batch_if_need_be(first)


def _session(inputs: TrainingInputs, context: Context, saved: Saved | None) -> Session:
    halved = saved is not None and saved.progress.halved
    return Session(replace(inputs, recipe=inputs.recipe.halved()) if halved else inputs, context, saved)


def _with_half_the_batch_if_need_be(first: Session) -> Outcome:
    """Run it; where the GPU's memory is not enough, once more from there in smaller pieces.

    Not among several processes: the others would wait for the one that has no memory.
    """
    with suppress(torch.OutOfMemoryError):  # outside of it the failed step's memory is free
        return first.run()
    if first.progress.halved or first.state is None:
        raise _not_enough()
    first.tell("note", text="The GPU's memory was not enough. It goes on with half the batch, twice as often.")
    gc.collect()
    torch.cuda.empty_cache()
    saved = read(first.context.places.checkpoints)
    assert saved is not None  # `run` saved it
    second = _session(first.inputs, first.context, saved.with_half_the_batch())
    try:
        return second.run()
    except torch.OutOfMemoryError:
        raise _not_enough() from None


def _not_enough() -> UserError:
    return UserError(
        "The GPU's memory was not enough, not even for half the batch.", "Try a smaller batch, or a smaller base model."
    )


def _inputs(recipe: Recipe, settings: Settings, context: Context, saved: Saved | None) -> TrainingInputs:
    """Base and clips, fetched and opened. Raises UserError where they are not those of what was saved."""
    locale = locale_of(recipe.locale)
    base = find_model(recipe.base_ref, settings, locale.language)
    check_base(recipe, base.config)
    dataset, vocabulary, keep_head, by_computer = _prepare(recipe, settings, context, base)
    device = choose_device(recipe.precision)
    context.tell("machine", **machine_of(device))
    origin = Origin.of(recipe, dataset, device)
    if saved:
        for sentence in saved.origin.differences(origin):
            context.tell("note", text=sentence)
    checkpoint = open_base(base, vocabulary, _overrides(recipe, base.config, dataset), keep_head, device.attention)
    averaging = Averaging(checkpoint.model, recipe.keep_share if keep_head and by_computer else 0.0)
    return TrainingInputs(recipe, locale, dataset, checkpoint, averaging, device, origin, settings.max_load_bytes)


def _prepare(
    recipe: Recipe, settings: Settings, context: Context, base: ModelFiles
) -> tuple[SpeechDataset, Vocabulary, bool, bool]:
    """The examples, the labels they are written in, whether the own head is kept, and whether a computer speaks."""
    tell, locale = context.tell, locale_of(recipe.locale)
    selection = Selection(recipe.clips, recipe.clip_order, recipe.seed)
    source, splitting = open_and_split(recipe.data, recipe.also, locale, settings, selection)
    texts = [clip.text for clip in splitting.train]
    own = _own_vocabulary(base, tell)
    taught = own.taught(texts, locale) if own else None
    if taught is not own and not base.config.labels:
        taught = None  # without a head there is nothing to add labels to
    vocabulary = taught or vocabulary_for(texts, locale)
    if own is not None:
        tell("note", text=_of_the_letters(own, taught, texts, locale))
    preparation = Preparation(
        locale=locale,
        case=vocabulary.case,
        settings=settings,
        frames_of=base.config.frames,
        on_progress=PhaseProgress(tell, "preparing"),
        check=context.stop.check,
    )
    whole = preparation(source, splitting)
    validation, test = (_limit(examples, recipe.eval_clips, recipe.seed) for examples in (whole.validation, whole.test))
    dataset = replace(whole, validation=validation, test=test)
    counts = {f"{split}_clips": len(dataset.of(split)) for split in SPLITS}
    seconds = {f"{split}_seconds": round(sum(clip.seconds for clip in dataset.of(split)), 1) for split in SPLITS}
    kind = "own" if source.kind == "folder" else source.kind
    tell(
        "data",
        kind=kind,
        source=source.title,
        note=source.note,
        split_by=splitting.split_by,
        own_test=splitting.own_test,
        **({"revision": source.revision} if source.revision else {}),
        **counts,
        **seconds,
        left_out=dict(dataset.left_out),
    )
    for note in dataset.notes:
        tell("note", text=note)
    return dataset, vocabulary, taught is not None, source.by_computer


def _own_vocabulary(base: ModelFiles, tell: Tell) -> Vocabulary | None:
    """The letters that a base can write already; None where it has none that make sense."""
    try:
        own, labels = base.vocabulary(), base.config.labels
        return own.for_head(labels) if own and labels else own
    except UnusableVocabularyError as error:
        tell("note", text=f"{error.what} So it learns new letters.")
        return None


def _of_the_letters(own: Vocabulary, taught: Vocabulary | None, texts: list[str], locale: Locale) -> str:
    """What becomes of the letters that a base can write already."""
    if taught is own:
        return f"The model you start from can write {locale.english} already: it keeps its letters and learns on."
    lacking = own.missing(texts, locale)
    shown = ", ".join(f"“{letter}”" for letter in lacking[:MISSING_SHOWN])
    more = f" and {len(lacking) - MISSING_SHOWN} more" if len(lacking) > MISSING_SHOWN else ""
    kept = "it learns them besides its own letters" if taught else "it keeps its ear and learns its letters anew"
    return f"The model you start from cannot write {shown}{more}: {kept}."


def _limit(examples: list[Any], most: int, seed: int) -> list[Any]:
    if len(examples) <= most:
        return examples
    kept = np.random.default_rng(seed).choice(len(examples), most, replace=False)
    return [examples[index] for index in sorted(kept)]


def _overrides(recipe: Recipe, config: ModelConfig, dataset: SpeechDataset) -> dict[str, Any]:
    """Config values for training. SpecAugment's spans must be shorter than the shortest clip, or it raises."""
    shortest = min(config.frames(len(example.samples)) for example in dataset.train)
    if recipe.augment:
        shortest = int(shortest / SPEEDS[1]) - 1  # spoken faster
    row, values = config.architecture, dict[str, Any]()
    if row.masks_time:
        span = min(config.complete["mask_time_length"], shortest - 1)
        values |= {"mask_time_length": max(1, span), "mask_time_min_masks": 0}
        if span < 1:
            values["mask_time_prob"] = 0.0
        elif recipe.mask_time_prob is not None:
            values["mask_time_prob"] = recipe.mask_time_prob
        if recipe.mask_time_prob is not None or not row.masks_features:
            values["mask_feature_prob"] = 0.0
    if recipe.dropout is not None:
        values |= row.with_dropout(recipe.dropout)
    return values


def _save_shown_clips(dataset: SpeechDataset, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(shown(dataset.validation)):
        (folder / f"{number}.wav").write_bytes(to_wav(example.waveform()))
