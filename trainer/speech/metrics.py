"""How wrong a transcription is: word and character error rates, and which words differ.

Texts come in as `speech.text.normalise` gives them; nothing is normalised here. The same figures as Hugging Face
`evaluate` metrics are in `speech.evaluate_metrics`: importing `evaluate` loads torch and takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer


@dataclass(frozen=True)
class ErrorRates:
    """Fractions of all words and all characters; more than 1 where more is heard than was said."""

    wer: float
    cer: float


@dataclass(frozen=True)
class Piece:
    """A word (or character) of a comparison. `text` is what to show.

    "same" and "extra": heard, and `expected` is None. "wrong": heard, where `expected` was said. "missing": said
    but not heard, so that `text` and `expected` are both the reference's.
    """

    text: str
    kind: Literal["same", "wrong", "missing", "extra"]
    expected: str | None = None


def error_rates(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Corpus-level rates: errors summed over all clips, by all words and characters of the references.

    An empty hypothesis counts as all words missing. A space counts as a character. Where the references hold no
    word at all, the rate is the number of words heard (jiwer 4). Raises ValueError for lists of unequal length.
    """
    return ErrorRates(word_error_rate(references, hypotheses), character_error_rate(references, hypotheses))


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """WER over all clips together, as a fraction; see `error_rates`."""
    return float(jiwer.process_words(*_paired(references, hypotheses)).wer)


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """CER over all clips together, as a fraction; see `error_rates`."""
    return float(jiwer.process_characters(*_paired(references, hypotheses)).cer)


def marked_words(reference: str, hypothesis: str, by_character: bool = False) -> list[Piece]:
    """The hypothesis in reading order, word by word (or character by character), with what differs marked."""
    process = jiwer.process_characters if by_character else jiwer.process_words
    found = process(reference, hypothesis)
    said, heard = found.references[0], found.hypotheses[0]
    pieces: list[Piece] = []
    for chunk in found.alignments[0]:
        expected = said[chunk.ref_start_idx : chunk.ref_end_idx]
        texts = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "equal":
            pieces += [Piece(text, "same") for text in texts]
        elif chunk.type == "delete":
            pieces += [Piece(text, "missing", text) for text in expected]
        elif chunk.type == "insert":
            pieces += [Piece(text, "extra") for text in texts]
        else:  # substitute: of equal lengths
            pieces += [Piece(text, "wrong", other) for text, other in zip(texts, expected, strict=True)]
    return pieces


def _paired(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[list[str], list[str]]:
    """As jiwer takes them. Raises ValueError where they cannot be pairs."""
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
    return list(references), list(hypotheses)
