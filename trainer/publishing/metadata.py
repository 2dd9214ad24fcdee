"""The block at the top of a model's page that the Hub reads: language, licence, origin, results, an example."""

from typing import TYPE_CHECKING, Any

from trainer.publishing.facts import Facts
from trainer.publishing.markup import plain
from trainer.publishing.wishes import Wish
from trainer.speech.sources import MINDS14, MINDS14_REVISION

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

TASK = "automatic-speech-recognition"
EXAMPLE = "example.wav"
_NAMES = {"wer": "Word error rate", "cer": "Character error rate"}


def metadata(facts: Facts, wish: Wish, repo_id: str, home: str, example: bool) -> "ModelCardData":
    """`home`: the Hub's address, without a slash; `example`: whether a clip goes along."""
    from huggingface_hub import ModelCardData

    results = _results(facts)
    more: dict[str, Any] = {"widget": _widget(facts, f"{home}/{repo_id}/resolve/main/{EXAMPLE}")} if example else {}
    return ModelCardData(
        language=facts.locale.language,
        license=wish.licence,
        library_name="transformers",
        pipeline_tag=TASK,
        base_model=facts.on_hub,
        datasets=[MINDS14] if facts.source == "minds14" else None,
        metrics=["wer", "cer"],
        tags=[TASK, "ctc", "speech", *filter(None, [plain(facts.model_type, 40)]), facts.locale.code, "voicetune"],
        model_name=repo_id.split("/")[-1],
        eval_results=results or None,
        **more,
    )


def _results(facts: Facts) -> "list[EvalResult]":
    """One a rate, in percent as the Hub's leaderboards have them."""
    from huggingface_hub import EvalResult

    best = facts.view.best
    if best is None:
        return []
    kind = facts.source
    return [
        EvalResult(
            task_type=TASK,
            task_name="Automatic Speech Recognition",
            dataset_type={"minds14": MINDS14, "practice": "voicetune/practice", "folder": "own"}[kind],
            dataset_name={"minds14": "MInDS-14", "practice": "Voicetune practice voices", "folder": "Own recordings"}[
                kind
            ],
            dataset_config=facts.locale.code,
            dataset_split="test",
            dataset_revision=MINDS14_REVISION if kind == "minds14" else None,
            metric_type=rate,
            metric_name=name,
            metric_value=round(100 * getattr(best, rate), 2),
        )
        for rate, name in _NAMES.items()
    ]


def _widget(facts: Facts, address: str) -> list[dict[str, object]]:
    """The clip to try on the model's page, with what the model made of it."""
    first = next((guess for guess in facts.guesses if guess.clip == 0), None)
    entry: dict[str, object] = {"example_title": plain(first.reference, 80) if first else "A test clip", "src": address}
    if first:
        entry["output"] = {"text": plain(first.hypothesis)}
    return [entry]
