"""A model's page: what it says of a run, and that no name or text in it can do any harm."""

import io
import json
import random
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from PIL import Image

from tests.fakes.rendering import html_of
from tests.fakes.run_folder import write_run
from tests.fakes.sharable import sharable_run
from trainer.errors import UserError
from trainer.publishing.card import card, usage
from trainer.publishing.events import published
from trainer.publishing.facts import Facts, facts_of
from trainer.publishing.markup import inline, plain
from trainer.publishing.parts import Part, parts_of
from trainer.publishing.wishes import LICENCES, Wish, suggested_name
from trainer.runs.events import Event, EventReader
from trainer.runs.following import view_of
from trainer.runs.run import Run
from trainer.runs.view import RunView
from trainer.speech.locales import LOCALES
from trainer.ui.picture import picture

HOME = "https://huggingface.co"
NASTY = [
    "a | b || c",
    "`` ` ``` code",
    "---",
    "\n---\nlicense: mit\n---\n",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{ config }} {% for x in y %} ${HOME}",
    "# heading\n## another",
    "[link](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "*bold* _under_ ~~gone~~ **",
    "https://evil.example www.evil.example me@evil.example",
    "&lt;b&gt; &amp; &#124;",
    "yes: no\n- list\n? key",
    "'single' \"double\" \\ back\\|slash\\",
    "emoji 🎙️👩‍👩‍👧 and ‮turned‬ text",
    "\x00\x07\x1b[31m\u2028\u2029\x85",
    "\ud800 alone",
    "!!python/object/apply:os.system [ls]",
    "$$x^2$$ <!-- comment",
    "=====",
    "1. one",
    "+ plus",
    "x" * 5000,
    "",
    "   ",
]


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


def written(facts: Facts, wish: Wish = Wish("my-model"), example: bool = True) -> str:  # noqa: B008  # it is frozen
    return card(facts, wish, "anna/my-model", HOME, example)


def block_of(text: str) -> dict[str, Any]:
    found = REGEX_YAML_BLOCK.search(text)
    assert found
    loaded: dict[str, Any] = yaml.safe_load(found[2])
    return loaded


def test_the_block_has_all_that_the_hub_reads(run: Run) -> None:
    block = block_of(written(facts_of(run)))
    assert block["language"] == "en" and block["license"] == "apache-2.0"
    assert block["library_name"] == "transformers" and block["pipeline_tag"] == "automatic-speech-recognition"
    assert block["metrics"] == ["wer", "cer"] and "ctc" in block["tags"] and "wav2vec2" in block["tags"]
    assert "base_model" not in block and "datasets" not in block  # the starter and its clips are not on the Hub
    result = block["model-index"][0]["results"][0]
    assert result["dataset"]["config"] == "en-US" and result["dataset"]["split"] == "test"
    best = view_of(run).best
    assert best and [metric["value"] for metric in result["metrics"]] == [
        round(100 * best.wer, 2),
        round(100 * best.cer, 2),
    ]
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
            event["source"] = "MInDS-14, real calls to a bank"

    text = written(changed(run, from_calls))
    block = block_of(text)
    assert block["base_model"] == "facebook/wav2vec2-base" and block["datasets"] == ["PolyAI/minds14"]
    dataset = block["model-index"][0]["results"][0]["dataset"]
    assert dataset["type"] == "PolyAI/minds14" and len(dataset["revision"]) == 40
    for said in ("https://huggingface.co/facebook/wav2vec2-base", "CC-BY-4.0", "machine output", "drawn by the seed"):
        assert said in text


def test_it_says_before_and_after_the_recipe_the_machine_and_how_to_use_it(run: Run) -> None:
    text = written(facts_of(run))
    view = view_of(run)
    assert view.baseline and view.best
    assert f"| Word errors (WER) | {100 * view.baseline.wer:.1f} % | **{100 * view.best.wer:.1f} %** |" in text
    assert "21 clips" in text and "normalised" in text and "slightly flattering" in text
    assert usage("anna/my-model") in text and len(usage("anna/my-model").splitlines()) == 3
    assert "](curves.png)" in text and "](training.jsonl)" in text
    for word in ("Learning rate", "Seed", "Time", "frozen", "2 too long"):
        assert word in text
    examples = text.split("## What it hears")[1].split("## Use it")[0]
    assert len(re.findall(r"^\| (?!Said|---)", examples, re.MULTILINE)) == 5


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
    assert [guess.hypothesis for guess in facts.guesses] == [guess["hypothesis"] for guess in kept["guesses"]]


