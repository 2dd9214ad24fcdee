"""What a page is sent: each thing once, nothing when nothing changed, and never another visitor's."""

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.run_folder import write_run
from tests.fakes.sounds import save_folder
from trainer.errors import UserError
from trainer.runs import preflight
from trainer.runs.events import EventLog
from trainer.runs.follower import forget, view_of
from trainer.runs.process import own_identity
from trainer.runs.queue import draw_ticket, queue_lock, seconds_until_turn
from trainer.runs.run import LOCAL_OWNER, Run, create_run, list_runs, new_run_folder
from trainer.runs.view import RunView
from trainer.settings import SPACE, Settings
from trainer.speech.locales import LOCALES
from trainer.training.recipe import Recipe, preset_of
from trainer.ui import run_handlers
from trainer.ui.page import build
from trainer.ui.panel_state import Shown, Visit, Watch, nothing_yet
from trainer.ui.recipe_form import OWN_FOLDER, form_of
from trainer.ui.run_handlers import STRANGER, RunHandlers
from trainer.ui.run_panel import BUSY, LEAVE_LINE, STOP, Panel, parts
from trainer.ui.visitors import NOBODY, Visitor, owner_of, valid_or_new

NAMES = ["watch", *Panel.watched()]
SKIP = {"__type__": "update"}


@dataclass(frozen=True)
class Asked(RunHandlers):
    """The handlers, and visits to the page that they are of."""

    def visit(self, watch: Watch | None = None, secret: str | None = None, **more: Any) -> Visit:
        return Visit(Visitor(secret, self.settings), watch or Watch(), **{"preset": "quick", "hub": None, **more})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def handlers(settings: Settings) -> Asked:
    return Asked(settings)


def sent(answer: list[Any]) -> dict[str, Any]:
    """By name, what is not skipped; of a start, what it was refused for too."""
    refused = {"refusal": answer.pop()} if len(answer) == len(NAMES) + 1 else {}
    assert len(answer) == len(NAMES)
    return {name: value for name, value in zip(NAMES, answer, strict=True) if value != SKIP} | refused


def arrived(handlers: Asked, secret: str | None = None) -> dict[str, Any]:
    return sent(handlers.arrive(handlers.visit(secret=secret), "en-US")[:-1])


def test_watchers_share_the_drawings_but_not_the_runs(settings: Settings, handlers: Asked) -> None:
    one, other = write_run(settings.data_dir), write_run(settings.data_dir, locale="de-DE", steps=120)
    shown = [sent(handlers.choose(handlers.visit(), run.id)) for run in (one, other, one)]
    assert shown[0]["losses"] is shown[2]["losses"] and shown[0]["table"] is shown[2]["table"]
    assert shown[0]["losses"] != shown[1]["losses"] and shown[0]["table"] != shown[1]["table"]


def test_before_the_first_run_an_example_is_shown(handlers: Asked) -> None:
    first = arrived(handlers)
    assert "Nothing here yet" in first["status"] and ">Example<" in first["rates"]
    assert first["start"]["interactive"] and not first["stop"]["interactive"]
    assert first["timer"]["active"] is False


def test_a_page_finds_the_run_that_goes_on_and_asks_only_for_news(settings: Settings, handlers: Asked) -> None:
    run = write_run(settings.data_dir, end="none")
    first = arrived(handlers)
    assert first["watch"].run == run.id and first["watch"].active == run.id
    assert first["timer"]["active"] and first["stop"]["interactive"]
    assert first["start"]["interactive"] and BUSY in first["start_note"], "another one would wait in line"
    assert first["sounds"].count("<audio") == 5
    assert sent(handlers.poll(handlers.visit(first["watch"]))) == {}


def test_a_step_sends_the_status_and_the_loss_alone(settings: Settings, handlers: Asked) -> None:
    run = write_run(settings.data_dir, end="none", steps=120)
    watch = arrived(handlers)["watch"]
    log = EventLog(run.events)
    log.append("log", step=121, loss=0.5)
    news = sent(handlers.poll(handlers.visit(watch)))
    assert set(news) == {"watch", "status", "losses"}
    assert sum(len(str(value)) for value in news.values()) < 8000
    log.append("finished")
    log.close()
    end = sent(handlers.poll(handlers.visit(news["watch"])))
    assert {"status", "stop", "start_note", "again", "timer", "earlier", "delete", "room"} <= set(end)
    assert "sounds" not in end and "rates" not in end
    assert end["timer"]["active"] is False and end["start_note"] == ""


