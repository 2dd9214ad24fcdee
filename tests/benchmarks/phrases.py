"""What common words and phrases from the training transcripts bring, and how far a word's confidence can be trusted.

    python -m tests.benchmarks.phrases                               # the ready-made model on the en-US clips
    python -m tests.benchmarks.phrases --locale de-DE --model RUN/model
    python -m tests.benchmarks.phrases --locale de-DE --model RUN/model --tune

The language model is of the training split's texts. `--tune` looks for its weights on the validation split; the test
split is for the figures alone. Of the ready-made model the validation clips are no use: it learnt from them.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.benchmarks.heard_clips import Heard
from trainer.models.beam_search import BeamDecoder, BeamOptions
from trainer.models.decoding import AlignedToken, collapse, greedy, log_probabilities, text_of, words_of
from trainer.models.hot_words import hot_words
from trainer.models.language_model import learn
from trainer.speech.clips import Split
from trainer.speech.metrics import marked_words
from trainer.speech.text import normalise

Decode = Callable[[np.ndarray], list[AlignedToken]]
BINS = 10


def decoders(heard: Heard) -> dict[str, Decode]:
    """By name, as they are compared."""
    vocabulary, texts = heard.checkpoint.vocabulary, heard.training_texts()
    phrases = learn(texts, heard.locale, vocabulary.case)
    known = {word for text in texts for word in text.split()}
    unknown = sorted({word for example in heard.dataset.test for word in example.text.split()} - known)
    distractors = sorted({word for example in heard.dataset.validation for word in example.text.split()} - known)
    listed = hot_words(", ".join(unknown[::5] + distractors[:10]), vocabulary)
    words, rows = phrases.size
    print(f"{len(texts)} texts, {words} words, {rows} of three in a row; {len(unknown)} words of the test are new")
    return {
        "greedy": lambda logits: greedy(logits, vocabulary),
        "beam alone": BeamDecoder(vocabulary),
        "common words": BeamDecoder(vocabulary, heard.knowledge(taught=False)),
        "phrases": BeamDecoder(vocabulary, phrases),
        "words and phrases": BeamDecoder(vocabulary, heard.knowledge()),
        "every fifth new word typed in, among others": BeamDecoder(vocabulary, None, listed),
        "all of it": BeamDecoder(vocabulary, heard.knowledge().expecting(listed.units), listed),
    }


def compare(heard: Heard, split: Split = "test") -> None:
    """Print the table."""
    rows, examples = heard.logits(split), heard.dataset.of(split)
    vocabulary, texts = heard.checkpoint.vocabulary, [example.text for example in examples]
    print(f"{split}: {len(rows)} clips, {sum(example.seconds for example in examples):.0f} s")
    found = decoders(heard)
    print("| decoded | WER | CER | seconds of a processor | AUC | ECE |\n|---|---|---|---|---|---|")
    for name, decode in found.items():
        started = time.process_time()
        tokens = [decode(row) for row in rows]
        took = time.process_time() - started
        rates = heard.rates(texts, [text_of(each, vocabulary) for each in tokens])
        auc, ece = trust(heard, texts, tokens)
        print(f"| {name} | {rates.wer:.1%} | {rates.cer:.1%} | {took:.2f} | {auc:.2f} | {ece:.2f} |", flush=True)
    means = [old_confidence(heard, row) for row in rows]
    auc, ece = trust(heard, texts, means, mean=True)
    print(f"| greedy, mean of the best labels' probabilities | | | | {auc:.2f} | {ece:.2f} |")


def old_confidence(heard: Heard, logits: np.ndarray) -> list[AlignedToken]:
    """Labels with the probabilities of themselves: what the entropy is compared with."""
    best = np.exp(log_probabilities(logits)).max(-1)
    return collapse(logits.argmax(-1), best, heard.checkpoint.vocabulary)


def trust(heard: Heard, texts: list[str], tokens: list[list[AlignedToken]], mean: bool = False) -> tuple[float, float]:
    """Of all words heard: how well the confidence tells right from wrong (area under ROC), and how far it is from the
    share that is right (expected calibration error in ten bins)."""
    right: list[bool] = []
    sure: list[float] = []
    for text, row in zip(texts, tokens, strict=True):
        words = words_of(row, heard.checkpoint.vocabulary, 1.0)
        if mean:
            letters = [token for token in row if token.token != heard.checkpoint.vocabulary.delimiter]
            sizes = [len(word.text) for word in words]
            ends = np.cumsum(sizes)
            assert len(letters) == sum(sizes)
            sure += [
                float(np.mean([t.confidence for t in letters[e - s : e]])) for s, e in zip(sizes, ends, strict=True)
            ]
        else:
            sure += [word.confidence for word in words]
        said = normalise(" ".join(word.text for word in words), heard.locale, heard.checkpoint.vocabulary.case)
        right += [piece.kind == "same" for piece in marked_words(text, said) if piece.kind != "missing"]
    truth, value = np.array(right), np.array(sure)
    good, bad = value[truth], value[~truth]
    auc = (
        float((good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean())
        if len(good) and len(bad)
        else math.nan
    )
    place = np.minimum((value * BINS).astype(int), BINS - 1)
    gaps = [abs(truth[place == b].mean() - value[place == b].mean()) * (place == b).mean() for b in set(place.tolist())]
    return auc, float(sum(gaps))


def tune(heard: Heard) -> None:
    """Print WER and CER on the validation split by weights."""
    vocabulary, rows = heard.checkpoint.vocabulary, heard.logits("validation")
    texts = [example.text for example in heard.dataset.validation]
    phrases = learn(heard.training_texts(), heard.locale, vocabulary.case)
    plain = heard.rates(texts, [text_of(greedy(row, vocabulary), vocabulary) for row in rows])
    print(f"validation: {len(rows)} clips; greedy {plain.wer:.1%} {plain.cer:.1%}")
    print("| weight | word bonus | WER | CER |\n|---|---|---|---|")
    for weight, bonus in itertools.product((0.3, 0.5, 0.7, 0.8, 1.0, 1.3), (0.0, 1.0, 2.0)):
        options = replace(BeamOptions(), lm_weight=weight, word_bonus=bonus)
        decode = BeamDecoder(vocabulary, phrases, None, options)
        rates = heard.rates(texts, [text_of(decode(row), vocabulary) for row in rows])
        print(f"| {weight} | {bonus} | {rates.wer:.1%} | {rates.cer:.1%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locale", default="en-US")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--tune", action="store_true")
    given = parser.parse_args()
    heard = Heard.open(given.locale, given.model)
    (tune if given.tune else compare)(heard)


if __name__ == "__main__":
    main()
