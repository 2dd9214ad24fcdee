"""A model's page: what it says of a run, and that no name or text in it can do any harm."""

import argparse
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from jinja2 import Environment
from jinja2.meta import find_undeclared_variables
from transformers import CONFIG_MAPPING

from tests.fakes.nasty_text import NASTY
from tests.fakes.rendering import html_of
from tests.fakes.sharable import sharable_run
from trainer.commands.finetune import add_arguments, recipe_of
from trainer.models.architectures import ARCHITECTURES
from trainer.models.catalog import ROWS
from trainer.publishing import model_card
from trainer.publishing.model_card import card, inline, plain, usage
from trainer.publishing.options import LICENCES, PublishOptions, suggested_name
from trainer.publishing.publish import parts_of
from trainer.publishing.run_report import Facts, facts_of
from trainer.runs.events import Event, EventReader
from trainer.runs.run import Run
from trainer.settings import PRACTICE, Settings
from trainer.speech.locales import LOCALES
from trainer.speech.sources import practice_locales

HOME = "https://huggingface.co"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sharable_run(tmp_path_factory.mktemp("data"))


def events_of(run: Run) -> list[Event]:
    return EventReader(run.events).read_new()


def changed(run: Run, change: Callable[[Event], None]) -> Facts:
    events = events_of(run)
    for event in events:
        change(event)
    return facts_of(run, events)


def untested(run: Run) -> Facts:
    """As a run whose test clips were not read: a stop did not wait for them."""
    return facts_of(run, [event for event in events_of(run) if event["event"] != "tested"])


def written(facts: Facts, options: PublishOptions = PublishOptions("my-model"), example: bool = True) -> str:  # noqa: B008  # it is frozen
    return card(facts, options, "anna/my-model", HOME, example)


def block_of(text: str) -> dict[str, Any]:
    found = REGEX_YAML_BLOCK.search(text)
    assert found
    loaded: dict[str, Any] = yaml.safe_load(found[2])
    return loaded


def with_test(run: Run, **figures: float | None) -> Facts:
    """As a run that read its test clips once, at the end."""
    read = {"step": 300, "loss": 0.8, "wer": 0.25, "cer": 0.11, "untrained_wer": 1.0, "untrained_cer": 0.97, **figures}
    return changed(run, lambda event: event.update(read if event["event"] == "tested" else {}))


def test_the_block_has_all_that_the_hub_reads(run: Run) -> None:
    block = block_of(written(facts_of(run)))
    assert block["language"] == "en" and block["license"] == "apache-2.0"
    assert block["library_name"] == "transformers" and block["pipeline_tag"] == "automatic-speech-recognition"
    assert block["metrics"] == ["wer", "cer"] and "ctc" in block["tags"] and "wav2vec2" in block["tags"]
    assert "base_model" not in block and "datasets" not in block  # the starter and its clips are not on the Hub
    result = block["model-index"][0]["results"][0]
    assert result["dataset"]["config"] == "en-US" and result["dataset"]["split"] == "test"
    assert "/" not in result["dataset"]["type"]  # which would be the id of somebody's data set
    assert [metric["value"] for metric in result["metrics"]] == [26.0, 11.0]
    assert block["widget"][0]["src"] == f"{HOME}/anna/my-model/resolve/main/example.wav"


def test_huggingface_hub_reads_it_back_unchanged(run: Run) -> None:
    text = written(facts_of(run))
    read = ModelCard(text)
    assert read.data.to_dict() == block_of(text)
    assert isinstance(read.data, ModelCardData) and read.data.eval_results and read.data.model_name == "my-model"
    assert str(read) == text


def test_a_base_and_data_of_the_hub_are_named(tmp_path: Path) -> None:
    run = sharable_run(tmp_path)
    config = json.loads((run.folder / "config.json").read_text())
    config["recipe"]["base"] = "facebook/wav2vec2-base"
    (run.folder / "config.json").write_text(json.dumps(config))

    def from_calls(event: Event) -> None:
        if event["event"] == "data":
            event |= {"kind": "minds14", "revision": "0123456789" * 4}

    text = written(changed(run, from_calls))
    block = block_of(text)
    assert block["base_model"] == "facebook/wav2vec2-base" and block["datasets"] == ["PolyAI/minds14"]
    dataset = block["model-index"][0]["results"][0]["dataset"]
    assert dataset["type"] == "PolyAI/minds14" and "split" not in dataset
    assert dataset["revision"] == "0123456789" * 4 and "(revision `0123456`)" in text
    for said in ("https://huggingface.co/facebook/wav2vec2-base", "CC-BY-4.0", "machine output", "drawn by the seed"):
        assert said in text