def test_a_glance_says_what_a_step_changes_and_when_to_ask_for_more(settings: Settings, handlers: Asked) -> None:
    run = write_run(settings.data_dir, end="none", steps=120)
    watch = arrived(handlers)["watch"]
    assert handlers.glance(handlers.visit(watch)) == [SKIP] * 4
    log = EventLog(run.events)
    log.append("log", step=121, loss=0.5)
    watch, status, losses, more = handlers.glance(handlers.visit(watch))
    assert "Training" in status and "<svg" in losses and more == SKIP
    assert sent(handlers.poll(handlers.visit(watch))) == {}
    log.append("finished")
    log.close()
    watch, status, _, more = handlers.glance(handlers.visit(watch))
    assert "Finished" in status and more != SKIP
    rest = sent(handlers.poll(handlers.visit(watch)))
    assert "status" not in rest and {"stop", "timer", "earlier"} <= set(rest)


def test_an_earlier_run_can_be_looked_at_while_another_goes_on(settings: Settings, handlers: Asked) -> None:
    old = write_run(settings.data_dir)
    going = write_run(settings.data_dir, end="none")
    watch = Watch(going.id, going.id)
    chosen = sent(handlers.choose(handlers.visit(watch), old.id))
    assert "Finished" in chosen["status"] and BUSY in chosen["start_note"]
    assert chosen["watch"].active == going.id and chosen["timer"]["active"]
    assert {value for _, value in chosen["earlier"]["choices"]} == {old.id, going.id}


def in_line(settings: Settings, owner: str = LOCAL_OWNER) -> Run:
    """A run that waits, with this process for its trainer."""
    run = create_run(new_run_folder(settings.runs_dir, "en-US"), preset_of("quick").recipe, owner)
    with queue_lock(settings.queue_dir):
        draw_ticket(settings.queue_dir, run, own_identity())
    log = EventLog(run.events)
    log.append("queued", **own_identity())
    log.append("place", place=2)
    log.close()
    return run


def test_one_start_more_than_a_visitor_may_have_is_refused(settings: Settings) -> None:
    space = Asked(Settings(data_dir=settings.data_dir, on_space=True, limits=SPACE))
    secret = valid_or_new(None)
    run = in_line(space.settings, owner_of(secret, space.settings))
    first = arrived(space, secret)
    assert not first["start"]["interactive"] and "You have one training under way already" in first["start_note"]
    answer = sent(space.start(space.visit(secret=secret), form_of(preset_of("thorough").recipe)))
    assert set(answer) == {"refusal"} and "You have one training under way already" in answer["refusal"]
    assert list_runs(settings.runs_dir) == [run]
    somebody_else = owner_of(valid_or_new(None), space.settings)
    assert arrived(space, somebody_else)["start"]["interactive"]


def test_a_double_click_starts_one(settings: Settings, handlers: Asked) -> None:
    run = in_line(settings)
    answer = sent(handlers.start(handlers.visit(), form_of(run.recipe())))
    assert answer["watch"].run == run.id and list_runs(settings.runs_dir) == [run]


def test_who_has_no_secret_starts_nothing(settings: Settings) -> None:
    space = Asked(Settings(data_dir=settings.data_dir, on_space=True, limits=SPACE))
    answer = sent(space.start(space.visit(secret="guessed"), form_of(preset_of("quick").recipe)))
    assert STRANGER in answer["refusal"]
    assert list_runs(settings.runs_dir) == []


def test_a_refusal_is_nothing_that_follows_the_run(settings: Settings, handlers: Asked) -> None:
    """What a press of Start was refused for is taken away by the next press alone, not by an answer that comes late."""
    assert "refusal" not in Panel.watched()
    form = form_of(preset_of("quick").recipe)
    assert "cannot be -4" in sent(handlers.start(handlers.visit(), replace(form, max_steps=-4)))["refusal"]
    run = in_line(settings)
    assert sent(handlers.start(handlers.visit(), form_of(run.recipe())))["refusal"] == ""


