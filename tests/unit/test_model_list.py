"""Which models are on offer, which one is chosen by itself, and what is said of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.run_folder import write_run
from trainer.errors import UserError
from trainer.models import resolve
from trainer.runs.run import LOCAL_OWNER
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.transcription import model_list
from trainer.transcription.model_list import (
    MOST,
    choice_here,
    folder_of_choice,
    model_choices,
    recent_models,
    remember_choice,
)
from trainer.transcription.service import TranscriptionService
from trainer.ui import transcribe_handlers
from trainer.ui.model_note import model_note
from trainer.ui.transcribe_handlers import TranscribeHandlers
from trainer.ui.transcribe_tab import ANY_LANGUAGE
from trainer.ui.visitors import Visitor

READY = "ready:en"
ENGLISH = "hub:facebook/wav2vec2-base-960h"
BEST = ["hub:openai/whisper-small", "hub:openai/whisper-large-v3-turbo"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture(autouse=True)
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that comes with Voicetune; what is in it does not matter here."""
    folder = tmp_path / "heads" / "en"
    folder.mkdir(parents=True)
    (folder / "head.safetensors").touch()
    monkeypatch.setattr(resolve, "STARTER_HEADS", folder.parent)
    return folder


def offered(settings: Settings, locale: str | None = None) -> list[str]:
    return [choice.value for choice in model_choices(settings, LOCAL_OWNER, LOCALES[locale] if locale else None)]


def test_ones_own_come_first_then_what_is_here_then_the_hub(settings: Settings) -> None:
    assert offered(settings)[:2] == [READY, ENGLISH]
    run = write_run(settings.data_dir)
    assert offered(settings)[:3] == [f"run:{run.id}", READY, ENGLISH]
    assert offered(settings, "en-GB") == [f"run:{run.id}", READY, ENGLISH, *BEST]
    assert READY not in offered(settings, "de-DE")
    assert offered(settings, "ko-KR") == [f"run:{run.id}", *BEST]
    assert offered(settings)[-2:] == BEST


def test_the_ready_model_opens_and_nothing_else_by_its_prefix(settings: Settings, ready: Path) -> None:
    assert folder_of_choice(READY, settings, LOCAL_OWNER) == ready
    for wrong in ("ready:de-DE", "ready:", "ready:../starter", f"ready:{ready}"):
        with pytest.raises(UserError):
            folder_of_choice(wrong, settings, LOCAL_OWNER)


def test_a_copy_without_the_ready_model_offers_the_rest(settings: Settings, ready: Path) -> None:
    (ready / "head.safetensors").unlink()
    assert offered(settings)[0] == ENGLISH
    with pytest.raises(UserError, match="did not come with this copy"):
        folder_of_choice(READY, settings, LOCAL_OWNER)
    with pytest.raises(UserError, match="no model yet"):
        choice_here(settings, LOCAL_OWNER)


def test_what_works_without_a_download_is_ones_newest_else_the_ready_one(settings: Settings) -> None:
    assert choice_here(settings, LOCAL_OWNER).value == READY
    run = write_run(settings.data_dir)
    assert choice_here(settings, LOCAL_OWNER).value == f"run:{run.id}"
    assert choice_here(settings, "somebody else").value == READY


KEPT = "what is chosen on the page now"


def chosen(answer: list[Any]) -> str | None:
    assert "value" not in answer[0], "the list says nothing of what is chosen: another may have been meanwhile"
    asked, value = answer[2][0]
    return KEPT if value == asked else value


def test_the_tab_chooses_the_ready_model_until_there_is_one_of_ones_own(settings: Settings) -> None:
    handlers, me = TranscribeHandlers(settings, TranscriptionService(settings)), Visitor("", settings)
    answer = handlers.choices(me, ANY_LANGUAGE, None, None)
    assert (chosen(answer), answer[1]) == (READY, None)
    run = write_run(settings.data_dir)
    answer = handlers.choices(me, ANY_LANGUAGE, READY, None)
    assert (chosen(answer), answer[1]) == (f"run:{run.id}", run.id)
    answer = handlers.choices(me, ANY_LANGUAGE, READY, run.id)  # chosen by hand, to compare
    assert chosen(answer) == KEPT


def test_what_was_chosen_or_typed_stays(settings: Settings) -> None:
    handlers, me = TranscribeHandlers(settings, TranscriptionService(settings)), Visitor("", settings)
    assert chosen(handlers.choices(me, "de-DE", "somebody/their-model", None)) == KEPT
    assert chosen(handlers.choices(me, "de-DE", READY, None)) == "hub:jonatasgrosman/wav2vec2-large-xlsr-53-german"
    assert chosen(handlers.choices(me, "ko-KR", READY, None)) is None


def test_what_is_said_of_the_ready_model_is_what_was_measured(ready: Path) -> None:
    assert "was not measured" in model_note(READY, False, True)
    (ready / "voicetune.json").write_text(json.dumps({"people": {"cer": 0.124, "clips": 14}}))
    with_hub, without = model_note(READY, False, True), model_note(READY, True, False)
    for words in (with_hub, without):
        assert "about 1 letter in 8 wrong in 14 clips of people" in words
    assert "choose “English from the Hub · wav2vec2-base-960h” above" in with_hub
    assert "Hub" not in without and "fine-tune one of your own" in without
    (ready / "voicetune.json").write_text(json.dumps({"people": {"cer": 0.42, "clips": 1}}))
    assert "about 4 letters in 10 wrong in one clip" in model_note(READY, False, False)


