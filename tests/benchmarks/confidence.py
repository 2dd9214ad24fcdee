"""How far a word's confidence can be trusted, before and after what is noted beside a model at a training's end.

    python -m tests.benchmarks.confidence --model RUN/model [--locale de-DE]

The two numbers are fitted on the validation split's words, and judged by the test split's: how well confidence tells
right words from wrong ones (AUC), how far it lies from the share that is right in ten bins (ECE), and the bins.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.heard_clips import Heard
from trainer.models.beam_search import BeamDecoder
from trainer.models.confidence import fitted
from trainer.models.decoding import greedy
from trainer.models.inference import Decoder
from trainer.speech.clips import Split
from trainer.training.trust import judged

BINS = 10


def words(heard: Heard, split: Split, logits: Sequence[np.ndarray], decode: Decoder) -> tuple[np.ndarray, np.ndarray]:
    """Of all words heard: confidence, and whether it is right."""
    sure, right = list[float](), list[bool]()
    for row, example in zip(logits, heard.dataset.of(split), strict=True):
        confidences, correct = judged(decode(row), example, heard.checkpoint.vocabulary, heard.locale)
        sure += confidences
        right += correct
    return np.array(sure), np.array(right)


def auc(sure: np.ndarray, right: np.ndarray) -> float:
    good, bad = sure[right], sure[~right]
    if not len(good) or not len(bad):
        return math.nan
    return float((good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean())


def reliability(sure: np.ndarray, right: np.ndarray) -> list[tuple[int, float, float]]:
    """Of each tenth of the confidences: words, mean confidence, share that is right."""
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    inside = [place == number for number in range(BINS)]
    return [(int(i.sum()), float(sure[i].mean()), float(right[i].mean())) if i.any() else (0, 0.0, 0.0) for i in inside]


def report(name: str, sure: np.ndarray, right: np.ndarray) -> None:
    """Print it."""
    table = reliability(sure, right)
    ece = sum(count * abs(mean - share) for count, mean, share in table) / len(sure)
    print(f"{name}: {len(sure)} words, {right.mean():.0%} right; AUC {auc(sure, right):.3f}, ECE {ece:.3f}")
    print("| confidence | words | mean | right |\n|---|---|---|---|")
    for number, (count, mean, share) in enumerate(table):
        if count:
            print(f"| {number / BINS:.1f} to {(number + 1) / BINS:.1f} | {count} | {mean:.2f} | {share:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locale", default="en-US")
    parser.add_argument("--model", type=Path, required=True)
    given = parser.parse_args()
    heard = Heard.open(given.locale, given.model)
    vocabulary = heard.checkpoint.vocabulary
    phrases = BeamDecoder(vocabulary, heard.knowledge())
    decoders: dict[str, Decoder] = {
        "by sound alone": lambda logits: greedy(logits, vocabulary),
        "words and phrases": phrases,
    }
    logits = {split: heard.logits(split) for split in ("validation", "test")}
    for name, decode in decoders.items():
        found = fitted(*words(heard, "validation", logits["validation"], decode))
        sure, right = words(heard, "test", logits["test"], decode)
        report(f"{name}, as it is", sure, right)
        if found is None:
            print("nothing is noted: it would hardly be likelier")
        else:
            report(f"{name}, {found}", np.array([found(value) for value in sure]), right)


if __name__ == "__main__":
    main()