def test_nothing_can_be_started_before_the_page_has_its_run(tmp_path: Path) -> None:
    demo = build(Settings(tmp_path))
    start = next(block for block in demo.blocks.values() if getattr(block, "elem_id", "") == "start")
    assert start.interactive is False


def test_fifty_presses_of_stop_insist_once(
    settings: Settings, handlers: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    insisted: list[Run] = []

    def slow(run: Run) -> None:
        insisted.append(run)
        held.wait(30)

    monkeypatch.setattr(run_handlers, "stop_trainer", slow)
    one, other = in_line(settings), in_line(settings)
    for _ in range(50):
        for run in (one, other):
            handlers.stop(handlers.visit(Watch(run.id)))
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("stop-")]
    held.set()
    for thread in threads:
        thread.join(10)
    assert len(threads) == 2 and sorted(run.id for run in insisted) == sorted((one.id, other.id))
    assert one.stop_file.exists() and other.stop_file.exists(), "each is asked at once"
    handlers.stop(handlers.visit(Watch(one.id)))
    for thread in threading.enumerate():
        if thread.name.startswith("stop-"):
            thread.join(10)
    assert insisted[-1].id == one.id and len(insisted) == 3, "a later press counts again"


def test_what_has_ended_is_not_stopped(settings: Settings, handlers: Asked) -> None:
    run = write_run(settings.data_dir)
    handlers.stop(handlers.visit(Watch(run.id)))
    assert not run.stop_file.exists()


def test_there_is_no_line_to_leave_while_it_gets_ready(settings: Settings) -> None:
    run, locale = write_run(settings.data_dir), LOCALES["en-US"]
    for place, label in ((0, STOP), (1, LEAVE_LINE)):
        shown = replace(nothing_yet(locale), run=run, view=RunView(state="waiting", place=place))
        assert parts(shown)["stop"][1]()["value"] == label
        assert ("Getting ready" in parts(shown)["status"][1]()) == (label == STOP)


def test_who_waits_can_leave_and_is_told_how_long_it_may_take(settings: Settings, handlers: Asked) -> None:
    before, mine = in_line(settings), in_line(settings)
    answer = sent(handlers.choose(handlers.visit(), mine.id))
    assert (answer["stop"]["value"], answer["stop"]["interactive"]) == (LEAVE_LINE, True)
    assert "place 2, about" in answer["status"] or "place 2, under" in answer["status"]
    assert seconds_until_turn(settings, before) == 0.0 < seconds_until_turn(settings, mine)


def test_a_deleted_run_makes_way_for_another(settings: Settings, handlers: Asked) -> None:
    kept, gone = write_run(settings.data_dir), write_run(settings.data_dir, end="stopped")
    watch = sent(handlers.choose(handlers.visit(), gone.id))["watch"]
    answer = sent(handlers.delete(handlers.visit(watch)))
    assert answer["watch"].run == kept.id and list_runs(settings.runs_dir) == [kept]
    assert [value for _, value in answer["earlier"]["choices"]] == [kept.id]
    assert "Your training takes" in answer["room"]
    with pytest.raises(UserError, match="not there any more"):
        handlers.delete(handlers.visit(watch))


def test_a_run_that_goes_on_is_not_deleted(settings: Settings, handlers: Asked) -> None:
    run = write_run(settings.data_dir, end="none")
    first = arrived(handlers)
    assert not first["delete"]["interactive"]
    with pytest.raises(UserError, match="still going on"):
        handlers.delete(handlers.visit(first["watch"]))
    assert run.folder.exists()


def test_a_preset_without_its_hub_cannot_start(handlers: Asked) -> None:
    answer = sent(handlers.poll(handlers.visit(preset="guide", hub=False)))
    assert not answer["start"]["interactive"] and "Hugging Face Hub" in answer["start_note"]
    assert sent(handlers.poll(handlers.visit(preset="guide", hub=None)))["start"]["interactive"]


def test_a_run_that_died_is_told(settings: Settings, handlers: Asked) -> None:
    run = create_run(new_run_folder(settings.runs_dir, "en-US"), preset_of("quick").recipe)
    log = EventLog(run.events)
    log.append("started", pid=2**22 + 1, pid_started=1.0, max_steps=10)
    log.close()
    assert "Interrupted" in arrived(handlers)["status"]