@pytest.mark.parametrize("told", [{}, {"revision": "main](x)"}, {"revision": "0" * 39}])
def test_a_revision_that_no_run_told_is_none_of_the_page(run: Run, told: dict[str, str]) -> None:
    """Neither for runs from before it was told, nor where a rented machine's log says something else."""

    def from_calls(event: Event) -> None:
        if event["event"] == "data":
            event |= {"kind": "minds14", **told}

    text = written(changed(run, from_calls))
    assert "revision" not in text and "PolyAI/minds14" in text


@pytest.mark.parametrize("typed", ["models/mine", "./models/mine", "~/models/mine", "facebook/wav2vec2-base"])
def test_a_folder_is_never_linked_to_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    """Not even one that is named on the command line as a model of a stranger is on the Hub."""
    for folder in ("models/mine", "facebook/wav2vec2-base"):  # chosen before the Hub's model of that name
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run = sharable_run(tmp_path)
    config = json.loads((run.folder / "config.json").read_text())
    base = recipe_of(parser.parse_args(["--base", typed]), Settings(data_dir=tmp_path)).base
    assert Path(base).is_absolute() and Path(base).is_dir()
    config["recipe"]["base"] = base
    (run.folder / "config.json").write_text(json.dumps(config))
    text = written(facts_of(run))
    assert "base_model" not in block_of(text)
    assert "a checkpoint of its author's own" in text
    assert "models/mine" not in text and "facebook" not in text and base not in text


def test_it_says_before_and_after_the_recipe_the_machine_and_how_to_use_it(run: Run) -> None:
    facts = untested(run)
    text, view = written(facts), facts.view
    assert view.baseline and view.best
    assert f"| Word errors (WER) | {100 * view.baseline.wer:.1f} % | **{100 * view.best.wer:.1f} %** |" in text
    assert "normalised" in text
    assert usage("anna/my-model") in text and len(usage("anna/my-model").splitlines()) == 3
    assert "](curves.png)" in text and "](training.jsonl)" in text
    for word in ("Learning rate", "Seed", "Time", "frozen", "2 too long"):
        assert word in text
    examples = text.split("## What it hears")[1].split("## Use it")[0]
    assert len(re.findall(r"^\| (?!Said|---)", examples, re.MULTILINE)) == 5


@pytest.mark.parametrize("kind", ["mctct", "whisper_ctc"])
def test_a_kind_that_transformers_does_not_know_is_registered_first(run: Run, kind: str) -> None:
    (run.model / "config.json").write_text(json.dumps({"model_type": kind}))
    text, first = written(untested(run)), usage("anna/my-model", kind).splitlines()[:2]
    assert first == [f"from trainer.models import {kind}  # a part of Voicetune", f"{kind}.register()"]
    assert usage("anna/my-model", kind) in text and f"| Architecture | {ARCHITECTURES[kind].title} |" in text
    exec("\n".join(first), {})
    assert kind in CONFIG_MAPPING


def test_figures_of_the_test_clips_are_the_headline_where_they_were_read(run: Run) -> None:
    text = written(with_test(run))
    assert "| On test clips | Before | After |" in text and "| Word errors (WER) | 100.0 % | **25.0 %** |" in text
    assert "Measured once, after the training, on 34 clips (1.8 min) of the practice voices" in text
    assert "the best model was chosen on others: 20 clips (1.2 min)." in text
    assert "flattering" not in text and "| Tested on | 34 clips" in text and "| Chosen on | 20 clips" in text
    results = block_of(text)["model-index"][0]["results"]
    assert [metric["value"] for metric in results[0]["metrics"]] == [25.0, 11.0]
    drawn = changed(run, lambda event: event.update({"own_test": False} if event["event"] == "data" else {}))
    assert "split" not in block_of(written(drawn))["model-index"][0]["results"][0]["dataset"], "of its train split"
    assert results[0]["dataset"]["split"] == "test" and "on test clips" in results[0]["metrics"][0]["name"]
    assert "| not measured | **25.0 %** |" in written(with_test(run, untrained_wer=None, untrained_cer=None))


def test_without_a_reading_of_the_test_clips_the_figures_are_named_after_the_validation_clips(run: Run) -> None:
    text = written(untested(run))
    assert "| On validation clips |" in text and "on 20 clips (1.2 min)" in text and "Tested on" not in text
    assert "best of 6 checks on these same clips was kept, so the figures are slightly flattering" in text
    result, best = block_of(text)["model-index"][0]["results"][0], untested(run).view.best
    assert "validation" in result["metrics"][0]["name"] and "split" not in result["dataset"]
    assert best and [metric["value"] for metric in result["metrics"]] == [
        round(100 * best.wer, 2),
        round(100 * best.cer, 2),
    ]


