"""Makes the starter: Whisper base's encoder, taught the letters of twelve languages.

    python -m assets.starter.whisper ... ; python -m assets.starter.people ...   # see there
    python -m assets.starter.kokoro ... ; python -m assets.starter.espeak ...
    python -m assets.starter.make --sounds FOLDER --whisper FOLDER hear
    python -m assets.starter.make --sounds FOLDER --whisper FOLDER learn --minutes 6 45
    python -m assets.starter.make --sounds FOLDER --whisper FOLDER write

--sounds is where people, kokoro and espeak wrote their lists. `hear` computes what Whisper's lower four layers make of
each utterance, and goes on with lists that still grow until it is stopped. `learn` teaches the heads alone for some
minutes, then the upper two layers too. `write` makes the files beside this one.
"""

import argparse
import csv
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from assets.starter.export import export
from assets.starter.learning import BLANK, Item, Stage, Starter, judge, learn, seconds_of
from assets.starter.manifest import Utterance
from assets.starter.states import COPIES, Heard, LowerLayers, hear, whisper_encoder
from trainer.speech.locales import LOCALES, Locale
from trainer.speech.text import build_vocabulary, normalise, to_units

HERE = Path(__file__).resolve().parent
PRACTICE = HERE.parent / "practice" / "sentences"
SPOKEN: dict[str, Locale] = {row.language: row for row in reversed(LOCALES.values())}  # of several the first
TOGETHER = 600  # utterances a file of states
WAIT_SECONDS = 15
CHECK_EACH = 300  # steps
VALUE = {"real": 1.0, "kokoro": 1.3, "espeak": 0.35}  # how often an utterance is heard, before languages are evened
EVENED = 0.6  # power: 1 would give all languages the same time, 0 each what it has
HEADS = Stage(6.0, 2e-3, 0.0)
OPEN = Stage(45.0, 1e-3, 1.5e-4)


def listed(sounds: Path, kind: str) -> list[Utterance]:
    """A list's rows so far; [] where there is none."""
    path = sounds / f"{kind}.tsv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Utterance(**row) for row in rows if all(row.values())]  # the last may be half written


def hear_all(sounds: Path, whisper: Path) -> None:
    """States of all that is listed, in files of their own, until it is stopped."""
    folder, rng = sounds / "states", np.random.default_rng(5)
    folder.mkdir(exist_ok=True)
    known = {said["path"] for file in folder.glob("*.pt") for said, *_ in torch.load(file)}
    lower, number = LowerLayers(whisper_encoder(whisper)), len(list(folder.glob("*.pt")))
    while True:
        new = [(row, kind) for kind in COPIES for row in listed(sounds, kind) if row.path not in known][:TOGETHER]
        if len(new) < TOGETHER // 10:
            time.sleep(WAIT_SECONDS)
            continue
        known |= {row.path for row, _ in new}
        heard = [(asdict(one.said), one.kind, one.copy, one.states) for one in hear(lower, new, rng)]
        draft = folder / "part"
        torch.save(heard, draft)
        draft.rename(folder / f"{number:04}.pt")
        number += 1
        print(f"{len(heard)} copies of {len(new)} utterances", flush=True)


def vocabularies(sounds: Path) -> dict[str, dict[str, int]]:
    """Of each language the characters of its written and spoken sentences; digits are written as words there."""
    found = {}
    for language, locale in SPOKEN.items():
        counts = Counter[str]()
        lines = (HERE / "sentences" / f"{language}.txt").read_text(encoding="utf-8").splitlines()
        practice = (PRACTICE / f"{locale.code}.tsv").read_text(encoding="utf-8").splitlines()[1:]
        lines += [line.split("\t")[-1] for line in practice]
        lines += [row.text for kind in COPIES for row in listed(sounds, kind) if row.language == language]
        for line in lines:
            counts.update(to_units(normalise(line, locale), locale))
        latin = set("abcdefghijklmnopqrstuvwxyz'")
        rare_too = locale.script in ("han", "hangul")
        kept = {unit for unit, count in counts.items() if not unit.isdigit() and (rare_too or count >= 3)}
        kept = kept | latin if locale.script == "latin" else kept - latin if locale.script == "han" else kept
        found[language] = build_vocabulary(["".join(kept)])
    return found


