"""A model's page on the Hub: what it does and how well, how to use it, how it was made, and what it cannot do."""

from trainer.models.base_table import ROWS
from trainer.publishing.facts import Facts
from trainer.publishing.markup import inline, table
from trainer.publishing.metadata import EXAMPLE, metadata
from trainer.publishing.wishes import LICENCES, Wish
from trainer.runs.view import Evaluation, Guess
from trainer.speech.sources import MINDS14, MINDS14_REVISION

PICTURE = "curves.png"
EVENTS = "training.jsonl"
EXAMPLES = 5  # guesses shown

_DATA = {
    "minds14": f"[MInDS-14](https://huggingface.co/datasets/{MINDS14})",
    "practice": "Voicetune's practice voices",
    "folder": "recordings of its author's own",
}
_TRANSCRIPTS = {
    "minds14": (
        "MInDS-14 holds real calls to a bank at 8 kHz. Its transcripts are largely machine output that people "
        "corrected: some are wrong, and a few are not in the call's language. So no model reaches 0 % there."
    ),
    "practice": (
        "The practice clips are read by a computer from sentences that were written first, so their transcripts are "
        "exact. How well real people would be understood, these figures do not say."
    ),
    "folder": "The recordings and their transcripts are the author's own; how they were made is for the author to add.",
}
_DATA_LICENCES = {
    "minds14": "CC-BY-4.0 (Gerz et al. 2021, [arXiv 2104.08524](https://arxiv.org/abs/2104.08524))",
    "practice": "CC0-1.0",
    "folder": "the author's own",
}


def card(facts: Facts, wish: Wish, repo_id: str, home: str, example: bool) -> str:
    """README.md: YAML between two lines of ---, then Markdown. All that came from people or models is made harmless."""
    sections = [
        f"# {inline(repo_id.split('/')[-1])}",
        _opening(facts),
        "## How well it does",
        *_results(facts),
        "## What it hears",
        *_examples(facts, example),
        "## Use it",
        *_usage(facts, repo_id),
        "## How it was made",
        *_making(facts),
        "## What it cannot do",
        *_limits(facts),
        "## Licences",
        _licences(facts, wish),
    ]
    block = metadata(facts, wish, repo_id, home, example).to_yaml()
    body = "\n\n".join(filter(None, sections))
    return f"---\n{block}\n---\n\n{body}\n"


def usage(repo_id: str) -> str:
    """The three lines that use the model, wherever Transformers is installed. `repo_id` was checked."""
    return (
        "from transformers import pipeline\n"
        f'listen = pipeline("automatic-speech-recognition", model="{repo_id}")\n'
        'print(listen("recording.wav")["text"])'
    )


def _opening(facts: Facts) -> str:
    origin = f"{_base(facts)} on {_DATA[facts.source]}".replace("Voicetune's", "its")
    return (
        f"A speech recognition model for {facts.locale.english} ({facts.locale.code}): it writes down what it hears, "
        f"letter by letter (CTC). Voicetune fine-tuned it from {origin}."
    )


def _base(facts: Facts) -> str:
    if facts.on_hub:
        return f"[{inline(facts.on_hub)}](https://huggingface.co/{facts.on_hub})"
    return "Voicetune's starter model" if facts.base else "a checkpoint of its author's own"


def _results(facts: Facts) -> list[str]:
    before, after = facts.view.baseline, facts.view.best
    if after is None:
        return ["Its errors were not measured before the training ended."]
    rows = [
        ("Word errors (WER)", _rate(before, "wer"), f"**{_rate(after, 'wer')}**"),
        ("Character errors (CER)", _rate(before, "cer"), f"**{_rate(after, 'cer')}**"),
    ]
    return [
        table(("On clips that it was not trained on", "Before", "After"), rows),
        " ".join(filter(None, _measuring(facts))),
        f"![How the errors and the loss fell while it learnt]({PICTURE})",
    ]


def _measuring(facts: Facts) -> list[str]:
    """How the figures came about, a sentence each."""
    data = facts.view.data
    clips = f"{data.test_clips} clips ({_minutes(data.test_seconds)})" if data else "clips"
    minds14, han = facts.source == "minds14", facts.locale.script == "han"
    checks = sum(1 for check in facts.view.evaluations if check.step)
    return [
        f"Measured on {clips} of the test split of {_DATA[facts.source]}"
        + (f", revision `{MINDS14_REVISION[:7]}`;" if minds14 else ";"),
        "no text is on both sides of the split.",
        "MInDS-14 has one split; a part of it, drawn by the seed, was held back to test on." if minds14 else "",
        f"The best of {checks} checks on these same clips was kept, so the figures are slightly flattering."
        if checks > 1
        else "",
        "Chinese is written without spaces, so there only the characters count." if han else "",
        "Both sides are normalised first: one case, Unicode NFC, no punctuation but the apostrophe within words.",
    ]


