"""The phrases of a run: learnt from what it trained on alone, saved with the model, and judged apart from it."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.models import files_in, save_answering, save_tiny_base
from tests.fakes.run_folder import write_run
from tests.fakes.sharable import sharable_run
from tests.fakes.sounds import save_folder
from tests.fakes.training import Events, context_in
from trainer.errors import UserError
from trainer.jobs import worker
from trainer.models.beam_search import BeamDecoder
from trainer.models.confidence import Calibration, read_calibration
from trainer.models.ctc_model import open_checkpoint
from trainer.models.decoding import Word
from trainer.models.inference import piece_seconds_of
from trainer.models.language_model import PHRASES, LanguageModel, learn, read
from trainer.models.model_files import read_notes
from trainer.publishing import archive, publish
from trainer.publishing.archive import how_to
from trainer.publishing.model_card import card
from trainer.publishing.options import PublishOptions
from trainer.publishing.run_report import facts_of, published
from trainer.runs import schema
from trainer.runs.events import EventLog, EventReader
from trainer.runs.view import DataReport, EvalPoint, RunView, fold
from trainer.settings import Settings
from trainer.speech.audio import load_audio, to_16_bit
from trainer.speech.dataset import Example
from trainer.speech.locales import LOCALES
from trainer.speech.mistakes import read_tested
from trainer.training import session, trust
from trainer.training.context import Places
from trainer.training.evaluation import evaluate
from trainer.training.finetune import finetune
from trainer.training.recipe import Recipe
from trainer.transcription.subtitles import write
from trainer.transcription.transcribe import Transcript
from trainer.ui.transcript_html import FILES, MOST_SPELT, transcript_html
from trainer.ui.wording import result_sentence

EN, ZH = LOCALES["en-US"], LOCALES["zh-CN"]
LEARNT, WATCHED, JUDGED = ["abc", "hello there", "no", "what is this"], ["so so", "is it"], ["hello no", "what abc"]


def tuned(folder: Path, judged: list[str]) -> tuple[Events, Places, list[Example]]:
    """A fine-tune of two steps, and the test split's examples."""
    splits = {"train": LEARNT, "validation": WATCHED, "test": judged}
    rows = [(text, split) for split, texts in splits.items() for text in texts]
    data, base, events = save_folder(folder / "data", rows), save_tiny_base(folder / "base"), list[Any]()
    values: dict[str, Any] = {"max_steps": 2, "eval_steps": 2, "batch_seconds": 10.0, "warmup_steps": 0}
    context = context_in(folder, events)
    context = replace(context, places=replace(context.places, tested=folder / "tested.json"))
    finetune(Recipe(data=str(data), base=str(base), **values), Settings(data_dir=folder), context)
    clips = [data / f"{number}.wav" for number, (_, split) in enumerate(rows) if split == "test"]
    examples = [
        Example(file.name, to_16_bit(load_audio(file).samples), text, text.replace(" ", "|"))
        for file, text in zip(clips, judged, strict=True)
    ]
    return events, context.places, examples


def trigrams(model: LanguageModel | None) -> set[str]:
    assert model is not None
    return {word for row in model._trigrams for word in row if word}


def test_a_model_lies_beside_the_phrases_and_the_clip_length_that_it_learnt_from(tmp_path: Path) -> None:
    events, places, examples = tuned(tmp_path, JUDGED)
    phrases = read(places.model)
    assert trigrams(phrases) == {word for text in LEARNT for word in text.split()}, "nothing of what it is judged by"
    notes = read_notes(places.model)
    assert notes["clip_seconds"] == piece_seconds_of(notes) == pytest.approx(1.3, abs=0.3)
    told = next(event for event in events if event["event"] == "tested")
    kept = open_checkpoint(files_in(places.model))
    alone = evaluate(kept, examples, EN)
    assert alone.with_phrases is None and (told["wer"], told["cer"]) == (alone.rates.wer, alone.rates.cer)
    both = evaluate(kept, examples, EN, phrases=BeamDecoder(kept.vocabulary, phrases))
    assert both.rates == alone.rates and both.hypotheses == alone.hypotheses and both.with_phrases
    assert places.tested is not None
    kept_clips = read_tested(places.tested)
    assert [clip.reference for clip in kept_clips] == JUDGED
    assert [clip.by_sound for clip in kept_clips] == both.hypotheses
    assert [clip.with_words for clip in kept_clips] == both.phrased
    expected = {"wer": both.with_phrases.wer, "cer": both.with_phrases.cer}
    assert {"wer": told["phrases_wer"], "cer": told["phrases_cer"]} == expected == notes["test_with_phrases"]
    event = {"seq": 1, "time": "2026-01-01T00:00:00+00:00", "attempt": 1, **told}
    assert schema.parse(json.dumps(event)) == event


