"""WER and CER with the interface of Hugging Face `evaluate`: compute, add, add_batch, combine.

`evaluate.load("wer")` downloads a script and runs it, and fails offline; these are the same figures from jiwer.
They are apart from `speech.metrics` because importing `evaluate` loads torch and takes seconds.
"""

from typing import Any

import datasets
import evaluate

from trainer.speech.metrics import character_error_rate, word_error_rate

_STRINGS = datasets.Value("string")


def _metric_info(description: str) -> evaluate.MetricInfo:
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description="Normalised texts, in pairs. The rate is a fraction and can exceed 1.",
        features=datasets.Features({"predictions": _STRINGS, "references": _STRINGS}),
    )


class Wer(evaluate.Metric):
    """Word error rate; `compute` gives {"wer": fraction}."""

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info("Word error rate over all clips together.")

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        return {"wer": word_error_rate(references, predictions)}


class Cer(evaluate.Metric):
    """Character error rate; `compute` gives {"cer": fraction}."""

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info("Character error rate over all clips together.")

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        return {"cer": character_error_rate(references, predictions)}
