"""What a page is sent: each thing once, nothing when nothing changed, and never another visitor's."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.run_folder import write_run
from trainer.runs.events import EventLog
from trainer.runs.following import forget
from trainer.runs.run import LOCAL_OWNER, Run, create_run, new_run_folder
from trainer.settings import Settings
from trainer.training.presets import preset_of
from trainer.ui.panel import Panel
from trainer.ui.run_handlers import RunHandlers, Visit
from trainer.ui.uploads import own_upload_folder
from trainer.ui.visitors import NOBODY, owner_of, valid_or_new
from trainer.ui.watching import BUSY, Watch

NAMES = ["watch", *Panel.__dataclass_fields__]
SKIP = {"__type__": "update"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def handlers(settings: Settings) -> RunHandlers:
    return RunHandlers(settings)


def visit(watch: Watch | None = None, secret: object = "", preset: str = "quick", hub: bool | None = None) -> Visit:
    return Visit(secret, watch or Watch(), preset, hub)


def sent(answer: list[Any]) -> dict[str, Any]:
    """By name, what is not skipped."""
    assert len(answer) == len(NAMES)
    return {name: value for name, value in zip(NAMES, answer, strict=True) if value != SKIP}


def arrived(handlers: RunHandlers, secret: object = "") -> dict[str, Any]:
    return sent(handlers.arrive(visit(secret=secret))[1:])


def test_before_the_first_run_an_example_is_shown(handlers: RunHandlers) -> None:
    first = arrived(handlers)
    assert "Nothing here yet" in first["status"] and ">Example<" in first["rates"]
    assert first["start"]["interactive"] and not first["stop"]["interactive"]
    assert first["timer"]["active"] is False


def test_a_page_finds_the_run_that_goes_on_and_asks_only_for_news(settings: Settings, handlers: RunHandlers) -> None:
    run = write_run(settings.data_dir, end="none")
    first = arrived(handlers)
    assert first["watch"].run == run.id and first["watch"].active == run.id
    assert first["timer"]["active"] and first["stop"]["interactive"]
    assert not first["start"]["interactive"] and BUSY in first["start_note"]
    assert first["sounds"].count("<audio") == 5
    assert sent(handlers.poll(visit(first["watch"]))) == {}


def test_a_step_sends_the_status_and_the_loss_alone(settings: Settings, handlers: RunHandlers) -> None:
    run = write_run(settings.data_dir, end="none", steps=120)
    watch = arrived(handlers)["watch"]
    log = EventLog(run.events)
    log.append("log", step=121, loss=0.5)
    news = sent(handlers.poll(visit(watch)))
    assert set(news) == {"watch", "status", "losses"}
    assert sum(len(str(value)) for value in news.values()) < 8000
    log.append("finished")
    log.close()
    end = sent(handlers.poll(visit(news["watch"])))
    assert {"status", "stop", "start", "start_note", "again", "timer", "earlier"} <= set(end)
    assert "sounds" not in end and "rates" not in end
    assert end["timer"]["active"] is False and end["start"]["interactive"]


def test_an_earlier_run_can_be_looked_at_while_another_goes_on(settings: Settings, handlers: RunHandlers) -> None:
    old = write_run(settings.data_dir)
    going = write_run(settings.data_dir, end="none")
    watch = Watch(going.id, going.id)
    chosen = sent(handlers.choose(visit(watch), old.id))
    assert "Finished" in chosen["status"] and not chosen["start"]["interactive"]
    assert chosen["watch"].active == going.id and chosen["timer"]["active"]
    assert {value for _, value in chosen["earlier"]["choices"]} == {old.id, going.id}


def test_a_second_start_is_refused(settings: Settings, handlers: RunHandlers) -> None:
    from trainer.ui.form import form_of

    write_run(settings.data_dir, end="none")
    answer = sent(handlers.start(visit(), form_of(preset_of("quick").recipe)))
    assert set(answer) == {"start_note"} and BUSY in answer["start_note"]


def test_a_preset_without_its_hub_cannot_start(handlers: RunHandlers) -> None:
    answer = sent(handlers.poll(visit(preset="guide", hub=False)))
    assert not answer["start"]["interactive"] and "Hugging Face Hub" in answer["start_note"]
    assert sent(handlers.poll(visit(preset="guide", hub=None)))["start"]["interactive"]


def test_a_run_that_died_is_told(settings: Settings, handlers: RunHandlers) -> None:
    run = create_run(new_run_folder(settings.runs_dir, "en-US"), preset_of("quick").recipe)
    log = EventLog(run.events)
    log.append("started", pid=2**22 + 1, pid_started=1.0, max_steps=10)
    log.close()
    assert "Interrupted" in arrived(handlers)["status"]


def test_other_visitors_runs_are_not_there(settings: Settings) -> None:
    space = RunHandlers(Settings(data_dir=settings.data_dir, on_space=True))
    mine, yours = valid_or_new(""), valid_or_new("")
    recipe = preset_of("quick").recipe
    run = create_run(new_run_folder(settings.runs_dir, "en-US"), recipe, owner_of(yours, space.settings))
    log = EventLog(run.events)
    log.append("failed", what="x", todo="")
    log.close()
    assert arrived(space, yours)["watch"].run == run.id
    assert arrived(space, mine)["watch"].run is None
    assert "Nothing here yet" in sent(space.choose(visit(secret=mine), run.id))["status"]
    assert space.find(visit(Watch(run.id), secret=mine)) is None


def test_who_owns_what() -> None:
    laptop, space = Settings(data_dir=Path("unused")), Settings(data_dir=Path("unused"), on_space=True)
    secret = valid_or_new(None)
    assert valid_or_new(secret) == secret
    assert owner_of("anything", laptop) == LOCAL_OWNER
    assert owner_of(secret, space) == owner_of(secret, space) != owner_of(valid_or_new(None), space)
    assert secret not in owner_of(secret, space)
    for forged in ("", None, 7, "../../etc", "a" * 31, {"a": 1}):
        assert owner_of(forged, space) == NOBODY


def test_a_poll_that_fails_leaves_the_page_as_it_is(settings: Settings, handlers: RunHandlers) -> None:
    run: Run = write_run(settings.data_dir)
    watch = arrived(handlers)["watch"]
    run.events.write_text('{"event": "log", "seq": 1}\n')  # no time: not written by any Voicetune
    forget(run)
    assert sent(handlers.poll(visit(watch))) == {}


def test_uploads_of_dead_processes_are_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    dead, mine = tmp_path / "voicetune-uploads-4194399", tmp_path / "holiday"
    for folder in (dead, mine):
        folder.mkdir()
        (folder / "voice.wav").write_bytes(b"RIFF")
    own = own_upload_folder()
    assert own.is_dir() and own.stat().st_mode & 0o077 == 0
    assert not dead.exists() and mine.exists()