def test_other_visitors_runs_are_not_there(settings: Settings) -> None:
    space = Asked(Settings(data_dir=settings.data_dir, on_space=True))
    mine, yours = valid_or_new(None), valid_or_new(None)
    recipe = preset_of("quick").recipe
    run = create_run(new_run_folder(settings.runs_dir, "en-US"), recipe, owner_of(yours, space.settings))
    log = EventLog(run.events)
    log.append("failed", what="x", todo="")
    log.close()
    assert arrived(space, yours)["watch"].run == run.id
    assert arrived(space, mine)["watch"].run is None
    assert "Nothing here yet" in sent(space.choose(space.visit(secret=mine), run.id))["status"]
    assert space.visit(Watch(run.id), secret=mine).run is None


def test_who_owns_what() -> None:
    laptop, space = Settings(data_dir=Path("unused")), Settings(data_dir=Path("unused"), on_space=True)
    secret = valid_or_new(None)
    assert valid_or_new(secret) == secret
    assert owner_of("anything", laptop) == LOCAL_OWNER
    assert owner_of(secret, space) == owner_of(secret, space) != owner_of(valid_or_new(None), space)
    assert secret not in owner_of(secret, space)
    for forged in ("", None, "../../etc", "a" * 31, "ж" * 40, f"{secret}\n"):
        assert owner_of(forged, space) == NOBODY


def test_a_poll_that_fails_leaves_the_page_as_it_is(settings: Settings, handlers: Asked) -> None:
    run: Run = write_run(settings.data_dir)
    watch = arrived(handlers)["watch"]
    run.events.unlink()
    run.events.mkdir()  # which nobody can read lines from
    forget(run)
    assert sent(handlers.poll(handlers.visit(watch))) == {}


def test_the_form_has_the_language_of_the_run_that_is_shown(settings: Settings, handlers: Asked) -> None:
    assert handlers.arrive(handlers.visit(), "en-US")[-1] == [["en-US", "en-US"]]
    write_run(settings.data_dir, locale="de-DE")
    assert handlers.arrive(handlers.visit(), "en-US")[-1] == [["en-US", "de-DE"]]


def test_lines_set_aside_later_are_told_then(settings: Settings) -> None:
    run = write_run(settings.data_dir)
    before, after = view_of(run), replace(view_of(run), unreadable=2)
    keys = [parts(Shown(run, view, LOCALES["en-US"]))["notes"][0] for view in (before, after)]
    assert keys[0] != keys[1]


def test_what_cannot_start_leaves_no_run(settings: Settings, handlers: Asked, tmp_path: Path) -> None:
    own = save_folder(tmp_path / "own", [("open the door", "test"), ("who is there", "test")])
    form = form_of(preset_of("quick").recipe)
    for odd, words in (
        (replace(form, data=OWN_FOLDER, folder=str(own)), "none to be trained on"),
        (replace(form, base=str(own)), "config.json"),
        (replace(form, data="practice", max_steps=-4), "The steps cannot be -4."),
    ):
        answer = sent(handlers.start(handlers.visit(), odd))
        assert words in answer["refusal"], answer
    assert list_runs(settings.runs_dir) == []


def test_what_nobody_waits_for_any_more_is_not_looked_at(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each press of Start has the data looked at for a while; during two long ones the others' do not pile up."""
    held, looked = threading.Event(), []

    def long_look(recipe: Recipe, settings: Settings) -> None:
        looked.append(recipe.seed)
        held.wait(30)

    monkeypatch.setattr(preflight, "_check_base_and_data", long_look)
    monkeypatch.setattr(preflight, "SECONDS_TO_LOOK", 0.05)
    quick = preset_of("quick").recipe
    for seed in range(8):
        preflight.check_inputs_soon(quick.change(seed=seed), settings)
    held.set()
    monkeypatch.setattr(preflight, "SECONDS_TO_LOOK", 10.0)
    preflight.check_inputs_soon(quick.change(seed=99), settings)
    assert sorted(looked) == [0, 1, 99]
