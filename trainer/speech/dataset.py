"""From a source to what a model learns from and is judged by: split, decoded, and with what cannot be used left out."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, AudioLimits, TooLongError, from_16_bit, is_silent, load_audio, to_16_bit
from trainer.speech.clips import LeftOut, RawClip, Split, SplitBy
from trainer.speech.locales import Locale
from trainer.speech.sources import Source
from trainer.speech.text import normalise, to_units

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_FEW: dict[Split, str] = {"train": "to train on", "validation": "to watch it by", "test": "to test on"}
TEST_SHARE = 0.2  # as in the Transformers guide
VALIDATION_SHARE = 0.1
FEWEST_TO_CHOOSE_BY = 20  # clips: with fewer, one clip more or less decides which model is the best
# With fewer different texts than this (digits, commands) the words themselves are few: holding texts out would test
# words that were never heard. Then speakers are held out, or, where they are not known, clips.
FEWEST_TEXTS = 40
FEWEST_SPEAKERS = 6  # with fewer, those held out would be missed in training


@dataclass(frozen=True)
class Example:
    """A clip ready to learn from. `samples` is mono 16-bit at 16 kHz (half the memory of float32)."""

    name: str
    samples: np.ndarray
    text: str  # the reference, normalised
    units: str  # one character a label: see `speech.text.to_units`

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.samples) / SAMPLE_RATE

    def waveform(self) -> np.ndarray:
        """float32 in [-1, 1]."""
        return from_16_bit(self.samples)


@dataclass(frozen=True)
class SpeechDataset:
    """Examples of one locale: to learn from, to watch and choose the model by, and to judge the chosen one by, once.

    `left_out` counts the clips that are none by reason in plain words; `notes` are sentences on how it was split.
    """

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    left_out: Counter[str]
    notes: list[str]

    def of(self, split: Split) -> list[Example]:
        """The examples of a split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def texts(self, split: Split) -> set[str]:
        """The different references of a split."""
        return {example.text for example in self.of(split)}


@dataclass(frozen=True)
class Splitting:
    """The clips of a source by split; `note` is a sentence where they were not held out by text alone."""

    train: list[RawClip]
    validation: list[RawClip]
    test: list[RawClip]
    note: str = ""
    split_by: SplitBy = "source"  # which promises least

    @property
    def own_test(self) -> bool:
        """Whether the test split is the source's own; else it was drawn here."""
        return all(clip.split == "test" for clip in self.test)

    def of(self, split: Split) -> list[RawClip]:
        """The clips of a split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def check_trainable(self) -> None:
        """Raises UserError where the source marks all of its clips to be tested on."""
        if not self.train and self.test:
            raise UserError(
                "All clips of this data are marked to be tested on, and none to be trained on.",
                "Mark some of them as train, or evaluate a model with them.",
            )


def choose(clips: Sequence[RawClip], count: int | None, order: str, seed: int) -> list[RawClip]:
    """At most `count` of the clips: the first ("source"), or drawn by the seed ("seeded")."""
    if count is None or count >= len(clips):
        return list(clips)
    if order == "source":
        return list(clips[:count])
    kept = set(random.Random(seed).sample(range(len(clips)), count))
    return [clip for number, clip in enumerate(clips) if number in kept]


def split_clips(clips: Sequence[RawClip], locale: Locale, seed: int) -> Splitting:
    """The source's own validation and test splits where it has them; what it lacks is held out of the rest.

    Held out are 20 % for testing, then `validation_size` of what is left: whole groups of clips, drawn by the seed, so
    that no text is on two sides and, where they are known and enough, no speaker either.
    """
    test = [clip for clip in clips if clip.split == "test"]
    validation = [clip for clip in clips if clip.split == "validation"]
    rest = [clip for clip in clips if clip.split not in ("test", "validation")]
    few = _repeats_few_texts(rest, locale)
    kinds: dict[Split, str] = {}
    if not test:
        size = round(TEST_SHARE * len(rest)), len(rest) // 2
        kinds["test"], rest, test = _hold_out(rest, _groupings(rest, locale, few), size, seed)
    if not validation:
        size = validation_size(len(rest))
        kinds["validation"], rest, validation = _hold_out(rest, _groupings(rest, locale, few), size, seed)
    notes = [_note(kinds, few), _of_shared_texts(rest, {"validation": validation, "test": test}, locale)]
    split_by = shared_by_none((rest, validation, test), locale)
    return Splitting(rest, validation, test, " ".join(filter(None, notes)), split_by)


def shared_by_none(splits: Sequence[Sequence[RawClip]], locale: Locale) -> SplitBy:
    """What no two of train, validation and test have in common: looked up, however they came about."""

    def apart(facts: list[set[str]]) -> bool:
        return sum(map(len, facts)) == len(set().union(*facts))

    by_text = apart([{normalise(clip.text, locale) for clip in clips} - {""} for clips in splits])  # "": left out later
    known = all(clip.speaker for clips in splits for clip in clips)
    by_speaker = known and apart([{clip.speaker or "" for clip in clips} for clips in splits])
    if by_text:
        return "text and speaker" if by_speaker else "text"
    if by_speaker:
        return "speaker"
    _, *held_out = splits
    return "source" if any(clip.split for clips in held_out for clip in clips) else "clip"


def _of_shared_texts(train: Sequence[RawClip], own: dict[Split, list[RawClip]], locale: Locale) -> str:
    """A sentence where a source's own splits have texts that are trained on too; "" where they do not."""
    texts = {normalise(clip.text, locale) for clip in train}
    shared = {
        split: sum(clip.split == split and normalise(clip.text, locale) in texts for clip in clips)
        for split, clips in own.items()
    }
    said = [f"{count} of the {len(own[split])} {_FEW[split]}" for split, count in shared.items() if count]
    if not said:
        return ""
    return (
        f"As these clips are marked, {' and '.join(said)} have texts that are trained on too: "
        "the error rates look better than they would with new texts."
    )


