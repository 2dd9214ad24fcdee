"""What a transcript looks like: as it comes, when it is there, and two of them side by side."""

import re
import xml.etree.ElementTree as ET

import pytest

from trainer.models.decoding import Word
from trainer.transcription.service import Waiting
from trainer.transcription.transcribe import Transcript
from trainer.transcription.turns import Progress
from trainer.ui import transcript_html as drawing
from trainer.ui.comparison_html import ALIKE, DIFFERENT, Compared, comparison_html
from trainer.ui.newest import Failed, Stopped
from trainer.ui.transcript_html import UNSURE, Screen, progress_words, transcript_html

EVIL = """"><img src=x onerror='alert(1)'><script>alert(1)</script>&amp;"""


def said(text: str, gap: float = 0.1, sure: float = 1.0, model: str = "your model") -> Transcript:
    """A word a second, with such pauses."""
    words = tuple(
        Word(word, number * (1 + gap), number * (1 + gap) + 1, sure) for number, word in enumerate(text.split())
    )
    return Transcript(text, words, 300.0, 2.0, model)


def tree(html: str) -> ET.Element:
    return ET.fromstring(f"<root>{html}</root>")


def test_words_carry_their_times_and_one_of_them_is_reached_by_tab() -> None:
    words = [
        element for element in tree(transcript_html(said("a bird sings"))).iter("span") if "data-at" in element.attrib
    ]
    assert [(word.text, word.get("data-at"), word.get("tabindex")) for word in words] == [
        ("a", "0 1", "0"),
        ("bird", "1.1 2.1", None),
        ("sings", "2.2 3.2", None),
    ]


def test_what_stands_there_is_what_was_heard() -> None:
    for text in ("a bird sings", "请冻结 我 的 卡", "我 要 ATM 卡"):
        html = transcript_html(Transcript("", said(text).words, 1.0, 1.0, "m", ""))
        assert "heard no words" in html, "the text decides"
    shown = tree(transcript_html(Transcript("我要 ATM 卡", said("我 要 ATM 卡").words, 1.0, 1.0, "m")))
    assert "".join(next(shown.iter("p")).itertext()) == "我要ATM卡"
    assert "".join(next(tree(transcript_html(said("a bird"))).iter("p")).itertext()) == "a bird"


def test_unsure_words_are_told_by_more_than_colour() -> None:
    sure, unsure = transcript_html(said("a bird", sure=UNSURE)), transcript_html(said("a bird", sure=UNSURE - 0.01))
    assert "unsure" not in sure
    assert (
        unsure.count('aria-description="unsure"') == 2
        and "2 words are underlined: the model was not sure of them." in unsure
    )
    assert "One word is underlined: the model was not sure of it." in transcript_html(said("bird", sure=0.1))


def test_a_long_text_is_in_paragraphs() -> None:
    text = " ".join(["canary"] * 400)
    paragraphs = list(tree(transcript_html(said(text))).find("div").iter("p"))  # type: ignore[union-attr]
    lengths = [len("".join(paragraph.itertext())) for paragraph in paragraphs]
    assert len(lengths) > 3 and max(lengths) <= 600 and sum(lengths) + len(lengths) - 1 == len(text)


@pytest.mark.parametrize(("words", "above"), [(5, False), (400, True)])
def test_a_long_text_is_copied_without_scrolling_to_its_end(words: int, above: bool) -> None:
    html = transcript_html(said(" ".join(["canary"] * words)))
    assert (html.index('data-copy="transcript"') < html.index('id="transcript"')) == above


@pytest.mark.parametrize(
    ("seconds", "left", "words"),
    [
        (120.0, 41.0, "2 min of 5 min · about 40 s left"),
        (14.2, None, "14 s of 5 min"),
        (299.0, 0.4, "4 min 59 s of 5 min · about 5 s left"),
        (61.0, 601.0, "1 min 1 s of 5 min · about 10 min left"),
    ],
)
def test_how_far_it_is_is_said(seconds: float, left: float | None, words: str) -> None:
    assert progress_words(Progress(said("a"), seconds, left)) == words


def test_steps_take_the_place_of_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(drawing.time, "monotonic", lambda: now[0])
    screen = Screen("Instead. ")
    assert "Instead. One other recording comes before yours" in screen.show(Waiting("turn", 1))
    half = Progress(said("a bird"), 150.0, 9.0)
    shown = screen.show(half)
    assert "<p>a bird</p>" in shown and 'aria-valuenow="50"' in shown and "your model listens" in shown
    assert screen.show(half) == "" == screen.show(None), "not ten times a second"
    now[0] += drawing.SECONDS_BETWEEN_DRAWINGS
    assert screen.show(half) == shown
    assert "a bird" in screen.show(Waiting("turn", 2)) and "2 other recordings come before yours" in screen.show(
        Waiting("turn", 2)
    )
    assert screen.show(Waiting("turn", 0)) == ""
    stopped = screen.show(Stopped())
    assert "Stopped after 2 min 30 s of 5 min of sound" in stopped and 'id="transcript"' in stopped
    assert "Nothing was written down" in Screen().show(Stopped())
    assert "log calls it" in Screen().show(Failed(RuntimeError("/home/secret"))) and "secret" not in screen.show(
        Failed(RuntimeError("/home/secret"))
    )


def columns(html: str) -> list[str]:
    return re.findall(r'<p class="heard">(.*?)</p>', html)


def test_what_two_models_heard_differently_is_underlined_in_both() -> None:
    html = comparison_html(
        Compared(said("can i yuse my card", model="before"), said("can i use my card now", model="now"))
    )
    first, second = columns(html)
    assert first == 'can i <u class="differs" title="the other heard: use">yuse</u> my card'
    assert second.startswith(
        'can i <u class="differs" title="the other heard: yuse">use</u> my card <u class="differs"'
    )
    assert "<strong>before</strong>" in html and "<strong>now</strong>" in html and DIFFERENT in html
    for written in ("the same, as i said", "The same, as I said."):  # as other models write it
        alike = comparison_html(Compared(said("the same as i said"), said(written)))
        assert ALIKE in alike and "<u" not in alike


def test_with_what_was_said_both_are_judged() -> None:
    html = comparison_html(Compared(said("can i yuse my"), said("can i use my card"), "Can I use my card?"))
    assert re.findall(r'class="figure">(.*?)<', html) == ["Words wrong: 40 %", "Words wrong: 0 %"]
    assert 'title="should be: use"' in columns(html)[0] and "missing: card" in columns(html)[0]
    assert columns(html)[1] == "can i use my card"
    han = comparison_html(Compared(said("我要卡"), said("我要"), "我要卡。"))
    assert re.findall(r'class="figure">(.*?)<', han) == ["Characters wrong: 0 %", "Characters wrong: 33 %"]


def test_nothing_heard_and_nothing_said_is_no_error() -> None:
    assert columns(comparison_html(Compared(said(""), said("a bird"))))[0] == '<span class="nothing">no words</span>'
    assert "Words wrong: 100 %" in comparison_html(Compared(said(""), said("a bird"), "a bird"))
    assert "Words wrong" not in comparison_html(Compared(said("a"), said("b"), " … ! "))


def test_hostile_text_in_a_comparison_makes_no_element() -> None:
    for typed in ("", EVIL):
        html = comparison_html(Compared(said(EVIL, model=EVIL), said("x", model=EVIL), typed))
        assert {element.tag for element in tree(html).iter()} <= {"root", "div", "p", "strong", "u", "s", "span"}
