"""What a page is sent: each thing once, nothing when nothing changed, and never another visitor's."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.run_folder import write_run
from trainer.errors import UserError
from trainer.runs.events import EventLog
from trainer.runs.following import forget
from trainer.runs.identity import own_identity
from trainer.runs.queue import seconds_until_turn
from trainer.runs.run import LOCAL_OWNER, Run, create_run, list_runs, new_run_folder
from trainer.runs.turns import door, draw
from trainer.settings import SPACE, Settings
from trainer.training.presets import preset_of
from trainer.ui.answers import Visit
from trainer.ui.form import form_of
from trainer.ui.panel import Panel
from trainer.ui.run_handlers import STRANGER, RunHandlers
from trainer.ui.uploads import Recordings, own_upload_folder, sweep_uploads
from trainer.ui.visitors import NOBODY, owner_of, valid_or_new
from trainer.ui.watching import BUSY, LEAVE_LINE, Watch

NAMES = ["watch", *Panel.watched()]
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


def test_watchers_share_the_drawings_but_not_the_runs(settings: Settings, handlers: RunHandlers) -> None:
    one, other = write_run(settings.data_dir), write_run(settings.data_dir, locale="de-DE", steps=120)
    shown = [sent(handlers.choose(visit(), run.id)) for run in (one, other, one)]
    assert shown[0]["losses"] is shown[2]["losses"] and shown[0]["table"] is shown[2]["table"]
    assert shown[0]["losses"] != shown[1]["losses"] and shown[0]["table"] != shown[1]["table"]


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
    assert first["start"]["interactive"] and BUSY in first["start_note"], "another one would wait in line"
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
    assert {"status", "stop", "start_note", "again", "timer", "earlier", "delete", "room"} <= set(end)
    assert "sounds" not in end and "rates" not in end
    assert end["timer"]["active"] is False and end["start_note"] == ""


def test_a_glance_says_what_a_step_changes_and_when_to_ask_for_more(settings: Settings, handlers: RunHandlers) -> None:
    run = write_run(settings.data_dir, end="none", steps=120)
    watch = arrived(handlers)["watch"]
    assert handlers.glance(visit(watch)) == [SKIP] * 4
    log = EventLog(run.events)
    log.append("log", step=121, loss=0.5)
    watch, status, losses, more = handlers.glance(visit(watch))
    assert "Training" in status and "<svg" in losses and more == SKIP
    assert sent(handlers.poll(visit(watch))) == {}
    log.append("finished")
    log.close()
    watch, status, _, more = handlers.glance(visit(watch))
    assert "Finished" in status and more != SKIP
    rest = sent(handlers.poll(visit(watch)))
    assert "status" not in rest and {"stop", "timer", "earlier"} <= set(rest)


def test_an_earlier_run_can_be_looked_at_while_another_goes_on(settings: Settings, handlers: RunHandlers) -> None:
    old = write_run(settings.data_dir)
    going = write_run(settings.data_dir, end="none")
    watch = Watch(going.id, going.id)
    chosen = sent(handlers.choose(visit(watch), old.id))
    assert "Finished" in chosen["status"] and BUSY in chosen["start_note"]
    assert chosen["watch"].active == going.id and chosen["timer"]["active"]
    assert {value for _, value in chosen["earlier"]["choices"]} == {old.id, going.id}


def in_line(settings: Settings, owner: str = LOCAL_OWNER) -> Run:
    """A run that waits, with this process for its trainer."""
    run = create_run(new_run_folder(settings.runs_dir, "en-US"), preset_of("quick").recipe, owner)
    with door(settings.turns_dir):
        draw(settings.turns_dir, run, own_identity())
    log = EventLog(run.events)
    log.append("queued", **own_identity())
    log.append("place", place=2)
    log.close()
    return run


def test_one_start_more_than_a_visitor_may_have_is_refused(settings: Settings) -> None:
    space = RunHandlers(Settings(data_dir=settings.data_dir, on_space=True, limits=SPACE))
    secret = valid_or_new("")
    run = in_line(space.settings, owner_of(secret, space.settings))
    first = arrived(space, secret)
    assert not first["start"]["interactive"] and "You have one training under way already" in first["start_note"]
    answer = sent(space.start(visit(secret=secret), form_of(preset_of("thorough").recipe)))
    assert set(answer) == {"start_note"} and "You have one training under way already" in answer["start_note"]
    assert list_runs(settings.runs_dir) == [run]
    assert arrived(space, valid_or_new(""))["start"]["interactive"], "somebody else may still"


def test_a_double_click_starts_one(settings: Settings, handlers: RunHandlers) -> None:
    run = in_line(settings)
    answer = sent(handlers.start(visit(), form_of(run.recipe())))
    assert answer["watch"].run == run.id and list_runs(settings.runs_dir) == [run]


def test_who_has_no_secret_starts_nothing(settings: Settings) -> None:
    space = RunHandlers(Settings(data_dir=settings.data_dir, on_space=True, limits=SPACE))
    answer = sent(space.start(visit(secret="guessed"), form_of(preset_of("quick").recipe)))
    assert STRANGER in answer["start_note"]
    assert list_runs(settings.runs_dir) == []


def test_who_waits_can_leave_and_is_told_how_long_it_may_take(settings: Settings, handlers: RunHandlers) -> None:
    before, mine = in_line(settings), in_line(settings)
    answer = sent(handlers.choose(visit(), mine.id))
    assert (answer["stop"]["value"], answer["stop"]["interactive"]) == (LEAVE_LINE, True)
    assert "place 2, about" in answer["status"] or "place 2, under" in answer["status"]
    assert seconds_until_turn(settings, before) == 0.0 < seconds_until_turn(settings, mine)


def test_a_deleted_run_makes_way_for_another(settings: Settings, handlers: RunHandlers) -> None:
    kept, gone = write_run(settings.data_dir), write_run(settings.data_dir, end="stopped")
    watch = sent(handlers.choose(visit(), gone.id))["watch"]
    answer = sent(handlers.delete(visit(watch)))
    assert answer["watch"].run == kept.id and list_runs(settings.runs_dir) == [kept]
    assert [value for _, value in answer["earlier"]["choices"]] == [kept.id]
    assert "Your training takes" in answer["room"]
    with pytest.raises(UserError, match="not there any more"):
        handlers.delete(visit(watch))


def test_a_run_that_goes_on_is_not_deleted(settings: Settings, handlers: RunHandlers) -> None:
    run = write_run(settings.data_dir, end="none")
    first = arrived(handlers)
    assert not first["delete"]["interactive"]
    with pytest.raises(UserError, match="still going on"):
        handlers.delete(visit(first["watch"]))
    assert run.folder.exists()


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
    assert space.answers.find(visit(Watch(run.id), secret=mine)) is None


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


def test_uploads_that_nobody_uses_go_and_new_ones_stay(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "voice.wav").write_bytes(b"RIFF")
    os.utime(tmp_path / "old" / "voice.wav", (1.0, 1.0))
    sweep_uploads(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_recording_goes_after_its_last_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two visitors may send the same file, which then is one file."""
    monkeypatch.setattr("trainer.ui.uploads.SECONDS_UNTIL_GONE", 0.05)
    voice, recordings = tmp_path / "voice.wav", Recordings()
    voice.write_bytes(b"RIFF")
    with recordings.held(str(voice)):
        with recordings.held(str(voice)):
            pass
        time.sleep(0.2)
        assert voice.exists()
    deadline = time.monotonic() + 5
    while voice.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