@pytest.mark.parametrize("judged", [LEARNT, [*JUDGED, "hello there"]])
def test_what_is_known_by_heart_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: list[str]
) -> None:
    """A text in both splits would be written down without listening."""
    asked: list[set[str]] = []

    def learning(texts: set[str], *rest: Any) -> LanguageModel:
        asked.append(set(texts))
        return learn(texts, *rest)

    monkeypatch.setattr(session, "learn", learning)
    events, places, _ = tuned(tmp_path, judged)
    told = next(event for event in events if event["event"] == "tested")
    assert asked[-1] == set(LEARNT) - set(judged)
    assert "phrases_wer" in told and "test_with_phrases" in read_notes(places.model), "common words are known anyway"
    assert trigrams(read(places.model)) == {word for text in LEARNT for word in text.split()}, "the model has them all"


def test_what_confidence_is_worth_is_found_by_the_clips_that_the_model_was_chosen_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fit(sure: list[float], right: list[bool]) -> Calibration:
        assert len(sure) == len(right)
        asked.append(len(sure))
        return Calibration(0.5, 1.0 + len(asked))

    monkeypatch.setattr(trust, "fitted", fit)
    _, places, _ = tuned(tmp_path, JUDGED)
    notes = read_notes(places.model)
    assert len(asked) == 2 and {"test", "test_with_phrases", "validation"} <= notes.keys()
    assert read_calibration(notes, "spelt") == Calibration(0.5, 2.0)
    assert read_calibration(notes, "phrases") == Calibration(0.5, 3.0)


