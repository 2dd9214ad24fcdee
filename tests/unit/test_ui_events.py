"""How events reach handlers: every one with a mode that was chosen, and handlers with dataclasses."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.blocks import BlocksConfig
from gradio.state_holder import SessionState

from tests.fakes.asynchronous import run_apart
from tests.fakes.run_folder import write_run
from trainer.errors import UserError
from trainer.publishing.publish import Token
from trainer.settings import Settings
from trainer.training.recipe import preset_of
from trainer.ui.events import ONCE, Wiring
from trainer.ui.page import build
from trainer.ui.panel_state import Visit, Watch
from trainer.ui.recipe_form import Form, form_of
from trainer.ui.visitors import COOKIE, Visitor, owner_of, valid_or_new

FORM = form_of(preset_of("quick").recipe)


def chosen_modes(monkeypatch: pytest.MonkeyPatch) -> dict[int, str | None]:
    """For each event made from here on, by its number, the mode that it was given."""
    modes: dict[int, str | None] = {}
    make = BlocksConfig.set_event_trigger

    def noted(self: BlocksConfig, *arguments: Any, **options: Any) -> Any:
        made = make(self, *arguments, **options)
        modes[made[1]] = options.get("trigger_mode")
        return made

    monkeypatch.setattr(BlocksConfig, "set_event_trigger", noted)
    return modes


def gradio_s_own(fn: Any) -> bool:
    """Made inside of Gradio, which leaves nobody a choice: a sign-in's, what cancels another event, and what programs
    alone may ask, of which the page knows nothing that is pending."""
    for_programs = fn.api_visibility == "public" and all(target is None for target, _ in fn.targets)
    return fn.is_cancel_function or for_programs or getattr(fn.fn, "__module__", "").startswith("gradio.")


def unchosen(demo: gr.Blocks, modes: dict[int, str | None]) -> list[str]:
    return [str(fn.api_name) for number, fn in demo.fns.items() if modes[number] is None and not gradio_s_own(fn)]


@pytest.mark.parametrize("on_space", [False, True])
def test_every_event_of_the_page_says_what_becomes_of_it_while_it_is_pending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_space: bool
) -> None:
    modes = chosen_modes(monkeypatch)
    demo = build(Settings(tmp_path, on_space=on_space, can_sign_in=not on_space))
    assert len(demo.fns) > 40 and unchosen(demo, modes) == []
    by_name = {fn.api_name: fn.trigger_mode for fn in demo.fns.values()}
    assert by_name["hear"] == "multiple", "a second recording is not dropped while the first one waits"
    assert {by_name[name] for name in ("start", "rent", "stop", "delete", "glance")} == {"once"}
    assert {by_name[name] for name in ("choose", "fill", "offers", "choices", "cost")} == {"always_last"}


def test_an_event_without_a_mode_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = chosen_modes(monkeypatch)
    with gr.Blocks() as demo:
        gr.Button().click(lambda: None)
    assert unchosen(demo, modes) == ["lambda"]


@pytest.fixture
def wiring(tmp_path: Path) -> Iterator[Wiring]:
    with gr.Blocks() as demo:
        yield Wiring(Settings(tmp_path, on_space=True, can_sign_in=False), demo)


def asked_by(secret: str) -> gr.Request:
    return gr.Request(cookies={COOKIE: secret})


VISIT = ["a-run", Watch("a-run", "a-run", {"status": 1}), "quick", None, "starter"]


def test_a_handler_gets_what_it_is_annotated_with(wiring: Wiring) -> None:
    def handler(visit: Visit, form: Form, share: bool, signer: Token | None) -> Any:
        return visit, form, share, signer

    secret = valid_or_new(None)
    visit, form, share, signer = wiring.adapted(handler)(asked_by(secret), *VISIT, *vars(FORM).values(), True)
    watch = Watch("a-run", "a-run", {"status": 1})
    assert visit == Visit(Visitor(secret, wiring.settings), watch, "quick", None, "starter")
    assert visit.visitor.owner == owner_of(secret, wiring.settings)
    assert (form, share, signer) == (FORM, True, None)


def test_the_rest_goes_where_it_is_wanted_and_defaults_stay(wiring: Wiring) -> None:
    def many(visitor: Visitor, first: int, *rest: int) -> Any:
        return visitor.owner, first, rest

    def few(first: int = 1, second: int = 2) -> Any:
        return first, second

    assert wiring.adapted(many)(asked_by(""), 1, 2, 3) == ("nobody", 1, (2, 3))
    assert wiring.adapted(few)(asked_by(""), 5) == (5, 2)
    assert wiring.adapted(few).__name__ == "few", "its endpoint is known by it"


def test_errors_of_handlers_are_said_in_sentences(wiring: Wiring) -> None:
    def handler() -> None:
        raise UserError("That <run> is gone.", "Choose another one.")

    with pytest.raises(gr.Error, match="That &lt;run&gt; is gone"):
        wiring.adapted(handler)(asked_by(""))


def test_owner_and_run_of_a_visit_are_looked_up_once(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def find_run(folder: Path, run: str, owner: str) -> None:
        asked.append(run)

    def owner_of(secret: object, settings: Settings) -> str:
        asked.append("owner")
        return "me"

    monkeypatch.setattr("trainer.ui.visitors.find_run", find_run)
    monkeypatch.setattr("trainer.ui.visitors.owner_of", owner_of)
    visit = Visit(Visitor("", wiring.settings), Watch("a-run"), "quick", None)
    assert visit.run is None and visit.run is None and visit.visitor.owner == "me"
    assert asked == ["owner", "a-run"]


def test_a_visit_has_the_values_that_the_page_sends(tmp_path: Path) -> None:
    demo = build(Settings(tmp_path))
    poll = next(fn for fn in demo.fns.values() if fn.api_name == "poll")
    assert len(poll.inputs) == len(fields(Visit)), "the id of its run in the visitor's stead"
    assert poll.trigger_mode != ONCE


def test_a_tick_that_is_answered_late_does_not_turn_the_page_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked while the page looked at no run yet, and is answered when the page has one."""
    from trainer.ui import run_handlers

    run, quick_changes = write_run(tmp_path), run_handlers.quick_changes
    asked, arrived = threading.Event(), threading.Event()

    def late(*of: Any) -> Any:
        asked.set()
        assert arrived.wait(30)
        return quick_changes(*of)

    monkeypatch.setattr(run_handlers, "quick_changes", late)
    demo = build(Settings(tmp_path))
    page = SessionState(demo)
    handlers = {fn.api_name: fn for fn in demo.fns.values()}

    async def call(name: str) -> list[Any]:
        inputs = ["quick" if part.label == "How long?" else None for part in handlers[name].inputs]
        data: list[Any] = (await demo.process_api(handlers[name], inputs, page, request=asked_by("")))["data"]
        return data

    async def visit() -> list[Any]:
        tick = asyncio.create_task(call("glance"))
        await asyncio.to_thread(asked.wait, 30)
        await call("arrive")
        arrived.set()
        await tick
        monkeypatch.setattr(run_handlers, "quick_changes", quick_changes)
        return await call("poll")

    try:
        answer = run_apart(visit())
    finally:
        arrived.set()
    looks_at, watch = (part for part in handlers["arrive"].outputs if isinstance(part, gr.State))
    assert page[looks_at._id] == page[watch._id].run == run.id
    assert any("Finished" in str(part) for part in answer), "and shows it again"


