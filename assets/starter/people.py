"""Recordings of people whose licences let a model learn from them: gathered, labelled and listed.

    apt-get download festvox-ru asterisk-core-sounds-{it,ru}{,-wav}  # then dpkg -x each
    python -m assets.starter.people --debian FOLDER --speech FOLDER --whisper FOLDER --out FOLDER

FOLDER of --debian has a folder for each package, by its name; --speech is a folder with transcripts.tsv (path, text,
speaker, language, ..., licence, source); --whisper is faster-whisper-base's folder: model.bin, config.json,
tokenizer.json. Clips go to OUT/real/<source>/ as FLAC of 16 kHz, a line about each to OUT/real.tsv. Where nobody wrote
down what is said, Whisper listens, and what it is not sure of is left out.

What validates is never learnt from: whole sentences, whoever says them; of the recordings without names, whole
speakers.
"""

import argparse
import csv
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from assets.starter.manifest import COLUMNS, is_held, trim
from assets.starter.sentences import LANGUAGES
from assets.starter.telephone import RATE

VALIDATION_ONE_IN = 12  # sentences
PLAUSIBLE = (4, 26)  # characters a second: outside of them the text is another
SECONDS = (0.5, 25)
PAUSE, SLACK = 1.2, 0.5  # seconds between clips that are listened to in one go; how exact the times are
WINDOW = 22  # seconds, after which a row of them ends: Whisper hears 30
SURE = -0.45  # mean log-probability of a token, above which what Whisper heard is believed
MOST_COMPRESSIBLE = 2.0  # of what it heard; more is a phrase over and over
HELD_SPEAKERS = 6  # of those of the recordings without names, about as many as can be told apart
SPEAKERS = 50  # at least so many there are
FESTVOX = Path("usr/share/festival/voices/russian/msu_ru_nsh_clunits")
ASTERISK = Path("usr/share/asterisk/sounds")
# In asterisk's Italian list some accented letters are question marks, and its digits are said.
BROKEN = re.compile(r"\w\?\s+\w|\s\?\s|[\[(<@]|www|\d\d|™")
DIGITS = {
    "it": ["zero", "uno", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove"],
    "ru": ["ноль", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять"],
}


@dataclass(frozen=True)
class Recording:
    """A file and what is known of it; `text` is None where Whisper has to listen."""

    path: Path
    language: str
    speaker: str
    text: str | None
    licence: str
    source: str
    split: str = ""


def from_table(folder: Path) -> Iterator[Recording]:
    with (folder / "transcripts.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            text, speaker = row["text"] or None, row["speaker"] or row["path"].split("/")[0]
            path = folder / row["path"]
            yield Recording(path, row["language"], speaker, text, row["licence"], row["source"])


def from_festvox(debian: Path) -> Iterator[Recording]:
    """Nicolay Shmyrev's Russian voice: 620 sentences, a "+" before some stressed vowels."""
    folder = debian / "festvox-ru" / FESTVOX
    for line in (folder / "etc" / "txt.done.data").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r'\( (\S+) "(.*)" \)', line.strip()):
            text = found[2].replace("+", "")
            wav = folder / "wav" / f"{found[1]}.wav"
            yield Recording(wav, "ru", "msu_ru_nsh", text, "BSD-like (festvox-ru)", "Debian festvox-ru")


def from_asterisk(debian: Path, language: str) -> Iterator[Recording]:
    """A telephone exchange's announcements, read by one speaker."""
    name = f"asterisk-core-sounds-{language}"
    (table,) = (debian / name).rglob("core-sounds-*.txt.gz")
    (folder,) = (debian / f"{name}-wav" / ASTERISK).iterdir()
    for line in gzip.decompress(table.read_bytes()).decode("utf-8-sig").splitlines():
        key, _, text = line.partition(":")
        wav = folder / f"{key.strip()}.wav"
        if text and not line.startswith(";") and wav.exists() and not BROKEN.search(text):
            for digit, word in enumerate(DIGITS[language]):
                text = text.replace(str(digit), word)
            yield Recording(wav, language, folder.name, text, "CC-BY-3.0", f"Debian {name}-wav")


def read(path: Path) -> np.ndarray:
    """int16 at 16 kHz."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono", container.streams.audio[0].rate)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        rate = container.streams.audio[0].rate
    samples = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
    return soxr.resample(samples, rate, RATE)


class Listener:
    """Whisper base on one thread."""

    def __init__(self, folder: Path) -> None:
        from faster_whisper import WhisperModel  # type: ignore[import-not-found, unused-ignore]

        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)

    def write_down(self, clips: list[np.ndarray], language: str) -> list[str | None]:
        """What each clip says, all heard at once, since 30 s take as long as one; they must fit in, with their pauses.

        None where it is not sure, took two clips for one, or wrote figures, which can be read in many ways.
        """
        pause = np.zeros(int(PAUSE * RATE), np.int16)
        sound = np.concatenate([part for clip in clips for part in (clip, pause)]).astype(np.float32) / 32_768
        ends = np.cumsum([len(clip) / RATE + PAUSE for clip in clips])
        starts = np.concatenate([[0], ends[:-1]])
        heard: list[list[str]] = [[] for _ in clips]
        doubtful: set[int] = set()
        for part in self._model.transcribe(sound, language=language, beam_size=1, temperature=0.0)[0]:
            first, last = (int(np.searchsorted(ends, time)) for time in (part.start + SLACK, part.end - PAUSE))
            sure = part.avg_logprob > SURE and part.compression_ratio < MOST_COMPRESSIBLE
            if first >= last and first < len(clips) and part.start > starts[first] - SLACK:
                heard[first].append(part.text.strip())
                last = first
            else:
                sure = False
            if not sure or re.search(r"[\d%$€£\[(&]", part.text):
                doubtful |= {*range(min(first, last), max(first, last) + 1)}
        return [" ".join(parts) if parts and number not in doubtful else None for number, parts in enumerate(heard)]


def hold_speakers(recordings: list[Recording]) -> list[Recording]:
    """The same, some as validation: clips that sound alike are taken for one speaker's, with a microphone."""
    import librosa
    from sklearn.cluster import AgglomerativeClustering  # type: ignore[import-not-found, import-untyped, unused-ignore]

    rows = []
    for recording in recordings:
        spectrum = librosa.feature.mfcc(y=read(recording.path).astype(np.float32), sr=RATE, n_mfcc=24)[1:]
        rows.append(np.concatenate([spectrum.mean(axis=1), spectrum.std(axis=1)]))
    points = np.array(rows)
    groups = AgglomerativeClustering(SPEAKERS).fit_predict((points - points.mean(axis=0)) / points.std(axis=0))
    sizes = np.bincount(groups)
    middling = np.argsort(np.abs(sizes - np.median(sizes)), kind="stable")[:HELD_SPEAKERS]
    return [
        replace(one, speaker=f"{one.speaker}-{group:02}", split="val" if group in middling else "train")
        for one, group in zip(recordings, groups, strict=True)
    ]


def listen(recordings: list[Recording], listener: Listener) -> Iterator[Recording]:
    """Those of which it is sure, with texts."""
    waiting: list[tuple[Recording, np.ndarray]] = []
    for number, one in enumerate(recordings, 1):
        waiting.append((one, trim(read(one.path), RATE)))
        seconds = sum(len(clip) / RATE + PAUSE for _, clip in waiting)
        if seconds < WINDOW and number < len(recordings):
            continue
        texts = listener.write_down([clip for _, clip in waiting], one.language)
        yield from (replace(w, text=text) for (w, _), text in zip(waiting, texts, strict=True) if text)
        waiting = []


def gather(recordings: Iterable[Recording], out: Path) -> Iterator[tuple[str, ...]]:
    """Writes the clips and yields a row of COLUMNS for each."""
    for one in recordings:
        samples = trim(read(one.path), RATE)
        seconds = len(samples) / RATE
        text = LANGUAGES[one.language].normal(one.text or "")
        plausible = SECONDS[0] < seconds < SECONDS[1] and PLAUSIBLE[0] < len(text) / seconds < PLAUSIBLE[1]
        if not plausible or re.search(r"\d", text):
            continue
        path = out / "real" / re.sub(r"[^\w-]", "_", one.source) / f"{one.path.stem}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE)
        split = one.split or ("val" if is_held(text, VALIDATION_ONE_IN) else "train")
        yield str(path), one.language, one.speaker, split, f"{seconds:.2f}", text, one.licence, one.source


def main() -> None:
    parser = argparse.ArgumentParser(description="Gather people's recordings.")
    for name in ("debian", "speech", "whisper", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    table = list(from_table(given.speech))
    named = [one for one in table if one.text]
    groups = (
        named,
        from_festvox(given.debian),
        from_asterisk(given.debian, "it"),
        from_asterisk(given.debian, "ru"),
        listen(hold_speakers([one for one in table if not one.text]), Listener(given.whisper)),
    )
    with (given.out / "real.tsv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        writer.writerow(COLUMNS)
        for group in groups:
            for row in gather(group, given.out):
                writer.writerow(row)
                file.flush()


if __name__ == "__main__":
    main()
