"""Where clips come from: MInDS-14 on the Hub, the practice set in assets/, or a folder of one's own.

Whatever the source, it gives the same thing: clips whose sound is still encoded, decoded later by `speech.audio`
alone and within its limits.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from trainer.errors import UserError
from trainer.hub.connectivity import reachable
from trainer.settings import PRACTICE, Settings
from trainer.speech.clips import LeftOut, RawClip, Split
from trainer.speech.corpora import read_folder
from trainer.speech.locales import Locale

MINDS14 = "PolyAI/minds14"
MINDS14_REVISION = "40ce77cb32a384e4d50a568e1ec39ac804019d33"
SourceKind = Literal["minds14", "practice", "folder"]
TITLES: dict[SourceKind, str] = {
    "minds14": "MInDS-14, real calls to a bank",
    "practice": "Practice voices",
    "folder": "Your own recordings",
}
PRACTICE_NOTE = (
    "The Hugging Face Hub is out of reach, so this uses practice clips that came with Voicetune, spoken by a computer."
)


@dataclass(frozen=True)
class Source:
    """All clips of one locale. `note` is for people, or empty: which data, or what was read of a folder.

    `revision` is the commit of a data set of the Hub; "" for others. `besides`: the title of what else helps to learn.
    """

    kind: SourceKind
    clips: list[RawClip]
    note: str = ""
    left_out: LeftOut = field(default_factory=LeftOut)
    revision: str = ""
    besides: str = ""
    by_computer: bool = False  # whether a computer speaks what is learnt from

    @property
    def title(self) -> str:
        """What the page calls it."""
        return f"{TITLES[self.kind]}, with {self.besides}" if self.besides else TITLES[self.kind]


def kind_of(data: str, settings: Settings) -> SourceKind:
    """Which source `data` (auto, minds14, practice or a path) means now."""
    if data == "auto":
        return "minds14" if reachable(settings.hub_endpoint, settings.hub_timeout) else "practice"
    if data == "minds14":
        return "minds14"
    return "practice" if data == "practice" else "folder"


def open_source(data: str, locale: Locale, settings: Settings) -> Source:
    """The clips of a locale. Raises UserError where there are none to be had."""
    kind = kind_of(data, settings)
    if kind == "minds14":
        return _minds14(locale, settings)
    if kind == "practice":
        return _practice(locale, note=PRACTICE_NOTE if data == "auto" else "")
    corpus = read_folder(data, locale)
    return Source("folder", corpus.clips, corpus.said, corpus.left_out)


def practice_locales() -> list[str]:
    """The locales that the practice set has."""
    return sorted(folder.parent.name for folder in PRACTICE.glob("*/train-*.parquet"))


def _minds14(locale: Locale, settings: Settings) -> Source:
    away = UserError(
        "I could not fetch MInDS-14 from the Hugging Face Hub.",
        "Check the internet connection, or choose the practice clips under Advanced.",
    )
    if not reachable(settings.hub_endpoint, settings.hub_timeout):
        raise away  # load_dataset would try again for half a minute
    # Imported here: `datasets` takes a second, and the page must be up before it is needed.
    import datasets

    try:
        rows = datasets.load_dataset(MINDS14, locale.code, revision=MINDS14_REVISION, split="train", token=False)
    except (OSError, ValueError, datasets.exceptions.DatasetNotFoundError) as error:
        raise away from error
    # decode=False: datasets would need torchcodec; the bytes are decoded by speech.audio.
    rows = rows.cast_column("audio", datasets.Audio(decode=False))
    clips = [RawClip(row["path"], (row["audio"] or {}).get("bytes"), row["transcription"] or "") for row in rows]
    return Source("minds14", clips, revision=MINDS14_REVISION)


def _practice(locale: Locale, note: str) -> Source:
    left_out = LeftOut()
    return Source("practice", practice_clips(locale, left_out), note, left_out, by_computer=True)


def practice_clips(locale: Locale, left_out: LeftOut) -> list[RawClip]:
    """The practice set's clips of a locale, each with its split. Raises UserError where there are none."""
    # Imported here: pyarrow takes a while, and most of what opens this file needs only its names.
    from trainer.speech.parquet import parquet_clips

    clips: list[RawClip] = []
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        for file in sorted((PRACTICE / locale.code).glob(f"{split}-*.parquet")):
            clips += parquet_clips(file, file.name, split, locale, left_out)
    kept = set((PRACTICE / "validation.txt").read_text(encoding="utf-8").split())  # see make.py there
    clips = [replace(clip, split="validation") if clip.name.rpartition("-")[0] in kept else clip for clip in clips]
    if not clips:
        raise UserError(
            f"There are no practice clips for {locale.english} yet.",
            f"Choose one of {', '.join(practice_locales())}, or connect to the internet to use MInDS-14.",
        )
    return clips
