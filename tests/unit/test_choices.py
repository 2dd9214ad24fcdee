"""Which models are on offer, which one is chosen by itself, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.run_folder import write_run
from trainer.errors import UserError
from trainer.runs.run import LOCAL_OWNER
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.transcription import choices
from trainer.transcription.choices import choice_here, folder_of_choice, model_choices, remember_choice
from trainer.transcription.worked import MOST, worked
from trainer.ui.model_note import model_note
from trainer.ui.transcribe_tab import ANY_LANGUAGE, Listener

READY = "ready:en-US"
ENGLISH = "hub:facebook/wav2vec2-base-960h"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture(autouse=True)
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that comes with Voicetune; what is in it does not matter here."""
    folder = tmp_path / "ready-en-US"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setattr(choices, "READY_MADE", {"en-US": folder})
    return folder


def offered(settings: Settings, locale: str | None = None) -> list[str]:
    return [choice.value for choice in model_choices(settings, LOCAL_OWNER, LOCALES[locale] if locale else None)]


def test_ones_own_come_first_then_what_is_here_then_the_hub(settings: Settings) -> None:
    assert offered(settings)[:2] == [READY, ENGLISH]
    run = write_run(settings.data_dir)
    assert offered(settings)[:3] == [f"run:{run.id}", READY, ENGLISH]
    assert offered(settings, "en-GB") == [f"run:{run.id}", READY, ENGLISH]
    assert READY not in offered(settings, "de-DE")
    assert offered(settings, "ko-KR") == [f"run:{run.id}"]


def test_the_ready_model_opens_and_nothing_else_by_its_prefix(settings: Settings, ready: Path) -> None:
    assert folder_of_choice(READY, settings, LOCAL_OWNER) == ready
    for wrong in ("ready:de-DE", "ready:", "ready:../starter", f"ready:{ready}"):
        with pytest.raises(UserError):
            folder_of_choice(wrong, settings, LOCAL_OWNER)


def test_a_copy_without_the_ready_model_offers_the_rest(settings: Settings, ready: Path) -> None:
    (ready / "config.json").unlink()
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


def chosen(answer: list[Any]) -> str | None:
    value: str | None = answer[0]["value"]
    return value


def test_the_tab_chooses_the_ready_model_until_there_is_one_of_ones_own(settings: Settings) -> None:
    listener = Listener(settings)
    answer = listener.choices("", ANY_LANGUAGE, None, None)
    assert (chosen(answer), answer[1]) == (READY, None)
    run = write_run(settings.data_dir)
    answer = listener.choices("", ANY_LANGUAGE, READY, None)
    assert (chosen(answer), answer[1]) == (f"run:{run.id}", run.id)
    answer = listener.choices("", ANY_LANGUAGE, READY, run.id)  # chosen by hand, to compare
    assert chosen(answer) == READY


def test_what_was_chosen_or_typed_stays(settings: Settings) -> None:
    listener = Listener(settings)
    assert chosen(listener.choices("", "de-DE", "somebody/their-model", None)) == "somebody/their-model"
    assert chosen(listener.choices("", "de-DE", READY, None)) == "hub:jonatasgrosman/wav2vec2-large-xlsr-53-german"
    assert chosen(listener.choices("", "ko-KR", READY, None)) is None


def test_one_sentence_says_what_the_ready_model_is_and_what_else_there_is() -> None:
    with_hub, without = model_note(READY, False, True), model_note(READY, True, False)
    for words in (with_hub, without):
        assert words.startswith("This tiny practice model knows banking sentences said clearly in English; ")
        assert words.count(".") == 1
    assert "choose “English from the Hub · wav2vec2-base-960h” above" in with_hub
    assert "out of reach" in without and "fine-tune one of your own" in without


def test_other_models_are_explained_only_where_it_helps() -> None:
    assert "needs the internet" in model_note(ENGLISH, own=False, hub=True)
    assert model_note(ENGLISH, own=True, hub=True) == ""
    assert model_note("run:20261123-151204-en-US-9f3a1c", own=True, hub=True) == ""
    assert model_note("somebody/their-model", own=False, hub=True) == ""
    assert "no model for this language" in model_note("", own=False, hub=False)


def test_a_model_that_listened_well_is_offered_to_its_owner_again(settings: Settings) -> None:
    for repo in ("anna/german", "hub:facebook/wav2vec2-base-960h", "https://huggingface.co/anna/german"):
        remember_choice(repo, settings, LOCAL_OWNER)
    remember_choice(READY, settings, LOCAL_OWNER)
    assert worked(settings, LOCAL_OWNER) == ["anna/german", "facebook/wav2vec2-base-960h"]
    assert offered(settings, "en-US") == [READY, "hub:anna/german", ENGLISH]
    assert worked(settings, "somebodyelse") == []


def test_only_so_many_are_remembered_and_a_broken_file_is_none(settings: Settings) -> None:
    for number in range(MOST + 3):
        remember_choice(f"anna/model-{number}", settings, LOCAL_OWNER)
    assert worked(settings, LOCAL_OWNER)[0] == f"anna/model-{MOST + 2}"
    assert len(worked(settings, LOCAL_OWNER)) == MOST
    next((settings.data_dir / "worked").iterdir()).write_text("{")
    assert worked(settings, LOCAL_OWNER) == []
    remember_choice("anna/german", settings, "../../escaped")
    assert len(list((settings.data_dir / "worked").iterdir())) == 2