def test_a_page_that_loads_is_sent_its_panel_by_its_arrival_alone(tmp_path: Path) -> None:
    """What was asked beside it and came after it would show a page without a run, which asks no more."""
    demo = build(Settings(tmp_path))
    first = next(fn for fn in demo.fns.values() if fn.api_name == "arrive")
    at_load = {number for number, fn in demo.fns.items() if any(event == "load" for _, event in fn.targets)}
    after_load = {fn.api_name for fn in demo.fns.values() if fn.trigger_after in at_load and fn is not first}
    assert not [name for name in after_load if str(name).startswith(("poll", "glance"))]


def test_only_what_turns_to_another_run_says_which_the_page_looks_at(tmp_path: Path) -> None:
    demo = build(Settings(tmp_path))
    looks_at = next(
        part
        for part in next(fn for fn in demo.fns.values() if fn.api_name == "arrive").outputs
        if isinstance(part, gr.State)
    )
    turning = {fn.api_name for fn in demo.fns.values() if looks_at in fn.outputs}
    assert turning == {"arrive", "choose", "start", "rent", "resume", "delete"}
    watch = Watch("a", "a", {"status": 1})
    assert watch.of("a") is watch and watch.of("b") == Watch("b", "a")


def test_whatever_looks_at_other_data_gives_up_the_look_before(tmp_path: Path) -> None:
    """Else a slow look that was asked for earlier would be answered later, and stand there."""
    demo = build(Settings(tmp_path))
    look = next(fn for fn in demo.fns.values() if fn.api_name == "look")
    giving_up = [fn for fn in demo.fns.values() if look._id in fn.cancels]
    events = {target for fn in giving_up for target in fn.targets}
    assert events == {target for target in look.targets if target[1] != "load"}


def test_what_is_said_of_the_chosen_model_has_one_event(tmp_path: Path) -> None:
    """Of two, the answer for the model before could come last."""
    demo = build(Settings(tmp_path))
    about = next(fn for fn in demo.fns.values() if fn.api_name == "about")
    note = about.outputs[0]
    assert {fn.api_name for fn in demo.fns.values() if note in fn.outputs} == {"about", "talk"}
    assert {event for _, event in about.targets} == {"change", "select", "start_recording", "click"}
    assert about.trigger_mode == "always_last"
