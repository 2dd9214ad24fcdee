"""A person's own clips: what they said, as 16 kHz mono FLAC, beside a table of the words.

A folder of them is a folder of one's own as `speech.corpora` reads it, and as a Hugging Face AudioFolder is laid out:
metadata.csv with the columns file_name, text, split, language and seconds.

Invariant: a sentence (as it is heard: see `speech.text.normalise`) is in one split alone, however often it was said and
whatever is added or taken away.
"""

import csv
import io
import os
import re
import secrets
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import soundfile
from filelock import FileLock

from trainer.errors import UserError
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, AudioLimits, Sound, is_silent, load_audio, to_16_bit, to_wav
from trainer.speech.clips import Split
from trainer.speech.locales import Locale, locale_of
from trainer.speech.text import normalise, to_units

TABLE = "metadata.csv"
COLUMNS = ("file_name", "text", "split", "language", "seconds")
MOST_TEXT = 500  # characters; 30 s of quick speech have some 600
SHORTEST_SECONDS = 0.3
MOST_UNITS_A_SECOND = 40  # letters, in Korean jamo; quick speech has 20. Beyond that a part of the sentence is missing
TEST_EVERY, VALIDATION_EVERY = 5, 7  # sentences: of twenty, four are kept for the test and three to choose the model by
FEWEST_ALONE = 10  # sentences to learn from alone: seven of them, with two to test by and one to choose by
FEWEST_MIXED = 5  # beside other clips; the first with one to test by and one to choose by
# Rules of thumb: enough to hear what differs, few enough for five minutes. Nobody has measured them here.
TARGET_SENTENCES, TARGET_SECONDS = 20, 120.0
_OWNER = re.compile(r"local|[0-9a-f]{64}")
_ORDER: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class OwnClip:
    """One row of the table. `name` is its file's, in the folder."""

    name: str
    text: str
    split: Split
    seconds: float


