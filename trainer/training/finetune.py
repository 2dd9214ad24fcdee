"""From a recipe to a checkpoint, telling events as it goes."""

from pathlib import Path
from typing import Any

import numpy as np
import transformers

from trainer.models.architectures import ARCHITECTURES, output_frames, read_config
from trainer.models.bases import folder_of
from trainer.models.loading import open_base
from trainer.models.vocabulary import Vocabulary, read_vocabulary, vocabulary_for
from trainer.settings import Settings
from trainer.speech.audio import to_wav
from trainer.speech.dataset import Preparation, SpeechDataset, choose, split_clips
from trainer.speech.locales import Locale, locale_of
from trainer.speech.sources import Source, open_source
from trainer.training.augmenting import SPEEDS
from trainer.training.device import choose_device
from trainer.training.machine import machine_of
from trainer.training.ranks import Ranks
from trainer.training.recipe import Recipe
from trainer.training.session import Outcome, Places, Progress, Session, Tell, shown
from trainer.training.stopping import StopSignal

MISSING_SHOWN = 6  # letters that a base lacks, in a sentence


def finetune(recipe: Recipe, settings: Settings, places: Places, tell: Tell, stop: StopSignal) -> Outcome:
    """Train by the recipe until it is done or `stop` says so; the best model so far is kept either way.

    Raises UserError for what a person can mend, StopRequested when stopped before there was anything to keep.
    """
    locale = locale_of(recipe.locale)
    transformers.set_seed(recipe.seed)  # before the new head draws its weights
    with stop.anywhere():
        tell("phase", phase="downloading")
        base = folder_of(recipe.base)
        source = open_source(recipe.data, locale, settings)
        dataset, vocabulary, keep_head = _prepare(recipe, settings, locale, base, source, tell, stop)
        device = choose_device(recipe.precision)
        tell("machine", **machine_of(device))
        overrides = _overrides(recipe, base, dataset)
        checkpoint = open_base(base, vocabulary, overrides, keep_head, device.attention)
    if Ranks.from_env().first:
        _save_shown_clips(dataset, places.clips)
    session = Session(recipe, device, places, tell, stop, checkpoint, dataset, locale)
    return session.run()


def _prepare(
    recipe: Recipe, settings: Settings, locale: Locale, base: Path, source: Source, tell: Tell, stop: StopSignal
) -> tuple[SpeechDataset, Vocabulary, bool]:
    """The examples, the labels they are written in, and whether the base's own head is kept."""
    clips = choose(source.clips, recipe.clips, recipe.clip_order, recipe.seed)
    splitting = split_clips(clips, locale, recipe.seed)
    texts = [clip.text for clip in splitting.train]
    own = read_vocabulary(base)
    keep_head = own is not None and own.covers(texts, locale)
    vocabulary = own if own is not None and keep_head else vocabulary_for(texts, locale)
    if own is not None:
        tell("note", text=_of_the_letters(own, keep_head, texts, locale))
    config = read_config(base)
    preparation = Preparation(
        locale=locale,
        case=vocabulary.case,
        settings=settings,
        frames_of=lambda samples: output_frames(config, samples),
        on_progress=Progress(tell, "preparing"),
        check=stop.check,
    )
    whole = preparation(source, splitting)
    test = _limit(whole.test, recipe.test_clips, recipe.seed)
    dataset = SpeechDataset(whole.train, test, whole.left_out, whole.notes)
    tell(
        "data",
        source=source.title,
        note=source.note,
        train_clips=len(dataset.train),
        test_clips=len(test),
        train_seconds=round(sum(example.seconds for example in dataset.train), 1),
        test_seconds=round(sum(example.seconds for example in test), 1),
        left_out=dict(dataset.left_out),
    )
    for note in dataset.notes:
        tell("note", text=note)
    return dataset, vocabulary, keep_head


def _of_the_letters(own: Vocabulary, kept: bool, texts: list[str], locale: Locale) -> str:
    """What becomes of the letters that a base can write already."""
    if kept:
        return f"The model you start from can write {locale.english} already: it keeps its letters and learns on."
    lacking = own.missing(texts, locale)
    shown = ", ".join(f"“{letter}”" for letter in lacking[:MISSING_SHOWN])
    more = f" and {len(lacking) - MISSING_SHOWN} more" if len(lacking) > MISSING_SHOWN else ""
    return f"The model you start from cannot write {shown}{more}: it keeps its ear and learns its letters anew."


def _limit(examples: list[Any], most: int, seed: int) -> list[Any]:
    if len(examples) <= most:
        return examples
    kept = np.random.default_rng(seed).choice(len(examples), most, replace=False)
    return [examples[index] for index in sorted(kept)]


def _overrides(recipe: Recipe, base: Path, dataset: SpeechDataset) -> dict[str, Any]:
    """Config values for training. SpecAugment's spans must be shorter than the shortest clip, or it raises."""
    config = read_config(base)
    shortest = min(output_frames(config, len(example.samples)) for example in dataset.train)
    if recipe.augment:
        shortest = int(shortest / SPEEDS[1]) - 1  # spoken faster
    span = min(config.get("mask_time_length", 10), shortest - 1)
    row, values = ARCHITECTURES[config["model_type"]], dict[str, Any]()
    if row.masks_time:
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
    for number, example in enumerate(shown(dataset.test)):
        (folder / f"{number}.wav").write_bytes(to_wav(example.waveform()))
