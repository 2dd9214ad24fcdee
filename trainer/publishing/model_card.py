"""A model's page on the Hub: what it does and how well, how to use it, how it was made, and what it cannot do.

Its words stand in model_card.md.jinja. huggingface_hub renders that without escaping, and Jinja's own escaping knows
HTML but not Markdown: so every text from people or models is made harmless by `inline` before it is handed over.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType

from trainer.models.architectures import ARCHITECTURES
from trainer.models.catalog import BASES, STARTER_ID
from trainer.publishing.options import LICENCES, PublishOptions
from trainer.publishing.run_report import DataKind, Facts
from trainer.runs.view import EvalPoint
from trainer.speech.clips import SplitBy
from trainer.speech.sources import MINDS14

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData
Markdown = NewType("Markdown", str)  # may stand anywhere in a line, a table's cell included
TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
PICTURE = "curves.png"
EVENTS = "training.jsonl"
EXAMPLE = "example.wav"
EXAMPLES = 5  # guesses shown
TASK = "automatic-speech-recognition"
_RATES = {"wer": ("Word errors (WER)", "Word error rate"), "cer": ("Character errors (CER)", "Character error rate")}


@dataclass(frozen=True)
class _Data:
    """What is known of a kind of data. `id` is the Hub's, or a plain word that is no id there; `splits` are its own."""

    id: str
    name: str
    title: Markdown
    licence: str
    splits: tuple[str, ...] = ()
    transcripts: str = ""


_KINDS: dict[DataKind, _Data] = {
    "minds14": _Data(
        MINDS14,
        "MInDS-14",
        Markdown(f"[MInDS-14](https://huggingface.co/datasets/{MINDS14})"),
        "CC-BY-4.0 (Gerz et al. 2021, [arXiv 2104.08524](https://arxiv.org/abs/2104.08524))",
        ("train",),
        "MInDS-14 holds real calls to a bank at 8 kHz. Its transcripts are largely machine output that people "
        "corrected: some are wrong, and a few are not in the call's language. So no model reaches 0 % there.",
    ),
    "practice": _Data(
        "practice-voices",
        "Voicetune practice voices",
        Markdown("the practice voices that come with Voicetune"),
        "CC0-1.0",
        ("train", "test"),
        "The practice clips are read by a computer from sentences that were written first, so their transcripts are "
        "exact. How well real people would be understood, these figures do not say.",
    ),
    "own": _Data(
        "own-recordings",
        "Own recordings",
        Markdown("recordings of its author's own"),
        "the author's own",
        (),
        "The recordings and their transcripts are the author's own; how they were made is for the author to add.",
    ),
    "": _Data("", "", Markdown("data that its run did not name"), "not known"),
}
_SPLIT_BY: dict[SplitBy, str] = {
    "text and speaker": "No text and no speaker is in more than one of the parts.",
    "text": "No text is in more than one of the parts.",
    "speaker": "No speaker is in more than one of the parts, while texts may be.",
    "clip": "Texts may be in more than one of the parts, in other recordings.",
    "source": "The data came with a split of its own. Texts may be in more than one of its parts: "
    "the error rates may look better than they would with new texts.",
}


def card(facts: Facts, options: PublishOptions, repo_id: str, home: str, example: bool) -> str:
    """README.md: YAML between two lines of ---, then Markdown. All that came from people or models is made harmless.

    `home`: the Hub's address, without a slash; `example`: whether a clip goes along.
    """
    from huggingface_hub import ModelCard

    data = metadata(facts, options, repo_id, home, example)
    words = card_values(facts, options, repo_id, example)
    return f"{ModelCard.from_template(data, template_path=str(TEMPLATE), **words)}\n"


def usage(repo_id: str, model_type: str = "") -> str:
    """The three lines that use the model, wherever Transformers is installed, after two more for a model type that it
    has no classes for. `repo_id` was checked."""
    row = ARCHITECTURES.get(model_type)
    ours = row.package if row else ""
    before = f"from trainer.models import {ours}  # a part of Voicetune\n{ours}.register()\n" if ours else ""
    return (
        f"{before}from transformers import pipeline\n"
        f'listen = pipeline("{TASK}", model="{repo_id}")\n'
        'print(listen("recording.wav")["text"])'
    )