def validation_size(clips: int) -> tuple[int, int]:
    """How many of so many clips to hold out for validation, and how many at most: enough to choose a model by."""
    most = max(1, clips // 5)
    return min(max(round(VALIDATION_SHARE * clips), FEWEST_TO_CHOOSE_BY), most), most


def _repeats_few_texts(clips: Sequence[RawClip], locale: Locale) -> bool:
    texts = {normalise(clip.text, locale) for clip in clips}
    return len(texts) < FEWEST_TEXTS and len(texts) < len(clips)


def _groupings(clips: Sequence[RawClip], locale: Locale, few: bool) -> Iterator[tuple[str, list[str]]]:
    """Ways to hold clips out, the strictest first: its name in `_JUDGED` and each clip's group.

    `few`: the source repeats a few texts.
    """
    texts = [normalise(clip.text, locale) for clip in clips]
    speakers = [clip.speaker or "" for clip in clips]
    known = "" not in speakers
    if few:
        if known and len(set(speakers)) >= 3:
            yield "speaker", speakers
        yield "clip", [str(number) for number in range(len(clips))]
        return
    if known and len(set(linked := _linked(texts, speakers))) >= FEWEST_SPEAKERS:
        yield "speaker", linked
    yield "other text" if known else "text", texts


def _linked(texts: Sequence[str], speakers: Sequence[str]) -> list[str]:
    """Groups that share no text and no speaker: clips are in one where a chain of equal ones leads from one to the
    other."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while (parent := parents.setdefault(name, name)) != name:
            parents[name] = name = parents[parent]
        return name

    pairs = [(f"text {text}", f"speaker {speaker}") for text, speaker in zip(texts, speakers, strict=True)]
    for text, speaker in pairs:
        parents[root(text)] = root(speaker)
    return [root(text) for text, _ in pairs]


def _hold_out(
    clips: Sequence[RawClip], groupings: Iterable[tuple[str, list[str]]], size: tuple[int, int], seed: int
) -> tuple[str, list[RawClip], list[RawClip]]:
    """By which grouping, what is left, and what is held out: whole groups until there are `size[0]` clips, at most
    `size[1]`."""
    wanted, most = size
    for kind, keys in groupings:
        sizes = Counter(keys)
        order = sorted(sizes)
        random.Random(seed).shuffle(order)
        held, count = set[str](), 0
        for key in order[:-1]:  # the last group always stays for training
            if count < wanted and count + sizes[key] <= most:
                held.add(key)
                count += sizes[key]
        if held:
            pairs = list(zip(clips, keys, strict=True))
            return kind, [clip for clip, key in pairs if key not in held], [clip for clip, key in pairs if key in held]
    return "text", list(clips), []


# What a clip that is held out shares with those that are learnt from.
_JUDGED = {
    "text": "by texts that it does not learn from",
    "speaker": "by speakers that it does not learn from",
    "other text": "by other texts of the same speakers",
    "clip": "by the same texts in other recordings",
}


def _note(kinds: Mapping[Split, str], few: bool) -> str:
    """A sentence on how clips were held out for those splits that the source lacks; "" for the usual way."""
    if not set(kinds.values()) - {"text"}:
        return ""
    judged = {split: _JUDGED[kind] for split, kind in kinds.items()}
    if len(kinds) == 1:
        when = "at the end" if "test" in kinds else "while it learns"
        how = f"{when} it is judged {next(iter(judged.values()))}"
    elif len(set(kinds.values())) == 1:
        how = f"it is judged {judged['test']}"
    else:
        how = f"it is judged {judged['test']} at the end, and until then {judged['validation']}"
    return f"These clips repeat a few texts, so {how}." if few else f"{how[0].upper()}{how[1:]}."


def frames_needed(units: str) -> int:
    """The fewest CTC frames that can spell these labels: between two equal ones stands a blank."""
    return len(units) + sum(a == b for a, b in itertools.pairwise(units))


@dataclass(frozen=True)
class Preparation:
    """Turns raw clips into examples.

    `frames_of` gives the model's output frames for a number of samples. `on_progress` hears (done, total);
    `check` is called for every clip and may raise to stop.
    """

    locale: Locale
    case: str
    settings: Settings
    frames_of: Callable[[int], int]
    on_progress: Callable[[int, int], None] = lambda done, total: None
    check: Callable[[], None] = lambda: None

    def __call__(self, source: Source, splitting: Splitting, wanted: Sequence[Split] = SPLITS) -> SpeechDataset:
        """Decode the clips of these splits; the others stay empty. Raises UserError where nothing is left of one."""
        left_out = LeftOut(source.left_out)
        total = sum(len(splitting.of(split)) for split in wanted)
        examples: dict[Split, list[Example]] = {split: [] for split in SPLITS}
        done = 0
        for split in wanted:
            for clip in splitting.of(split):
                self.check()
                example = self._example(clip)
                if isinstance(example, str):
                    left_out.add(example, clip.where)
                else:
                    examples[split].append(example)
                done += 1
                self.on_progress(done, total)
        for split in wanted:
            if examples[split]:
                continue
            if split == "train":
                splitting.check_trainable()
            raise UserError(
                f"No clips are left {_FEW[split]}: {left_out.say() or 'there were none'}.",
                "Use more clips, or look at the recordings.",
            )
        such = f"For example, left out is: {left_out.say_examples()}." if left_out.examples else ""
        return SpeechDataset(**examples, left_out=left_out, notes=list(filter(None, [splitting.note, such])))

    def _example(self, clip: RawClip) -> "Example | str":
        """The example, or the reason in plain words why it cannot be one."""
        text = normalise(clip.text, self.locale, "upper" if self.case == "upper" else "lower")
        if not text:
            return "without a transcript"
        if clip.audio is None:
            return "without sound"
        try:
            # One second more than allowed, so that a clip that is too long is known from one that is broken.
            sound = load_audio(clip.audio, AudioLimits(seconds=self.settings.max_clip_seconds + 1))
        except TooLongError:
            return "too long"
        except UserError:
            return "unreadable"
        if sound.seconds > self.settings.max_clip_seconds:
            return "too long"
        if is_silent(sound.samples):
            return "silent"
        units = to_units(text, self.locale)
        if self.frames_of(len(sound.samples)) < frames_needed(units):
            return "too short for their text"
        return Example(clip.name, to_16_bit(sound.samples), text, units)
