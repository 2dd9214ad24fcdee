"""The figures that people see are jiwer's, over all clips together, and work without a network."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trainer.speech.metrics import Piece, error_rates, marked_words


@pytest.mark.parametrize(
    ("references", "hypotheses", "wer", "cer"),
    [
        (["a b c d", "e"], ["a x c", ""], 3 / 5, 4 / 8),  # 2 + 1 words of 5, not the mean over clips
        (["yes"], ["yes"], 0.0, 0.0),
        (["yes"], ["oh yes yes"], 2.0, 7 / 3),  # more than all of it
        (["", "a"], ["b", "a"], 1.0, 1.0),  # an empty reference counts what was made up
        ([""], ["two words"], 2.0, 9.0),
        ([], [], 0.0, 0.0),
        (["我的卡"], ["我卡"], 1.0, 1 / 3),
    ],
)
def test_rates_over_all_clips(references: list[str], hypotheses: list[str], wer: float, cer: float) -> None:
    rates = error_rates(references, hypotheses)
    assert (rates.wer, rates.cer) == (pytest.approx(wer), pytest.approx(cer))


def test_lists_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="2 references"):
        error_rates(["a", "b"], ["a"])


def test_differing_words_are_marked_in_reading_order() -> None:
    pieces = marked_words("please freeze my new bank card", "police freeze my bank card now")
    assert pieces == [
        Piece("police", "wrong", "please"),
        Piece("freeze", "same"),
        Piece("my", "same"),
        Piece("new", "missing", "new"),
        Piece("bank", "same"),
        Piece("card", "same"),
        Piece("now", "extra"),
    ]
    assert " ".join(piece.text for piece in pieces if piece.kind != "missing") == "police freeze my bank card now"


def test_characters_are_marked_where_there_are_no_words() -> None:
    pieces = marked_words("请冻结我的卡", "请动结我卡", by_character=True)
    assert [piece.kind for piece in pieces] == ["same", "wrong", "same", "same", "missing", "same"]
    assert marked_words("", "") == []
    assert marked_words("a", "") == [Piece("a", "missing", "a")]


def test_evaluate_metrics_work_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import evaluate

    from trainer.speech.evaluate_metrics import Cer, Wer

    references, hypotheses = ["a b c d", "e"], ["a x c", ""]
    expected = error_rates(references, hypotheses)
    wer = Wer(cache_dir=str(tmp_path))
    assert wer.compute(predictions=hypotheses, references=references) == {"wer": expected.wer}
    wer.add(prediction="a x c", reference="a b c d")
    wer.add_batch(predictions=[""], references=["e"])
    assert wer.compute() == {"wer": expected.wer}
    both = evaluate.combine([Wer(cache_dir=str(tmp_path)), Cer(cache_dir=str(tmp_path))])
    assert both.compute(predictions=hypotheses, references=references) == {"wer": expected.wer, "cer": expected.cer}


def test_error_rates_by_way_of_evaluate_touch_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from evaluate import config

    from trainer.speech.evaluate_metrics import measured

    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setattr(config, "HF_METRICS_CACHE", blocked / "metrics")  # as on a disk that cannot be written to
    monkeypatch.setattr(tempfile, "tempdir", str(blocked / "tmp"))
    references, hypotheses = ["a b c d", "e"], ["a x c", ""]
    assert measured(references, hypotheses) == error_rates(references, hypotheses)
    with pytest.raises(ValueError, match=r"[Mm]ismatch|2 references"):
        measured(["a", "b"], ["a"])


def test_metrics_of_several_trainings_do_not_meet() -> None:
    from trainer.speech.evaluate_metrics import Wer

    def rate(number: int) -> float:
        metric = Wer()
        for clip in range(20):
            metric.add_batch(predictions=["x" if clip < number else "a"], references=["a"])
        return float(metric.compute()["wer"])

    with ThreadPoolExecutor(8) as several:
        assert list(several.map(rate, range(20))) == [number / 20 for number in range(20)]