def test_a_run_of_before_there_were_three_splits_is_told_truly(run: Run) -> None:
    """It chose its best model on what it called test clips, and did not say what its data was."""

    events = [event for event in events_of(run) if event["event"] != "tested"]
    for event in events:
        if event["event"] == "data":
            for name in ("kind", "validation_clips", "validation_seconds"):
                del event[name]

    facts = facts_of(run, events)
    text = written(facts)
    assert "| On validation clips |" in text and "on 34 clips (1.8 min) of data that its run did not name" in text
    assert "model-index" not in block_of(text) and "datasets" not in block_of(text)
    named = replace(facts, recipe=facts.recipe.change(data="practice"))
    assert "of the practice voices" in written(named) and "model-index" in block_of(written(named))


def test_a_resumed_run_keeps_its_test_until_it_keeps_another_model(run: Run) -> None:
    events = events_of(run)
    last = {name: events[-1][name] for name in ("seq", "time", "attempt")}
    resumed = [*events, {**last, "event": "resumed", "step": 150, "checked": 150}]
    text = written(facts_of(run, resumed))
    assert "| On test clips |" in text and "26.0 %" in text and "Measured once, after" in text
    better = [*resumed, {**last, "event": "model_saved", "step": 300}]
    text = written(facts_of(run, better))
    assert facts_of(run, better).tested is None and "On test clips" not in text and "26.0" not in text
    again = {**last, "event": "tested", "step": 300, "loss": 0.7, "wer": 0.2, "cer": 0.1}
    text = written(facts_of(run, [*better, again]))
    assert "| not measured | **20.0 %** |" in text
    assert "Measured after the training" in text, "the clips were read twice by now"


@pytest.mark.parametrize(
    ("split_by", "words"),
    [
        ("text", "No text is in"),
        ("text and speaker", "No text and no speaker is in"),
        ("speaker", "No speaker is in"),
        ("clip", "in other recordings"),
        ("source", "a split of its own"),
    ],
)
def test_what_the_parts_share_is_told_by_the_run(run: Run, split_by: str, words: str) -> None:
    def told(event: Event) -> None:
        if event["event"] == "data":
            event["split_by"] = split_by

    text = written(changed(run, told))
    assert words in text and ("No text" in text) == ("text" in split_by)
    split_by = "moon"
    assert "more than one of" not in written(changed(run, told)), "a newer trainer's, which is not known here"
    older = changed(run, lambda event: event.pop("split_by", None))
    assert "more than one of" not in written(older)


def test_a_data_set_has_the_splits_that_the_page_may_name() -> None:
    for locale in practice_locales():
        files = {file.name.split("-")[0] for file in (PRACTICE / locale).glob("*.parquet")}
        assert files == set(model_card._KINDS["practice"].splits)


def test_a_path_of_a_recipe_from_before_is_no_link(run: Run, tmp_path: Path) -> None:
    """Whether or not it is there (any more). What has no dot in front cannot be told from an id: see `BaseRef`."""
    for base in ("./anna/base", str(tmp_path), str(tmp_path / "anna/base"), "../elsewhere/base", "~/base"):
        facts = facts_of(run)
        text = written(replace(facts, recipe=facts.recipe.change(base=base)))
        assert "base_model" not in block_of(text) and "a checkpoint of its author's own" in text, base
        assert base not in text


def test_the_template_names_what_it_is_given_and_nothing_else(run: Run) -> None:
    """Jinja writes nothing for a name that it does not know."""
    names = find_undeclared_variables(Environment().parse(model_card.TEMPLATE.read_text()))
    values = model_card.card_values(facts_of(run), PublishOptions("x"), "anna/x", True)
    assert names == {*values, "card_data"}


def test_the_machine_is_told_where_the_run_told_it(run: Run) -> None:
    events = events_of(run)
    versions = {"torch": "2.13.0", "transformers": "5.24.0"}
    events.append(
        {**events[-1], "event": "machine", "hardware": "A | chip, 2 cores", "precision": "bf16", "versions": versions}
    )
    html = html_of(written(facts_of(run, events)))
    assert "A | chip, 2 cores" in html and "torch 2.13.0" in html


def test_examples_are_those_of_the_kept_model(run: Run) -> None:
    """The last check may have been of a worse one."""
    events = [event for event in events_of(run) if event["event"] != "model_saved" or event["step"] <= 150]
    facts = facts_of(run, events)
    kept = next(event for event in events if event["event"] == "evaluated" and event["step"] == 150)
    assert facts.view.best_step == 150
    worse = {**kept, "guesses": [], "seq": events[-1]["seq"] + 1}  # the same step, made anew after a resume
    assert facts_of(run, [*events, worse]).guesses == facts.guesses
    assert [guess.hypothesis for guess in facts.guesses] == [guess["hypothesis"] for guess in kept["guesses"]]