def test_other_models_are_explained_only_where_it_helps() -> None:
    assert "needs the internet" in model_note(ENGLISH, own=False, hub=True)
    assert model_note(ENGLISH, own=True, hub=True) == ""
    assert model_note("run:20261123-151204-en-US-9f3a1c", own=True, hub=True) == ""
    assert model_note("somebody/their-model", own=False, hub=True) == ""


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def save_fetched(settings: Settings, repo: str) -> None:
    """As a download leaves it in the cache."""
    folder = settings.models_dir / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_bytes(b"{}")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("c" * 40)


@pytest.mark.usefixtures("offline")
def test_offline_what_has_to_be_downloaded_says_so_in_the_list(settings: Settings) -> None:
    write_run(settings.data_dir)
    for repo in ("anna/here", "anna/gone"):
        remember_choice(repo, settings, LOCAL_OWNER)
    save_fetched(settings, "anna/here")
    handlers, me = TranscribeHandlers(settings, TranscriptionService(settings)), Visitor("", settings)
    at_once, marked = (
        {value: label for label, value in answer["choices"]}
        for answer in (handlers.choices(me, "en-US", None, None)[0], handlers.mark(me, "en-US"))
    )
    assert list(at_once) == list(marked), "the same list"
    assert not any("needs the internet" in label for label in at_once.values()), "nothing was asked yet"
    away = [value for value, label in marked.items() if "needs the internet" in label]
    assert away == ["hub:anna/gone", ENGLISH, *BEST]


def test_with_the_hub_there_no_model_is_marked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribe_handlers, "reachable", lambda endpoint, seconds: True)
    handlers, me = TranscribeHandlers(settings, TranscriptionService(settings)), Visitor("", settings)
    assert handlers.mark(me, "en-US") == handlers.choices(me, "en-US", None, None)[0]


@pytest.mark.usefixtures("offline")
def test_what_cannot_be_used_now_is_said_before_anybody_talks(settings: Settings) -> None:
    handlers, me = TranscribeHandlers(settings, TranscriptionService(settings)), Visitor("", settings)
    save_fetched(settings, "anna/here")
    for choice, words in (
        (ENGLISH, "facebook/wav2vec2-base-960h needs the internet"),
        ("anna/gone", "anna/gone needs the internet"),
        ("no name <b>", "not the id of a model"),
        ("run:20261123-151204-en-US-9f3a1c", "not there any more"),
    ):
        said = handlers.about(me, choice)
        assert words in said and "data-unusable" in said
    for choice in ("anna/here", "hub:anna/here", READY, f"run:{write_run(settings.data_dir).id}"):
        assert "data-unusable" not in handlers.about(me, choice)
    for nothing in ("", None):  # while the page waits for its list
        assert handlers.about(me, nothing) == ""


def test_a_memory_that_was_tampered_with_ends_no_list(settings: Settings) -> None:
    remember_choice("anna/german", settings, LOCAL_OWNER)
    next((settings.data_dir / "recent-models").iterdir()).write_text('["../../etc", 7, "anna/german", "a b"]')
    assert recent_models(settings, LOCAL_OWNER) == ["anna/german"]


def test_a_model_that_listened_well_is_offered_to_its_owner_again(settings: Settings) -> None:
    for repo in ("anna/german", "hub:facebook/wav2vec2-base-960h", "https://huggingface.co/anna/german"):
        remember_choice(repo, settings, LOCAL_OWNER)
    remember_choice(READY, settings, LOCAL_OWNER)
    assert recent_models(settings, LOCAL_OWNER) == ["anna/german", "facebook/wav2vec2-base-960h"]
    assert offered(settings, "en-US") == [READY, "hub:anna/german", ENGLISH, *BEST]
    assert recent_models(settings, "somebodyelse") == []
    remember_choice(BEST[0], settings, LOCAL_OWNER)
    assert offered(settings, "en-US") == [READY, BEST[0], "hub:anna/german", ENGLISH, BEST[1]], "each once"


def test_only_so_many_are_remembered_and_a_broken_file_is_none(settings: Settings) -> None:
    for number in range(MOST + 3):
        remember_choice(f"anna/model-{number}", settings, LOCAL_OWNER)
    assert recent_models(settings, LOCAL_OWNER)[0] == f"anna/model-{MOST + 2}"
    assert len(recent_models(settings, LOCAL_OWNER)) == MOST
    next((settings.data_dir / "recent-models").iterdir()).write_text("{")
    assert recent_models(settings, LOCAL_OWNER) == []
    remember_choice("anna/german", settings, "../../escaped")
    assert len(list((settings.data_dir / "recent-models").iterdir())) == 2


def test_something_is_remembered_for_so_many_visitors(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new cookie is one."""
    monkeypatch.setattr(model_list, "MOST_OWNERS", 3)
    for number in range(9):
        remember_choice("anna/german", settings, f"visitor{number}")
        for file in (settings.data_dir / "recent-models").iterdir():
            os.utime(file, (file.stat().st_mtime - 10,) * 2)
    known = [number for number in range(9) if recent_models(settings, f"visitor{number}")]
    assert known == [6, 7, 8]
