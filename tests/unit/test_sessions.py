"""What is kept of each page, and when it goes."""

import asyncio
import time
from collections.abc import Iterator

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.route_utils import FileUploadProgress
from gradio.routes import App

from tests.fakes.asynchronous import run_apart
from trainer.ui import sessions as module
from trainer.ui.sessions import (
    MOST_UPLOADS_FOLLOWED,
    Sessions,
    forget_files_and_events,
    forget_uploads,
    keep_no_statistics,
)


@pytest.fixture
def blocks() -> Iterator[gr.Blocks]:
    """A page with a state, a choice and a text; `App` gives it what a served page has."""
    with gr.Blocks() as demo:
        gr.State(0), gr.Dropdown(["a"]), gr.HTML("<b>words</b>")
    App.create_app(demo)
    yield demo


def first(blocks: gr.Blocks, kind: type) -> gr.blocks.Block:
    return next(block for block in blocks.blocks.values() if isinstance(block, kind))


def test_a_page_keeps_its_state_and_its_changed_components(blocks: gr.Blocks) -> None:
    sessions = Sessions(blocks)
    state, choice = first(blocks, gr.State), first(blocks, gr.Dropdown)
    sessions["mine"][state._id] = 7
    sessions["mine"][choice._id] = gr.Dropdown(["b"], render=False)
    assert sessions["mine"][state._id] == 7 and sessions["mine"][choice._id].choices == [("b", "b")]
    assert sessions["yours"][state._id] == 0 and sessions["yours"][choice._id].choices == [("a", "a")]


def test_no_value_that_was_sent_or_shown_is_kept_beside_them(blocks: gr.Blocks) -> None:
    """From these Gradio makes its links to a page as it stands."""
    session = Sessions(blocks)["mine"]
    text = first(blocks, gr.HTML)
    session._update_value_in_config(text._id, "a private transcript")
    session._update_config(text._id)
    assert list(session.components) == []


def test_only_so_many_are_kept_and_open_pages_last(blocks: gr.Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 3)
    sessions = Sessions(blocks)
    with sessions.page_open("open"):
        for name in ("open", *(f"new{number}" for number in range(10))):
            sessions[name]
        assert list(sessions.session_data) == ["open", "new8", "new9"]
    assert len(sessions._left) == len(sessions.time_last_used) == 3


def test_what_a_page_left_behind_goes_and_an_open_page_stays(blocks: gr.Blocks) -> None:
    sessions = Sessions(blocks)
    with sessions.page_open("open"):
        with sessions.page_open("closed"):
            for name in ("open", "closed", "never open"):
                sessions[name]
        sessions.tidy(seconds=60)
        assert len(sessions.session_data) == 3
        time.sleep(0.01)
        sessions.tidy(seconds=0)
        assert list(sessions.session_data) == ["open"]
    assert not sessions._pages


def test_uploads_that_nobody_asks_about_are_not_followed_for_good() -> None:
    progress = FileUploadProgress()
    for number in range(MOST_UPLOADS_FOLLOWED + 50):
        progress.track(str(number))
    forget_uploads(progress)
    assert len(progress._statuses) == len(progress._signals) == MOST_UPLOADS_FOLLOWED
    assert progress.is_done(str(MOST_UPLOADS_FOLLOWED + 49)) is False


def test_answers_that_nobody_fetches_are_let_go(blocks: gr.Blocks) -> None:
    queue = blocks._queue
    sessions = Sessions(blocks)
    for name, answers in (("fetching", 3), ("never", module.MOST_ANSWERS_UNFETCHED + 1)):
        sessions[name]
        queue.pending_messages_per_session[name] = asyncio.Queue()
        queue.pending_event_ids_session[name] = {"done"}
        for _ in range(answers):
            queue.pending_messages_per_session[name].put_nowait("a transcript")
    sessions.tidy()
    assert list(queue.pending_messages_per_session) == list(queue.pending_event_ids_session) == ["fetching"]


def test_so_many_pages_owners_are_known_and_open_pages_stay_theirs(
    blocks: gr.Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 3)
    sessions = Sessions(blocks)
    assert sessions.belongs("open", "me") and sessions.belongs("closed", "me")
    with sessions.page_open("open"):
        sessions["open"], sessions["closed"]
        for number in range(10):
            assert sessions.belongs(f"new{number}", "another") and sessions[f"new{number}"]
        assert not sessions.belongs("open", "another")
        assert list(sessions._owners) == ["open", "new8", "new9"]
        assert "closed" not in sessions.session_data, "who is given its name now finds nothing of mine"
        assert set(sessions._left) >= set(sessions._owners) and len(sessions._left) == 3
    time.sleep(0.01)
    sessions.tidy(seconds=0)
    assert not sessions._owners and not sessions._left


def test_gradio_keeps_no_paths_no_given_up_events_and_no_statistics() -> None:
    with gr.Blocks() as demo:
        sound, words = gr.Audio(), gr.HTML()
        sound.change(lambda path: "words", sound, words)
    app = App.create_app(demo)
    keep_no_statistics(demo)
    queue = demo._queue

    async def use() -> None:
        for number in range(50):
            body = PredictBodyInternal(fn_index=0, session_hash=f"page{number}", data=[None])
            assert (await queue.push(body, request=None, username=None))[0]
            await asyncio.to_thread(queue.compute_analytics_summary, list(queue.event_analytics.values()))

    run_apart(use())
    assert len(queue.event_analytics) == 1 and queue.cached_event_analytics_summary == {"functions": {}}
    going = next(iter(queue.event_ids_to_events))
    app.iterators_to_reset.update({going, "over"})
    demo.upload_file_set.update({"/uploads/a.wav"})
    sound.temp_files.add("/uploads/b.wav")
    forget_files_and_events(app)
    assert app.iterators_to_reset == {going} and not any(demo.temp_file_sets) and not sound.temp_files
