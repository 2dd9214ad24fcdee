"""`from trainer import …`: a short fine-tune from Python, its words and its error rates."""

import json
import signal
from pathlib import Path

import pytest

from tests.fakes.sounds import save_folder
from trainer import Recipe, Transcript, UserError, evaluate, finetune, transcribe
from trainer.__main__ import main
from trainer.api import FineTuned
from trainer.runs.events import EventReader
from trainer.runs.follower import view_of
from trainer.runs.run import Run
from trainer.settings import STARTER_HEADS, Settings
from trainer.speech.audio import load_audio, to_wav
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source

RECIPE = Recipe(
    data="practice",
    max_steps=4,
    eval_steps=2,
    batch_seconds=None,
    batch_clips=2,
    clips=12,
    eval_clips=2,
    warmup_steps=0,
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"), hub_endpoint="http://127.0.0.1:9", hub_timeout=0.2)


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def taught(settings: Settings, told: list[str], tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    folder = tmp_path_factory.mktemp("runs") / "my-run"
    before = signal.getsignal(signal.SIGTERM)
    result = finetune(RECIPE, folder, on_event=lambda event: told.append(event["event"]), settings=settings)
    assert signal.getsignal(signal.SIGTERM) is before, "the caller's signals are the caller's"
    return result


@pytest.fixture
def clip(settings: Settings, tmp_path: Path) -> Path:
    """A sentence of the practice set, in 16 bits, so that its samples and its file are the same sound."""
    audio = open_source("practice", LOCALES["en-US"], settings).clips[0].audio
    assert audio is not None
    file = tmp_path / "clip.wav"
    file.write_bytes(to_wav(load_audio(audio).samples))
    return file


def test_a_model_is_taught_and_its_story_is_told(taught: FineTuned, told: list[str]) -> None:
    assert taught.finished and taught.steps == 4 and (taught.model / "model.safetensors").is_file()
    assert taught.untrained_wer is not None and taught.wer is not None and taught.cer is not None
    assert taught.judged_by == "test"
    assert told[0] == "queued" and told[-1] == "finished" and told.count("log") == 4
    run = Run(taught.run)
    assert [event["event"] for event in EventReader(run.events).read_new()] == told
    assert view_of(run).unreadable == 0, "what the trainer writes does not fit the schema"


def test_a_run_is_not_begun_twice(taught: FineTuned, settings: Settings) -> None:
    with pytest.raises(UserError, match="started before"):
        finetune(RECIPE, taught.run, settings=settings)
    with pytest.raises(UserError, match="nothing left to do"):
        finetune(RECIPE, taught.run, resume=True, settings=settings)


def test_a_failure_is_raised_with_its_reason(settings: Settings, tmp_path: Path) -> None:
    own = save_folder(tmp_path / "own", [("open the door", ""), ("who is there", ""), ("close it", "")])
    for sound in own.glob("*.wav"):
        sound.write_text("no sound", encoding="utf-8")  # only who decodes it finds that out
    with pytest.raises(UserError) as refused:
        finetune(RECIPE.change(data=str(own)), tmp_path / "run", settings=settings)
    assert view_of(Run(tmp_path / "run")).what == refused.value.what


def test_what_cannot_start_leaves_no_run(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="folder of recordings"):
        finetune(RECIPE.change(data=str(tmp_path / "nowhere")), tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


def test_error_rates_are_those_of_the_command(
    taught: FineTuned, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = evaluate(STARTER_HEADS / "en", data="practice", settings=settings)
    assert 0 < report.cer < report.wer < 0.8 and report.clips > 10 and report.data == "practice"
    monkeypatch.setenv("VOICETUNE_DATA", str(settings.data_dir))
    assert main(["evaluate", "--model", str(STARTER_HEADS / "en"), "--data", "practice", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["wer"], printed["cer"], printed["clips"]) == (report.wer, report.cer, report.clips)
    with pytest.raises(UserError, match="not a split"):
        evaluate(taught.model, data="practice", split="tests", settings=settings)


def test_words_of_a_file_and_of_its_samples_are_the_same(taught: FineTuned, settings: Settings, clip: Path) -> None:
    heard = transcribe(clip, settings=settings)  # with the practice model: the taught one lies elsewhere
    assert isinstance(heard, Transcript) and len(heard.text) > 5 and heard.words
    again = transcribe(load_audio(clip).samples, model=STARTER_HEADS / "en", settings=settings)
    assert again.text == heard.text
    assert isinstance(transcribe(str(clip), model=taught.model, settings=settings).text, str)
