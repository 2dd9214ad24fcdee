"""What a model gets wrong at the end: the arithmetic, and files that are not to be trusted."""

import json
from pathlib import Path

import pytest

from trainer.runs.run import Run
from trainer.runs.view import EvalPoint, RunView
from trainer.speech.locales import LOCALES
from trainer.speech.mistakes import (
    LARGEST_FILE,
    LONGEST_TEXT,
    MOST_CLIPS,
    Mistake,
    TestedClip,
    by_length,
    common_mistakes,
    read_tested,
    worst_first,
    write_tested,
)
from trainer.ui.learnt_html import learnt_html

CLIPS = [
    TestedClip(seconds=1.0, reference="my account", by_sound="my acount", with_words="my account"),
    TestedClip(seconds=2.0, reference="the account", by_sound="the acount"),
    TestedClip(seconds=4.0, reference="freeze my account", by_sound="freeze me acount"),
]
GOOD = {"seconds": 1.0, "reference": "yes", "by_sound": "yes"}


def test_the_most_frequent_mistakes_come_first() -> None:
    pairs = [(clip.reference, clip.heard) for clip in CLIPS]
    assert common_mistakes(pairs, False, 5) == [Mistake("account", "acount", 2), Mistake("my", "me", 1)]
    assert common_mistakes(pairs, False, 1) == [Mistake("account", "acount", 2)]
    assert common_mistakes([("abc", "ac")], True, 5) == [Mistake("b", "", 1)]


def test_clips_from_worst_to_best_by_what_a_person_reads() -> None:
    ranked = worst_first(CLIPS, False)
    assert [clip.seconds for clip, _ in ranked] == [4.0, 2.0, 1.0]
    assert [rate for _, rate in ranked] == pytest.approx([2 / 3, 1 / 2, 0])


def test_short_and_long_clips_apart() -> None:
    found = by_length(CLIPS, False)
    assert found is not None
    middle, short, long = found
    assert (middle, short.clips, long.clips) == (2.0, 2, 1)
    assert (short.rate, long.rate) == pytest.approx((1 / 4, 2 / 3))
    assert by_length(CLIPS[:1], False) is None
    assert by_length([], False) is None


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_tested(tmp_path / "tested.json", CLIPS)
    assert read_tested(tmp_path / "tested.json") == CLIPS
    write_tested(tmp_path / "tested.json", CLIPS * MOST_CLIPS)
    assert len(read_tested(tmp_path / "tested.json")) == MOST_CLIPS


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"clips": [{"seconds": NaN, "reference": "yes", "by_sound": "yes"}]}',
        json.dumps({"clips": [GOOD | {"reference": ""}]}),
        json.dumps({"clips": [GOOD | {"by_sound": "a" * (LONGEST_TEXT + 1)}]}),
        json.dumps({"clips": [GOOD | {"seconds": "1"}]}),
        json.dumps({"clips": [GOOD] * (MOST_CLIPS + 1)}),
        json.dumps({"clips": [GOOD]}) + " " * LARGEST_FILE,
    ],
)
def test_a_file_that_is_none_is_no_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "tested.json").write_text(content, encoding="utf-8")
    assert read_tested(tmp_path / "tested.json") == []


def test_the_page_escapes_it_and_is_silent_without_it(tmp_path: Path) -> None:
    run, locale = Run(tmp_path), LOCALES["en-US"]
    view = RunView(state="finished", tested=EvalPoint(1, 1.0, 0.5, 0.2))
    assert learnt_html(run, view, locale) == ""
    write_tested(run.tested, [*CLIPS, TestedClip(seconds=1.0, reference="<img src=x>", by_sound="<b>")])
    html = learnt_html(run, view, locale)
    assert '<b lang="en-US">account</b> → <span lang="en-US">acount</span>, 2 times' in html
    assert "&lt;img" in html
    assert "<img" not in html
    assert learnt_html(run, RunView(state="running", tested=view.tested), locale) == ""
