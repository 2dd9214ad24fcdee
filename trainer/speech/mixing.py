"""What a model learns from and is judged by: the clips of one source, or with another's to learn from besides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trainer.settings import Settings
from trainer.speech.clips import LeftOut, RawClip
from trainer.speech.dataset import Splitting, choose, shared_by_none, split_clips
from trainer.speech.locales import Locale
from trainer.speech.sources import Source, open_source
from trainer.speech.text import normalise

JUDGED = "It is judged by the recordings of your own alone; the other clips only help it learn."


@dataclass(frozen=True)
class Selection:
    """Which clips of a source are taken, see `dataset.choose`, and by which seed they are split."""

    count: int | None = None
    order: str = "seeded"
    seed: int = 42


def open_and_split(
    data: str, also: str, locale: Locale, settings: Settings, selection: Selection
) -> tuple[Source, Splitting]:
    """The clips of `data` by split; with `also` (auto, minds14 or practice) those that are learnt from besides.

    No text that is judged by is among those. `selection.count` fills up from them what `data` leaves of it. Raises
    UserError where there are none to be had.
    """
    source = open_source(data, locale, settings)
    own = choose(source.clips, selection.count, selection.order, selection.seed)
    splitting = split_clips(own, locale, selection.seed)
    if not also:
        return source, splitting
    other = open_source(also, locale, settings)
    free = None if selection.count is None else selection.count - len(own)
    help_ = choose(_to_learn_from(other.clips, splitting, locale), free, selection.order, selection.seed)
    mixed = replace(
        source,
        besides=other.title,
        note=" ".join(filter(None, [source.note, other.note])),
        left_out=LeftOut(source.left_out),
        revision=other.revision,
        by_computer=other.by_computer,
    )
    for reason, count in other.left_out.items():
        mixed.left_out[reason] += count
    train = [*splitting.train, *help_]
    split_by = shared_by_none((train, splitting.validation, splitting.test), locale)
    note = " ".join(filter(None, [splitting.note, JUDGED]))
    return mixed, replace(splitting, train=train, note=note, split_by=split_by)


def _to_learn_from(clips: Sequence[RawClip], splitting: Splitting, locale: Locale) -> list[RawClip]:
    """Those that their source marks to learn from, or not at all, with texts that nothing is judged by."""
    judged = {normalise(clip.text, locale) for clip in (*splitting.validation, *splitting.test)}
    return [clip for clip in clips if clip.split in ("", "train") and normalise(clip.text, locale) not in judged]