def _rate(check: Evaluation | None, name: str) -> str:
    return "not measured" if check is None else f"{100 * getattr(check, name):.1f} %"


def _examples(facts: Facts, example: bool) -> list[str]:
    if not facts.guesses:
        return ["No clip was listened to before the training ended."]
    rows = [_example(guess) for guess in facts.guesses[:EXAMPLES]]
    listen = f"The first one is [{EXAMPLE}]({EXAMPLE})." if example else ""
    return [table(("Said", "Heard"), rows), f"Clips of the test split, as the kept model heard them. {listen}".strip()]


def _example(guess: Guess) -> tuple[str, str]:
    return inline(guess.reference), inline(guess.hypothesis) or "*(nothing)*"


def _usage(facts: Facts, repo_id: str) -> list[str]:
    jamo = (
        "It spells jamo: compose its text with `unicodedata.normalize('NFC', text)`."
        if facts.locale.script == "hangul"
        else ""
    )
    return [
        f"```python\n{usage(repo_id)}\n```",
        f"It expects one voice at 16 kHz, mono; `pipeline` converts files by ffmpeg. {jamo}".strip(),
    ]


def _making(facts: Facts) -> list[str]:
    recipe, data = facts.recipe, facts.view.data
    batch = f"{recipe.batch_seconds:g} s of sound" if recipe.batch_seconds else f"{recipe.batch_clips} clips"
    rows: list[tuple[str, str]] = [
        ("Base", _base(facts)),
        ("Preset", inline(recipe.preset)),
        ("Steps", f"{facts.view.step:,} of {recipe.max_steps:,}; kept: step {facts.view.best_step or 0:,}"),
        ("Learning rate", _learning_rate(facts)),
        ("Batch", f"{batch}, {recipe.gradient_accumulation} a step"),
        ("Feature encoder", "frozen" if recipe.freeze_feature_encoder else "trained"),
        ("SpecAugment", "as the base has it" if recipe.mask_time_prob is None else f"{recipe.mask_time_prob:g}"),
        ("Speed, tone and noise varied", "yes" if recipe.augment else "no"),
        ("Seed", str(recipe.seed)),
    ]
    if data:
        rows.insert(1, ("Trained on", f"{data.train_clips:,} clips ({_minutes(data.train_seconds)})"))
        if left_out := ", ".join(f"{count} {inline(reason)}" for reason, count in data.left_out.items()):
            rows.insert(2, ("Left out", left_out))
    if facts.view.started and facts.view.ended:
        rows.append(("Time", _minutes(facts.view.ended - facts.view.started)))
    rows += _machine(facts)
    return [
        table(("Recipe", ""), rows),
        f"Every step of the training is in [{EVENTS}]({EVENTS}), one JSON object a line.",
    ]


def _learning_rate(facts: Facts) -> str:
    recipe = facts.recipe
    head = f", {recipe.head_learning_rate:g} for the head" if recipe.head_learning_rate else ""
    return f"{recipe.learning_rate:g}{head}; {recipe.schedule}, {recipe.warmup_steps} steps of warm-up"


def _machine(facts: Facts) -> list[tuple[str, str]]:
    machine = facts.machine
    rows = []
    if machine.get("hardware"):
        rows.append(("Hardware", inline(machine["hardware"])))
        rows.append(("Precision", inline(machine.get("precision", ""))))
    versions = machine.get("versions") or ({"transformers": facts.transformers} if facts.transformers else {})
    if versions:
        rows.append(("Versions", ", ".join(f"{inline(name)} {inline(version)}" for name, version in versions.items())))
    return rows


def _limits(facts: Facts) -> list[str]:
    points = [
        "It writes letters without punctuation, in one case, and knows no letter that its training text lacks.",
        f"One voice, one language: {facts.locale.english}. Noise, other accents and other subjects than those of the "
        "data raise its errors.",
        "It has no language model: it spells what it hears.",
        "Do not decide about people by what it writes down without someone who listens.",
    ]
    if facts.base == "starter":
        points.insert(
            0,
            "The base is tiny (4 million parameters) and was pretrained on computer voices: expect sentences like "
            "those it was trained on, not dictation.",
        )
    return ["\n".join(f"- {point}" for point in points), _TRANSCRIPTS[facts.source]]


def _licences(facts: Facts, wish: Wish) -> str:
    unknown = "see its page" if facts.on_hub else "the author's own"
    base = next((row.licence for row in ROWS if row.id == facts.recipe.base), unknown)
    return f"The model: {LICENCES[wish.licence]}. Its base: {base}. Its data: {_DATA_LICENCES[facts.source]}."


def _minutes(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