@pytest.mark.parametrize("code", LOCALES)
def test_every_locale_has_a_page(tmp_path: Path, code: str) -> None:
    text = written(facts_of(sharable_run(tmp_path, code, steps=6)))
    assert block_of(text)["language"] == code[:2] and LOCALES[code].english in text
    assert ("jamo" in text) == (code == "ko-KR") and ("only the characters count" in text) == (code == "zh-CN")


def test_a_run_without_a_check_says_that_nothing_was_measured(run: Run) -> None:
    events = [event for event in events_of(run) if event["event"] != "evaluated"]
    text = written(facts_of(run, events))
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
            event["source"] = "Your own recordings"

    events = events_of(run)
    for event in events:
        own(event)
    run.events.write_text("".join(json.dumps(event) + "\n" for event in events))
    parts = parts_of(run, Wish("x"), "anna/x", HOME, b"PNG")
    assert "example.wav" not in {part.name for part in parts}  # a voice that was not public stays at home
    for part in parts:
        data = part.content if isinstance(part.content, bytes) else part.content.read_bytes()
        for secret in (b"secret", b"/home", b"laptop", str(tmp_path).encode(), b"pid", b"owner"):
            assert part.name == "model.safetensors" or secret not in data, (part.name, secret)


# --- the files


def test_named_files_alone_are_published(run: Run) -> None:
    (run.model / "evil.py").write_text("1/0")
    parts = parts_of(run, Wish("x"), "anna/x", HOME, b"PNG")
    assert [part.name for part in parts] == [
        *("README.md", "curves.png", "training.jsonl", "example.wav", "config.json", "processor_config.json"),
        *("vocab.json", "tokenizer_config.json", "model.safetensors"),
    ]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    run = sharable_run(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (run.model / "added_tokens.json").symlink_to(tmp_path / "secret")
    assert "added_tokens.json" not in {part.name for part in parts_of(run, Wish("x"), "anna/x", HOME, b"")}


def test_published_events_keep_the_curves_and_lose_the_process(run: Run) -> None:
    events = events_of(run)
    lines = [
        json.loads(line) for line in published([*events, {**events[0], "event": "novel", "path": "/x"}]).splitlines()
    ]
    assert len(lines) == len(events)
    kinds = {line["event"] for line in lines}
    assert {"started", "log", "evaluated", "data", "finished"} <= kinds and "novel" not in kinds
    assert not any("pid" in line for line in lines)
    original = [event["loss"] for event in events if event["event"] == "log"]
    assert [line["loss"] for line in lines if line["event"] == "log"] == original


def test_a_run_without_weights_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model"):
        facts_of(write_run(tmp_path))


def test_the_picture_shows_both_curves_in_their_colours(run: Run) -> None:
    image = Image.open(io.BytesIO(picture(view_of(run), LOCALES["en-US"]))).convert("RGB")
    width, height = image.size
    assert (width, height) == (1496, 528) and image.getpixel((0, 0)) == (255, 255, 255)
    for half in (image.crop((0, 0, width // 2, height)), image.crop((width // 2, 0, width, height))):
        counts = {colour: count for count, colour in half.getcolors(1 << 20) or []}

        def near(wanted: tuple[int, int, int], counts: dict[Any, int] = counts) -> int:
            return sum(n for c, n in counts.items() if max(abs(a - b) for a, b in zip(c, wanted, strict=True)) < 24)

        assert near((0, 114, 178)) > 600 and near((179, 89, 0)) > 300  # the two lines
        assert near((71, 85, 105)) > 200  # words and figures


@pytest.mark.parametrize("code", LOCALES)
def test_a_run_without_any_figure_has_a_picture_too(code: str) -> None:
    assert picture(RunView(), LOCALES[code]).startswith(b"\x89PNG")


def test_names_are_suggested_and_licences_known() -> None:
    name = suggested_name("20261123-151204-de-DE-9f3a1c")
    assert name == "voicetune-de-de-9f3a1c" and Wish(name).name == name
    assert Wish("  anna/x ").name == "anna/x" and Wish("x").private
    assert all(Wish("x", licence=licence) for licence in LICENCES)


def test_sizes_are_those_of_the_files(run: Run) -> None:
    file = run.model / "model.safetensors"
    assert Part("a", file).size == file.stat().st_size and Part("b", b"four").size == 4