@dataclass(frozen=True)
class OwnClips:
    """One person's clips of one language. Any number of threads and processes may use them at once."""

    folder: Path
    locale: Locale
    most: int  # clips
    most_seconds: float  # of one
    on_space: bool = False  # where their folder is out of the person's reach

    def clips(self) -> list[OwnClip]:
        """All of them, the oldest first. Raises UserError where the table is damaged."""
        try:
            text = (self.folder / TABLE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(self.on_space) from error
        try:
            rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
            return [_clip_of(row) for row in rows]
        except (csv.Error, KeyError, TypeError, ValueError) as error:
            raise _damaged(self.on_space) from error

    def add(self, sound: bytes | Path, text: str, instead: str | None = None) -> OwnClip:
        """Keep a recording with its words; `instead`: the name of the clip that it takes the place of.

        Raises UserError for what cannot be learnt from, and where there are as many as there may be.
        """
        text = self.cleaned(text)
        heard = self._heard(sound, text)
        with self._changing():
            clips = [clip for clip in self.clips() if clip.name != instead]
            if len(clips) >= self.most:
                raise UserError(
                    f"You keep {self.most} clips in this language, the most you may.",
                    "Delete one that you no longer need.",
                )
            name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}.flac"
            split = self._split_of(text, clips)
            clip = OwnClip(name, text, split, round(heard.seconds, 2))
            draft = self.folder / f"{name}.part"
            draft.write_bytes(_flac(heard))
            draft.replace(self.folder / name)
            self._write([*clips, clip])
        return clip

    def holding(self, sound: bytes | Path) -> str | None:
        """The name of the clip that is this very recording; None where there is none. Raises UserError for no sound."""
        written = _flac(load_audio(sound, self._limits))
        files = [self.folder / clip.name for clip in self.clips()]
        same = (file.name for file in files if file.is_file() and file.stat().st_size == len(written))
        return next((name for name in same if (self.folder / name).read_bytes() == written), None)

    def edit(self, name: str, text: str) -> OwnClip:
        """Give a clip other words. Raises UserError where it is gone, or the words are none."""
        text = self.cleaned(text)
        with self._changing():
            clips = self.clips()
            before = _named(name, clips)
            others = [clip for clip in clips if clip.name != name]
            same = self._known_split(text, others)
            alone = self._known_split(before.text, others) is None
            # Its own split, unless that is where other clips of its old sentence are and this one is a new sentence.
            split = same or (before.split if alone else self._split_of(text, others))
            after = replace(before, text=text, split=split)
            self._write([after if clip.name == name else clip for clip in clips])
        return after

    def delete(self, name: str) -> None:
        """Remove a clip and its sound. Raises UserError where it is gone."""
        with self._changing():
            clips = self.clips()
            gone = _named(name, clips)
            self._write([clip for clip in clips if clip != gone])

    def sound(self, name: str) -> bytes:
        """A clip as WAV, to be played. Raises UserError where it is gone."""
        return to_wav(load_audio(self.folder / _named(name, self.clips()).name, self._limits).samples)

    def cleaned(self, text: str) -> str:
        """A text as it is kept: one line, composed, without what cannot be seen. Raises UserError for none, and for
        one that is too long."""
        text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
        text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
        if not normalise(text, self.locale) or "\ufffd" in text:
            raise UserError("There are no words to learn in that text.", "Write what is said in the recording.")
        if len(text) > MOST_TEXT:
            raise UserError(f"That text is longer than {MOST_TEXT} characters.", "Say it in several clips.")
        return text

    def link_to(self, folder: Path) -> None:
        """Put the clips as they are now into a new folder; they take no room until they are gone from here."""
        folder.mkdir(parents=True)
        with self._changing():
            clips = [clip for clip in self.clips() if (self.folder / clip.name).is_file()]
            for clip in clips:
                _link(self.folder / clip.name, folder / clip.name)
            (folder / TABLE).write_text(_table(clips, self.locale), encoding="utf-8")

    def zip_to(self, folder: Path) -> Path:
        """All of them as a zip, which unpacks to a folder of one's own. Raises UserError where there are none."""
        name = f"voicetune-clips-{self.locale.code}"
        clips = [clip for clip in self.clips() if (self.folder / clip.name).is_file()]
        if not clips:
            raise UserError("There are no clips to download yet.", "Record one first.")
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{name}.{secrets.token_hex(4)}.part"
        with zipfile.ZipFile(draft, "w") as archive:
            archive.writestr(f"{name}/{TABLE}", _table(clips, self.locale))
            for clip in clips:
                archive.write(self.folder / clip.name, f"{name}/{clip.name}")
        return draft.replace(folder / f"{name}.zip")

    @property
    def _limits(self) -> AudioLimits:
        return AudioLimits(seconds=self.most_seconds)

    def _changing(self) -> FileLock:
        """Held by whoever changes something."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(self.folder / ".lock")

    def _write(self, clips: Sequence[OwnClip]) -> None:
        """The table, whole or not at all; then sounds that are in no row go: deleted ones, and those of a crash."""
        draft = self.folder / f"{TABLE}.part"
        draft.write_text(_table(clips, self.locale), encoding="utf-8")
        draft.replace(self.folder / TABLE)
        kept = {clip.name for clip in clips}
        for file in (*self.folder.glob("*.flac"), *self.folder.glob("*.flac.part")):
            if file.name not in kept:
                file.unlink(missing_ok=True)

    def _heard(self, sound: bytes | Path, text: str) -> Sound:
        heard = load_audio(sound, self._limits)
        if is_silent(heard.samples):
            raise UserError("I could not hear anything in that.", "Is the right microphone chosen? Then record again.")
        units = len(to_units(normalise(text, self.locale), self.locale))
        if heard.seconds < max(SHORTEST_SECONDS, units / MOST_UNITS_A_SECOND):
            raise UserError(
                f"That is {heard.seconds:.1f} s of sound, too short for these words.",
                "Press Stop once you have said all of it.",
            )
        return heard

    def _known_split(self, text: str, clips: Sequence[OwnClip]) -> Split | None:
        said = normalise(text, self.locale)
        return next((clip.split for clip in clips if normalise(clip.text, self.locale) == said), None)

    def _split_of(self, text: str, clips: Sequence[OwnClip]) -> Split:
        """Where a sentence belongs: where it is already, else where the most are missing. Of a person's first five
        the third is for the test and the fifth to choose the model by."""
        if known := self._known_split(text, clips):
            return known
        sentences = splits_of(clips, self.locale)
        count = sentences.total() + 3
        if sentences["test"] < count // TEST_EVERY:
            return "test"
        return "validation" if sentences["validation"] < count // VALIDATION_EVERY else "train"


def own_clips(settings: Settings, owner: str, locale: str) -> OwnClips:
    """The clips of this owner (see `runs.run`) in a language; none are there at first. Raises UserError."""
    row = locale_of(locale)
    if not _OWNER.fullmatch(owner):
        raise UserError("I cannot tell whose clips these would be.", "Load the page anew, then try again.")
    folder = settings.clips_dir / owner / row.code
    return OwnClips(folder, row, settings.limits.clips_of_visitor, settings.max_clip_seconds, settings.on_space)


def splits_of(clips: Sequence[OwnClip], locale: Locale) -> Counter[Split]:
    """How many different sentences are in each split."""
    return Counter({normalise(clip.text, locale): clip.split for clip in clips}.values())


def still_wanted(clips: Sequence[OwnClip], locale: Locale) -> int:
    """About how many more sentences would bring a person to both targets; 0 where they are there."""
    sentences, seconds = splits_of(clips, locale).total(), sum(clip.seconds for clip in clips)
    by_length = (TARGET_SECONDS - seconds) / (seconds / len(clips)) if clips and seconds else 0.0
    return max(0, TARGET_SENTENCES - sentences, round(by_length))


def check_enough(clips: Sequence[OwnClip], locale: Locale, mixed: bool) -> None:
    """Raises UserError, with how many are missing, where there are too few to learn from."""
    has, needs = splits_of(clips, locale).total(), FEWEST_MIXED if mixed else FEWEST_ALONE
    if has < needs:
        more = f"{needs - has} more" if has else f"{needs} sentences"
        beside = "beside other clips" if mixed else "to learn from alone"
        said = f"{has} sentence{'' if has == 1 else 's'} of your own" if has else "no clips of your own yet"
        raise UserError(
            f"You have {said} in {locale.english}, and it takes {needs} {beside}.",
            f"Record {more} under “Your own voice”.",
        )


def _flac(sound: Sound) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, to_16_bit(sound.samples), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _table(clips: Sequence[OwnClip], locale: Locale) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((clip.name, clip.text, clip.split, locale.code, f"{clip.seconds:.2f}") for clip in clips)
    return file.getvalue()


def _clip_of(row: dict[str, str]) -> OwnClip:
    """Raises KeyError, TypeError or ValueError for what is no row of ours."""
    name, split = row["file_name"], row["split"]
    if Path(name).name != name or not name.endswith(".flac") or split not in _ORDER:
        raise ValueError(name)
    return OwnClip(name, row["text"], split, float(row["seconds"]))


def _named(name: str, clips: Sequence[OwnClip]) -> OwnClip:
    found = next((clip for clip in clips if clip.name == name), None)
    if found is None:
        raise UserError("That clip is not there any more.", "Choose another one.")
    return found


def _damaged(on_space: bool) -> UserError:
    """On a Space only who keeps it reaches the file; clips of each language have a table of their own."""
    mend = "Ask whoever runs this Space to mend it; clips in another language can be recorded meanwhile."
    return UserError(
        "The list of your clips in this language is damaged, so I leave it as it is.",
        mend if on_space else f"Mend {TABLE} in their folder, or delete both.",
    )


def _link(file: Path, copy: Path) -> None:
    try:
        os.link(file, copy)
    except OSError:  # a file system without links
        copy.write_bytes(file.read_bytes())
