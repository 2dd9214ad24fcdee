"""Sentences to read aloud: those that the practice voices are taught with, never those that they are judged by."""

import random
from collections.abc import Collection
from functools import lru_cache

from trainer.errors import UserError
from trainer.speech.clips import LeftOut
from trainer.speech.locales import Locale, locale_of
from trainer.speech.sources import practice_clips
from trainer.speech.text import normalise


@lru_cache(maxsize=16)
def sentences(code: str) -> tuple[str, ...]:
    """All of a locale, in an order that mixes what they are about; () where it has none. Raises UserError for a code
    that is none."""
    locale = locale_of(code)
    try:
        clips = practice_clips(locale, LeftOut())
    except UserError:
        return ()
    held_out = {normalise(clip.text, locale) for clip in clips if clip.split != "train"}
    texts = dict.fromkeys(clip.text for clip in clips if normalise(clip.text, locale) not in held_out)
    order = list(texts)
    random.Random(code).shuffle(order)
    return tuple(order)


def next_sentence(locale: Locale, said: Collection[str], after: str = "") -> str:
    """The first after this one, around the end, that is not among those that were said; "" where all were."""
    known = {normalise(text, locale) for text in said}
    whole = sentences(locale.code)
    start = whole.index(after) + 1 if after in whole else 0
    return next((text for text in (*whole[start:], *whole[:start]) if normalise(text, locale) not in known), "")