def card_values(facts: Facts, options: PublishOptions, repo_id: str, example: bool) -> dict[str, Any]:
    """What the template is filled in with, by its names."""
    data, kind = facts.view.data, _KINDS[facts.kind]
    return {
        "title": inline(repo_id.split("/")[-1]),
        "english": facts.locale.english,
        "code": facts.locale.code,
        "base": _base(facts),
        "data": _data(facts),
        "rates": _rates(facts),
        "tested": facts.tested is not None,
        "tests": facts.tests,
        "tested_on": _clips(data.test_clips, data.test_seconds) if data else "clips",
        # A run from before there were three splits chose its model on what it called the test clips.
        "checked_on": _clips(*_checked_on(facts)) if data else "clips",
        "checks": sum(1 for check in facts.view.evaluations if check.step),
        "split": _split(facts),
        "picture": PICTURE,
        "guesses": [(inline(guess.reference), inline(guess.hypothesis)) for guess in facts.guesses[:EXAMPLES]],
        "example": EXAMPLE if example else "",
        "usage": usage(repo_id, facts.model_type),
        "recipe": _recipe(facts),
        "events": EVENTS,
        "starter_size": f"{BASES[STARTER_ID].parameters / 1e6:.0f} million" if facts.on_starter else "",
        "transcripts": kind.transcripts,
        "licence": LICENCES[options.licence].title,
        "base_licence": _base_licence(facts),
        "data_licence": kind.licence,
    }


def _data(facts: Facts) -> Markdown:
    revision = f" (revision `{facts.revision[:7]}`)" if facts.revision else ""
    return Markdown(f"{_KINDS[facts.kind].title}{revision}")


def _base(facts: Facts) -> Markdown:
    if facts.hub_base:
        return Markdown(f"[{inline(facts.hub_base)}](https://huggingface.co/{facts.hub_base})")
    return Markdown("Voicetune's starter model" if facts.on_starter else "a checkpoint of its author's own")


def _base_licence(facts: Facts) -> str:
    row = BASES.get(STARTER_ID if facts.on_starter else facts.hub_base or "")
    return LICENCES[row.licence.lower()].title if row else "see its page" if facts.hub_base else "the author's own"


def _rates(facts: Facts) -> list[tuple[str, str, str]]:
    before, after = (facts.untrained, facts.tested) if facts.tested else (facts.view.baseline, facts.view.best)
    if after is None:
        return []
    return [(title, _percent(before, rate), _percent(after, rate)) for rate, (title, _) in _RATES.items()]


def _percent(check: EvalPoint | None, rate: str) -> str:
    return "not measured" if check is None else f"{100 * getattr(check, rate):.1f} %"


def _checked_on(facts: Facts) -> tuple[int, float]:
    data = facts.view.data
    assert data is not None
    if data.validation_clips:
        return data.validation_clips, data.validation_seconds
    return data.test_clips, data.test_seconds


def _split(facts: Facts) -> str:
    data = facts.view.data
    drawn = "MInDS-14 has one split; what was held back from training was drawn by the seed."
    told = next((words for split_by, words in _SPLIT_BY.items() if data and data.split_by == split_by), "")
    return f"{drawn if facts.kind == 'minds14' else ''} {told}".strip()


def _recipe(facts: Facts) -> list[tuple[str, str]]:
    recipe, view, machine = facts.recipe, facts.view, facts.machine
    batch = f"{recipe.batch_seconds:g} s of sound" if recipe.batch_seconds else f"{recipe.batch_clips} clips"
    head = f", {recipe.head_learning_rate:g} for the head" if recipe.head_learning_rate else ""
    took = view.ended - view.started if view.started and view.ended else 0.0
    trained_with = facts.config.get("transformers_version")
    versions = machine.get("versions") or ({"transformers": trained_with} if trained_with else {})
    rows: list[tuple[str, object]] = [
        ("Base", _base(facts)),
        ("Architecture", row.title if (row := ARCHITECTURES.get(facts.model_type)) else ""),
        *_data_rows(facts),
        ("Preset", inline(recipe.preset)),
        ("Steps", f"{view.step:,} of {recipe.max_steps:,}; kept: step {view.best_step or 0:,}"),
        ("Learning rate", f"{recipe.learning_rate:g}{head}; {recipe.schedule}, {recipe.warmup_steps} steps of warm-up"),
        ("Batch", f"{batch}, {recipe.gradient_accumulation} a step"),
        ("Feature encoder", "frozen" if recipe.freeze_feature_encoder else "trained"),
        ("Layers kept as they were", recipe.frozen_layers or ""),
        ("Averaged with the base", f"{recipe.keep_share:.0%} of it" if recipe.keep_share else ""),
        ("SpecAugment", "as the base has it" if recipe.mask_time_prob is None else f"{recipe.mask_time_prob:g}"),
        ("Speed, tone and noise varied", "yes" if recipe.augment else "no"),
        ("Seed", recipe.seed),
        (
            "Errors with common words, and phrases of its training text (not shared)",
            _with_phrases(facts),
        ),
        ("Time", _duration(took) if took else ""),
        ("Hardware", inline(machine.get("hardware", ""))),
        ("Precision", inline(machine.get("precision", ""))),
        ("Versions", ", ".join(f"{inline(name)} {inline(version)}" for name, version in versions.items())),
    ]
    return [(name, str(value)) for name, value in rows if value != ""]


