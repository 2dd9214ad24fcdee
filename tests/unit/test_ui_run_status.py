"""The table of guesses and the clips to play: everything from recordings and models is text, never markup."""

import re
import xml.etree.ElementTree as ET
from html import unescape

import pytest

from trainer.errors import UserError
from trainer.runs.view import DataReport, Guess, RunView
from trainer.speech.locales import LOCALES
from trainer.speech.preview import DataPreview, Sample
from trainer.transcription.transcribe import Transcript
from trainer.ui.components import explain, note, play_button, sounds
from trainer.ui.data_preview import banner, data_card
from trainer.ui.run_status import learning_table, marked, notes, status_line
from trainer.ui.transcript_html import transcript_html

ENGLISH, CHINESE = LOCALES["en-US"], LOCALES["zh-CN"]
EVIL = """"><img src=x onerror='alert(1)'> ${alert(1)} {{x}} `</td><script>alert(1)</script>&amp;"""


def view_saying(text: str) -> RunView:
    view = RunView(state="failed", what=text, todo=text, started=0.0, notes=[text])
    view.data = DataReport(text, text, 1, 1, 1.0, 1.0, {text: 1})
    return view


@pytest.mark.parametrize(
    "html",
    [
        learning_table([Guess(0, EVIL, EVIL), Guess(1, "said", EVIL), Guess(2, EVIL, "heard")], ENGLISH, True),
        learning_table([Guess(0, EVIL, "x")], CHINESE, True),
        play_button(EVIL, EVIL),
        data_card(DataPreview(EVIL, EVIL, 3, 9.0, [Sample(EVIL, b"RIFF")]), ENGLISH),
        banner(EVIL),
        note(EVIL),
        status_line(view_saying(EVIL), ENGLISH, None),
        notes(view_saying(EVIL)),
        transcript_html(Transcript(EVIL, (), 1.0, 0.1, EVIL)),
        sounds('"><b>', [b"RIFF"]),
    ],
)
def test_hostile_text_makes_no_element_of_its_own(html: str) -> None:
    known = re.split(" ", "table caption thead tbody tr th td span u s a button svg path p ul li div strong audio root")
    tree = ET.fromstring(f"<root>{html}</root>")
    assert {element.tag for element in tree.iter()} <= set(known)
    assert all(link.get("href", "").startswith("data:") for link in tree.iter("a"))
    assert not any(name.startswith("on") for element in tree.iter() for name in element.attrib)


def test_what_differs_is_marked_by_more_than_colour() -> None:
    html = marked(Guess(0, "please freeze my card now", "pleas freeze my my card"), ENGLISH)
    assert '<u class="wrong" title="should be: please">pleas</u>' in html
    assert '<s class="extra" title="was not said">my</s>' in html
    assert "missing: now" in html


def test_chinese_is_compared_by_character_without_spaces() -> None:
    html = marked(Guess(0, "请冻结我的卡", "请冻住我的卡"), CHINESE)
    assert html.startswith("请冻<u") and html.endswith("</u>我的卡")


def test_nothing_heard_is_said() -> None:
    assert "nothing yet" in learning_table([Guess(0, "hello", " ")], ENGLISH, True)


def test_each_clip_has_a_named_button_only_where_it_can_be_played() -> None:
    table = learning_table([Guess(3, "hello there", "hello")], ENGLISH, playable=True)
    assert 'data-sound="clip-3"' in table and 'aria-label="Play: hello there"' in table
    assert "<button" not in learning_table([Guess(3, "hello there", "hello")], ENGLISH, playable=False)


def test_sounds_keep_their_numbers_where_one_is_missing() -> None:
    html = sounds("clip", [b"a", None, b"c"])
    assert 'id="clip-0"' in html and 'id="clip-1"' not in html and 'id="clip-2"' in html


def test_the_data_in_one_line() -> None:
    preview = DataPreview("Practice voices", "", 1234, 360.0, [])
    assert "1 234 clips · 6 min · Practice voices" in data_card(preview, ENGLISH)
    assert "Fetching" in data_card(preview, ENGLISH, more_coming=True)


def test_a_transcript_without_words_is_no_empty_box() -> None:
    html = transcript_html(Transcript("  ", (), 4.2, 0.31, "your model"))
    assert "heard no words" in html and "4.2 s of sound · took 0.3 s · your model" in html


def test_an_unexpected_error_shows_a_number_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    words = explain(RuntimeError("/home/secret/path is not readable"))
    assert "secret" not in words and "RuntimeError" not in words
    number = words.rstrip(".").rsplit(" ", 1)[1]
    assert number in caplog.text and "/home/secret/path" in caplog.text
    assert explain(UserError("It broke.", "Mend it.")) == "It broke. Mend it."
    assert unescape(note("a < b")).count("<") == 3


def test_it_is_said_which_clips_are_for_what() -> None:
    view = RunView(data=DataReport("Practice voices", "", 84, 34, 300.0, 110.0, {}, 20, 75.0, "practice"))
    assert "Practice voices: 84 clips to learn from, 20 to watch it by, 34 kept aside for the end." in notes(view)
    older = RunView(data=DataReport("Practice voices", "", 84, 20, 300.0, 75.0, {}))
    assert "84 clips to learn from, 20 to check with." in notes(older)
