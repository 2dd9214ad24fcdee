"""WER and CER with the interface of Hugging Face `evaluate`: compute, add, add_batch, combine.

`evaluate.load("wer")` downloads a script and runs it, and fails offline; these are the same figures from jiwer.
They are apart from `speech.metrics` because importing `evaluate` loads torch and takes seconds.

Invariant: what is added is kept in memory. `evaluate`'s default is a file in the cache, locked, which a full or
read-only disk would not take, and which two trainings would wait for.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from trainer.speech.metrics import ErrorRates, character_error_rate, word_error_rate

_STRINGS = datasets.Value("string")


def _metric_info(description: str) -> evaluate.MetricInfo:
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description="Normalised texts, in pairs. The rate is a fraction and can exceed 1.",
        features=datasets.Features({"predictions": _STRINGS, "references": _STRINGS}),
    )


class _InMemory(evaluate.Metric):
    """A metric that touches no file."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"keep_in_memory": True, **options})

    def _build_data_dir(self) -> str:
        """Where files would be: none are written, and the default would make a folder in the cache."""
        return "" if self.keep_in_memory else str(super()._build_data_dir())


class Wer(_InMemory):
    """Word error rate; `compute` gives {"wer": fraction}."""

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info("Word error rate over all clips together.")

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        return {"wer": word_error_rate(references, predictions)}


class Cer(_InMemory):
    """Character error rate; `compute` gives {"cer": fraction}."""

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info("Character error rate over all clips together.")

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        return {"cer": character_error_rate(references, predictions)}


def measured(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorRates:
    """Both rates over all clips together, as `speech.metrics.error_rates` gives them, by way of the metrics.

    Raises ValueError for lists of unequal length.
    """
    rates: dict[str, float] = {}
    for metric in (Wer(), Cer()):
        metric.add_batch(predictions=list(hypotheses), references=list(references))
        rates |= metric.compute() or {}
    return ErrorRates(rates["wer"], rates["cer"])