def test_both_ways_of_decoding_are_judged_by_the_same_sound(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(files_in(save_answering(tmp_path / "model", "a")))
    sound = (0.1 * np.sin(np.arange(16_000) / 9) * 32767).astype(np.int16)
    heard = evaluate(checkpoint, [Example("a", sound, "a", "a")], EN, phrases=lambda logits: [])
    assert heard.rates.wer == 0.0 and heard.hypotheses == ["a"]
    assert heard.with_phrases is not None and heard.with_phrases.wer == heard.with_phrases.cer == 1.0


def test_older_events_have_no_phrases_and_odd_ones_are_none() -> None:
    event = {"seq": 1, "time": "2026-01-01T00:00:00+00:00", "attempt": 1, "event": "tested"}
    event |= {"step": 3, "loss": 1.0, "wer": 0.5, "cer": 0.2}
    assert schema.parse(json.dumps(event)) == event
    view = fold(RunView(best_step=3), [event])
    assert view.test is not None and view.test.phrases_wer is view.test.phrases_cer is None
    for odd in ("0.1", -0.1, None, True):
        assert schema.parse(json.dumps({**event, "phrases_wer": odd})) is None, odd


def test_figures_with_phrases_belong_to_the_model_that_was_kept(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("model_saved", step=6)
    log.append("tested", step=6, loss=3.5, wer=0.6, cer=0.45, phrases_wer=0.4, phrases_cer=0.3)
    log.append("resumed", step=4, checked=0)
    view = fold(RunView(), EventReader(log.path).read_new())
    assert view.test is not None and (view.test.phrases_wer, view.test.phrases_cer) == (0.4, 0.3)
    log.append("phase", phase="training", done=4, total=10)
    log.append("model_saved", step=8)
    assert fold(RunView(), EventReader(log.path).read_new()).test is None
    log.close()


def test_the_result_says_both_where_both_were_measured() -> None:
    def said(locale: Any = EN, **phrases: float) -> str:
        view = RunView(state="finished", max_steps=300, started=1000.0, ended=1160.0, best_step=300)
        view.data = DataReport("Practice voices", "", 180, 34, 600.0, 100.0, {}, 21, 70.0, "practice")
        view.untrained_test = EvalPoint(0, None, 0.61, 0.4)
        view.tested = EvalPoint(300, 1.0, 0.25, 0.11, False, **phrases)
        return result_sentence(view, locale)

    alone = "Word errors fell from 61 % to 25 % in 2 min 40 s, on the 34 clips kept aside for the end"
    assert said() == f"{alone}."
    assert said(phrases_wer=0.14, phrases_cer=0.07) == f"{alone}; 14 % with the words and phrases it knows."
    assert said(phrases_wer=0.253, phrases_cer=0.07) == f"{alone}.", "they changed nothing"
    assert said(ZH, phrases_wer=0.14, phrases_cer=0.07).endswith(
        "kept aside for the end; 7 % with the words and phrases it knows."
    )


def test_a_shared_model_names_its_phrases_and_does_not_hold_them(tmp_path: Path) -> None:
    run = sharable_run(tmp_path)
    learn(["the canary sings"], EN).save(run.model)
    assert PHRASES not in publish.MODEL_FILES and PHRASES in worker.MODEL_FILES
    facts = facts_of(run)
    options = PublishOptions("my-model")
    assert "phrases" not in card(facts, options, "anna/my-model", "https://hub", False)
    events = EventReader(run.events).read_new()
    for event in events:
        event.update({"phrases_wer": 0.143, "phrases_cer": 0.06} if event["event"] == "tested" else {})
    text = card(facts_of(run, events), options, "anna/my-model", "https://hub", False)
    figures = "WER 14.3 %, CER 6.0 % on the test clips"
    row = f"| Errors with common words, and phrases of its training text (not shared) | {figures} |"
    assert row in text and "| **26.0 %** |" in text and "canary" not in text
    line = next(line for line in published(events).decode().splitlines() if '"tested"' in line)
    assert json.loads(line)["phrases_wer"] == 0.143


def test_the_zip_says_what_the_phrases_in_it_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_write_onnx", lambda *_: "None here.")
    run = write_run(tmp_path)
    for there in (False, True):
        if there:
            learn(["the canary sings"], EN).save(run.model)
        with archive.zipfile.ZipFile(archive.zip_model(run, tmp_path / "made")) as made:
            names = [Path(name).name for name in made.namelist()]
            told = made.read(f"voicetune-{run.id}/{archive.HOW_TO}").decode()
        assert (PHRASES in names) is ("quotes the training transcripts" in told) is there
    assert "phrases" not in how_to("a", "wav2vec2")


def test_phrases_that_are_none_are_refused_in_a_sentence(tmp_path: Path) -> None:
    for hostile in (b"{", b"[1]", b'{"kind": "voicetune phrases"}', b'{"a":' * 99 + b"1" + b"}" * 99, b"\xff\xfe"):
        (tmp_path / PHRASES).write_bytes(hostile)
        with pytest.raises(UserError):
            read(tmp_path)
    (tmp_path / PHRASES).unlink()
    (tmp_path / PHRASES).symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="leads out"):
        read(tmp_path)


def heard(text: str, spelt: str) -> Transcript:
    words = tuple(Word(word, number, number + 0.5, 0.9) for number, word in enumerate(text.split()))
    return Transcript(text, words, 3.0, 0.1, "your model", spelt)


def test_what_phrases_changed_is_said_below_the_text() -> None:
    assert "By sound alone" not in transcript_html(heard("a cat", "a cat")) + transcript_html(heard("a cat", ""))
    shown = transcript_html(heard("a <cat>", "a <kat>"))
    assert 'id="spelt"><summary>By sound alone</summary>a &lt;kat&gt;</details>' in shown and "<cat>" not in shown
    long = transcript_html(heard("a cat", "x" * 5_000))
    assert "x" * MOST_SPELT + " …</details>" in long and "x" * (MOST_SPELT + 1) not in long


def test_the_text_can_be_taken_away_as_files() -> None:
    said = heard("a <cat> & dog", "")
    links = dict(
        re.findall(r'download="transcript\.(\w+)" href="data:[\w/-]+;base64,([\w+/=]+)"', transcript_html(said))
    )
    assert list(links) == list(FILES)
    for kind in FILES:
        assert base64.b64decode(links[kind]).decode() == write(said, kind)