@pytest.mark.parametrize("code", LOCALES)
def test_every_locale_has_a_page(tmp_path: Path, code: str) -> None:
    text = written(facts_of(sharable_run(tmp_path, code, steps=6)))
    assert block_of(text)["language"] == code[:2] and LOCALES[code].english in text
    assert ("jamo" in text) == (code == "ko-KR") and ("only the characters count" in text) == (code == "zh-CN")


def test_a_run_without_a_check_says_that_nothing_was_measured(run: Run) -> None:
    events = [event for event in events_of(run) if event["event"] != "evaluated"]
    tested = written(facts_of(run, events))
    assert "| On test clips |" in tested and "chosen on others" not in tested and "Chosen on" not in tested
    text = written(facts_of(run, [event for event in events if event["event"] != "tested"]))
    assert "not measured before the training ended" in text and "model-index" not in block_of(text)


# --- nothing in it does harm


def structure(text: str) -> list[str]:
    """The page's headings, links, pictures, tables and code, without its words."""
    return re.findall(
        r"</?(?:h\d|a|img|table|tr|td|th|pre|code|ul|li|p|script|hr|em|strong|del)\b|(?:href|src)=\"[^\"]*\"",
        html_of(text),
    )


@pytest.mark.parametrize("nasty", NASTY)
def test_nasty_text_changes_nothing_around_it(run: Run, nasty: str) -> None:
    def spoil(text: str) -> Callable[[Event], None]:
        def change(event: Event) -> None:
            if event["event"] == "evaluated":
                event["guesses"] = [{"clip": 0, "reference": text, "hypothesis": text}]
            elif event["event"] == "data":
                event["left_out"] = {text: 3}

        return change

    spoilt, calm = written(changed(run, spoil(nasty))), written(changed(run, spoil("calm")))
    block = block_of(spoilt)
    assert {name: value for name, value in block.items() if name != "widget"} == {
        name: value for name, value in block_of(calm).items() if name != "widget"
    }
    assert block["widget"][0]["src"].endswith("example.wav")
    assert ModelCard(spoilt).data.to_dict() == block
    if nasty.strip():
        assert structure(spoilt) == structure(calm)
        shown = unescape(re.sub(r"<[^>]+>", "", html_of(spoilt)))
        assert plain(nasty)[:40] in " ".join(shown.split())
    assert "\ud800" not in spoilt and spoilt.encode()


def test_random_text_changes_nothing_around_it() -> None:
    rng = random.Random(6)
    letters = "|`-*_#<>[](){}!&;:.\\\"'~$@^=+/ \n\t\0aZ0é漢🎙\u202e\u2028"
    for _ in range(500):
        text = "".join(rng.choice(letters) for _ in range(rng.randint(1, 40)))
        row = html_of(f"x\n---\n\n| a | b |\n| --- | --- |\n| {inline(text)} | end |\n")
        cells = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
        assert [unescape(cell) for cell in cells] == [plain(text), "end"], text
        heading = html_of(f"x\n---\n\n# {inline(text) or 'x'}\n\nafter\n")
        assert heading.count("<h1>") == 1 and heading.endswith("<p>after</p>\n"), text


def test_a_path_of_the_host_or_its_owner_is_nowhere(tmp_path: Path) -> None:
    run = sharable_run(tmp_path)
    config = json.loads((run.folder / "config.json").read_text())
    config["recipe"] |= {"base": "/home/anna/secret-base", "data": "/home/anna/secret-clips"}
    (run.folder / "config.json").write_text(json.dumps(config))

    def own(event: Event) -> None:
        event["host"] = "annas-laptop"
        if event["event"] == "data":
            event |= {"source": "Your own recordings", "kind": "own"}

    events = events_of(run)
    for event in events:
        own(event)
    run.events.write_text("".join(json.dumps(event) + "\n" for event in events))
    parts = parts_of(run, PublishOptions("x"), "anna/x", HOME, b"PNG")
    assert "example.wav" not in {part.name for part in parts}  # a voice that was not public stays at home
    for part in parts:
        data = part.content if isinstance(part.content, bytes) else part.content.read_bytes()
        for secret in (b"secret", b"/home", b"laptop", str(tmp_path).encode(), b"pid", b"owner"):
            assert part.name == "model.safetensors" or secret not in data, (part.name, secret)


# --- the files


def test_names_are_suggested_and_licences_known() -> None:
    name = suggested_name("20261123-151204-de-DE-9f3a1c")
    assert name == "voicetune-de-de-9f3a1c" and PublishOptions(name).name == name
    assert PublishOptions("  anna/x ").name == "anna/x" and PublishOptions("x").private
    assert all(PublishOptions("x", licence=licence) for licence in LICENCES)
    assert {row.licence.lower() for row in ROWS} <= set(LICENCES)