class Sounds:
    """All that was heard so far, as items to learn from; files that come later are found when asked again."""

    def __init__(self, folder: Path, letters: dict[str, dict[str, int]]) -> None:
        self._folder, self._letters = folder, letters
        self._read: set[Path] = set()
        self._items: dict[str, Item] = {}

    def __call__(self, split: str) -> list[Item]:
        for file in sorted(set(self._folder.glob("*.pt")) - self._read):
            for said, kind, copy, states in torch.load(file):
                self._add(Heard(Utterance(**said), kind, copy, states))
            self._read.add(file)
        return [item for item in self._items.values() if item.split == split]

    def _add(self, heard: Heard) -> None:
        said, states = heard.said, heard.states
        if said.path in self._items:
            self._items[said.path].copies.append(states)
            return
        locale = SPOKEN[said.language]
        text = normalise(said.text, locale)
        units = to_units(text, locale)
        labels = [self._letters[said.language].get(unit, BLANK) for unit in units]
        needed = len(labels) + sum(one == other for one, other in pairwise(labels))
        if labels and BLANK not in labels and needed <= len(states) / 1.2:
            item = Item(said.language, heard.kind, said.source, said.split, text, labels, [states], states)
            self._items[said.path] = item


def evened(items: list[Item]) -> Callable[[Item], float]:
    """How often an item is heard in an epoch: people more than synthesizers, and languages nearly alike."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for item in items:
        seconds[item.language] += VALUE[item.kind] * seconds_of([item])
    mean = sum(seconds.values()) / len(seconds)
    return lambda item: VALUE[item.kind] * (mean / seconds[item.language]) ** EVENED


def teach(sounds: Path, whisper: Path, minutes: tuple[float, float], seed: int) -> None:
    """Both stages; weights and letters go to learnt.pt and letters.json."""
    file = sounds / "letters.json"
    if not file.exists():
        file.write_text(json.dumps(vocabularies(sounds), ensure_ascii=False), encoding="utf-8")
    letters = json.loads(file.read_text(encoding="utf-8"))
    heard = Sounds(sounds / "states", letters)
    torch.manual_seed(seed)
    model = Starter(whisper_encoder(whisper), {language: len(known) for language, known in letters.items()})
    names = {language: {label: unit for unit, label in known.items()} for language, known in letters.items()}
    print({f"{kind} {language}": round(seconds / 60) for (kind, language), seconds in sorted(_seconds(heard).items())})

    def report(step: int, passed: float, loss: float) -> None:
        print(f"{time.strftime('%H:%M')} step {step}, {passed:.1f} min, loss {loss:.3f}", flush=True)
        if step % CHECK_EACH == 0:
            check()

    def check() -> None:
        for (language, source), (wer, cer, clips, first) in judge(model, heard("val"), names, SPOKEN).items():
            print(
                f"  {language} {source[:24]:24} WER {wer:6.1%} CER {cer:6.1%} of {clips} clips: {first[:120]}",
                flush=True,
            )
        torch.save(model.state_dict(), sounds / "learnt.pt")

    for number, stage in enumerate((replace(HEADS, minutes=minutes[0]), replace(OPEN, minutes=minutes[1]))):
        learn(model, lambda: heard("train"), evened, stage, report, seed + number)
        check()
        torch.save(model.state_dict(), sounds / f"stage{number}.pt")


def _seconds(heard: Sounds) -> dict[tuple[str, str], float]:
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for item in heard("train"):
        seconds[item.kind, item.language] += seconds_of([item])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--whisper", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs=2, default=(HEADS.minutes, OPEN.minutes))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("step", choices=("hear", "learn", "write"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.step == "hear":
        hear_all(options.sounds, options.whisper)
    elif options.step == "learn":
        teach(options.sounds, options.whisper, tuple(options.minutes), options.seed)
    else:
        letters = json.loads((options.sounds / "letters.json").read_text(encoding="utf-8"))
        export(options.whisper, torch.load(options.sounds / "stage1.pt"), letters, HERE)


if __name__ == "__main__":
    main()