def _with_phrases(facts: Facts) -> str:
    point = facts.tested
    if point is None or point.phrases_wer is None or point.phrases_cer is None:
        return ""
    return f"WER {100 * point.phrases_wer:.1f} %, CER {100 * point.phrases_cer:.1f} % on the test clips"


def _data_rows(facts: Facts) -> list[tuple[str, object]]:
    data = facts.view.data
    if data is None:
        return []
    rows: list[tuple[str, object]] = [("Trained on", _clips(data.train_clips, data.train_seconds))]
    if facts.view.best:
        rows.append(("Chosen on", _clips(*_checked_on(facts))))
    if facts.tested:
        rows.append(("Tested on", _clips(data.test_clips, data.test_seconds)))
    left_out = ", ".join(f"{count} {inline(reason)}" for reason, count in data.left_out.items())
    return [*rows, ("Left out", left_out)]


def _clips(count: int, seconds: float) -> str:
    return f"{count:,} clips ({_duration(seconds)})"


def _duration(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def metadata(facts: Facts, options: PublishOptions, repo_id: str, home: str, example: bool) -> "ModelCardData":
    """The block of YAML that the Hub reads. It is data alone: PyYAML quotes whatever a text holds."""
    from huggingface_hub import ModelCardData

    more: dict[str, Any] = {"widget": _widget(facts, f"{home}/{repo_id}/resolve/main/{EXAMPLE}")} if example else {}
    return ModelCardData(
        language=facts.locale.language,
        license=options.licence,
        library_name="transformers",
        pipeline_tag=TASK,
        base_model=facts.hub_base,
        datasets=[MINDS14] if facts.kind == "minds14" else None,
        metrics=list(_RATES),
        tags=[
            TASK,
            "ctc",
            "speech",
            *filter(None, [plain(facts.model_type, 40)]),
            facts.locale.code,
            "voicetune",
        ],
        model_name=repo_id.split("/")[-1],
        eval_results=_eval_results(facts) or None,
        **more,
    )


def _eval_results(facts: Facts) -> "list[EvalResult]":
    """One a rate, in percent as the Hub's leaderboards have them. Only a split of the data set's own is named.

    [] where nothing was measured, or nobody knows on what.
    """
    from huggingface_hub import EvalResult

    figures, kind, data = facts.tested or facts.view.best, _KINDS[facts.kind], facts.view.data
    if figures is None or not kind.id:
        return []
    return [
        EvalResult(
            task_type=TASK,
            task_name="Automatic Speech Recognition",
            dataset_type=kind.id,
            dataset_name=kind.name,
            dataset_config=facts.locale.code,
            dataset_split="test" if facts.tested and data and data.own_test and "test" in kind.splits else None,
            dataset_revision=facts.revision,
            metric_type=rate,
            metric_name=f"{name} on {'test' if facts.tested else 'validation'} clips",
            metric_value=round(100 * getattr(figures, rate), 2),
        )
        for rate, (_, name) in _RATES.items()
    ]


def _widget(facts: Facts, address: str) -> list[dict[str, object]]:
    """The clip to try on the model's page, with what the model made of it."""
    first = next((guess for guess in facts.guesses if guess.clip == 0), None)
    entry: dict[str, object] = {"example_title": plain(first.reference, 80) if first else "A clip", "src": address}
    if first:
        entry["output"] = {"text": plain(first.hypothesis)}
    return [entry]


LONGEST = 300  # characters of one piece of text
# In a table, a paragraph or a heading these may begin something. As entities they never do: CommonMark 6.2.
_MARKUP = re.compile(r"[\\`*_{}\[\]()<>#+|~&$:@=^!\"]|^-|--+|\.(?=[^\W\d])")
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # the direction of writing


def plain(text: object, longest: int = LONGEST) -> str:
    """One line without control characters, valid as UTF-8; what is longer ends in "…"."""
    shown = "".join(" " if _breaks(letter) else letter for letter in str(text))
    shown = " ".join(shown.encode("utf-8", "replace").decode("utf-8").split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1].rstrip()}…"


def inline(text: object) -> Markdown:
    """For anywhere in a line of Markdown, a cell of a table included."""
    shown = plain(text)
    return Markdown(_MARKUP.sub(lambda found: "".join(f"&#{ord(letter)};" for letter in found[0]), shown))


def _breaks(letter: str) -> bool:
    return letter in _TURNING or unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cs")
