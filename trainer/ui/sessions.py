"""What Gradio keeps of each open page, kept small and let go.

Gradio keeps 10,000 sessions for as long as it runs, each with a second copy of every component's values, from which it
makes links to a page as it stands. Here there are no such links, so that copy is not made; and what a page has left
behind goes some minutes after it. A session belongs to the visitor whose browser named it first: Gradio itself serves
it to whoever knows its name.
"""

import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.route_utils import FileUploadProgress
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder

MOST_SESSIONS = 1_000  # of all visitors; those whose page is gone make way first
MOST_ANSWERS_UNFETCHED = 100  # of one session; a page fetches them as they come
SECONDS_KEPT = 600.0  # after the page has gone: a laptop that was asleep for a moment finds its page as it was


class LeanSession(SessionState):
    """A page's states and the components that were changed for it, without their values as a link would show them."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))  # no values to copy

    def __setitem__(self, key: int, value: Any) -> None:
        block = self.blocks_config.blocks.get(key)
        if isinstance(block, gr.State):
            self._state_ttl[key] = (block.time_to_live, datetime.now())
            self.state_data[key] = value
        else:
            self.blocks_config.blocks[key] = value

    def _update_config(self, key: int) -> None: ...

    def _update_value_in_config(self, key: int, value: Any) -> None: ...


class Sessions(StateHolder):
    """All pages' sessions."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__()
        self._pages: Counter[str] = Counter()
        self._left: dict[str, float] = {}  # when a session was last used or its page closed, by the monotonic clock
        self._owners: OrderedDict[str, str] = OrderedDict()  # the last used at the end
        self.set_blocks(blocks)

    def __getitem__(self, session_id: str) -> SessionState:
        with self.lock:
            session = self.session_data.get(session_id)
            if session is None:
                session = self.session_data[session_id] = LeanSession(self.blocks)
            self.session_data.move_to_end(session_id)
            self._left[session_id] = time.monotonic()
            self.time_last_used[session_id] = datetime.now()
            while len(self.session_data) > MOST_SESSIONS:
                oldest = next(iter(self.session_data))
                self._drop(next((left for left in self.session_data if left not in self._pages), oldest))
        return session

    def belongs(self, session_id: str, owner: str) -> bool:
        """Whether a session is this owner's; one that nobody has used yet is from now on."""
        with self.lock:
            if self._owners.setdefault(session_id, owner) != owner:
                return False
            self._owners.move_to_end(session_id)
            self._left.setdefault(session_id, time.monotonic())
            if len(self._owners) > MOST_SESSIONS:
                gone = next((left for left in self._owners if left not in self._pages and left != session_id), None)
                if gone is not None:  # else all are open pages, of which there are only so many
                    self._drop(gone)
        return True

    def works_on(self, session_id: str, event_id: str) -> bool:
        """Whether an event is one of this session's that is not answered yet."""
        return event_id in self.blocks._queue.pending_event_ids_session.get(session_id, ())

    def is_open(self, session_id: str) -> bool:
        """Whether a page keeps this session's line open now."""
        with self.lock:
            return self._pages[session_id] > 0

    @contextmanager
    def page_open(self, session_id: str) -> Iterator[None]:
        """While a page keeps its line open."""
        with self.lock:
            self._pages[session_id] += 1
        try:
            yield
        finally:
            with self.lock:
                self._pages[session_id] -= 1
                if not self._pages[session_id]:
                    del self._pages[session_id]
                    if session_id in self._owners or session_id in self.session_data:
                        self._left[session_id] = time.monotonic()

    def tidy(self, seconds: float = SECONDS_KEPT) -> None:
        """Let go of those whose page has been gone, and which nobody has used, for so long."""
        before = time.monotonic() - seconds
        with self.lock:
            for session_id, left in list(self._left.items()):
                if left < before and not self._pages.get(session_id):
                    self._drop(session_id)
            for session_id, answers in list(self.blocks._queue.pending_messages_per_session.items()):
                if answers.qsize() > MOST_ANSWERS_UNFETCHED:
                    self._forget_answers(session_id)

    def _drop(self, session_id: str) -> None:
        self.session_data.pop(session_id, None)
        self.time_last_used.pop(session_id, None)
        self._left.pop(session_id, None)
        if session_id not in self._pages:
            self._owners.pop(session_id, None)
        self._forget_answers(session_id)

    def _forget_answers(self, session_id: str) -> None:
        """What the queue has answered and nobody has fetched; not while it still works on an answer."""
        queue = self.blocks._queue
        ids = queue.pending_event_ids_session.get(session_id, ())
        if not any(event_id in queue.event_ids_to_events for event_id in ids):
            queue.pending_event_ids_session.pop(session_id, None)
            queue.pending_messages_per_session.pop(session_id, None)


MOST_UPLOADS_FOLLOWED = 100


def forget_uploads(progress: FileUploadProgress) -> None:
    """Gradio counts the bytes of each upload under an id, for good where nobody asks for them."""
    for ids in (progress._statuses, progress._signals):
        for upload_id in list(ids)[:-MOST_UPLOADS_FOLLOWED]:
            del ids[upload_id]


def keep_no_statistics(blocks: gr.Blocks) -> None:
    """Gradio notes its last 10,000 events, each with its session's name, for a page that is shut here, and sums them up
    after each."""
    queue = blocks._queue
    queue.ANALYTICS_MAX_EVENTS, queue.ANAYLTICS_CACHE_FREQUENCY = 1, sys.maxsize


def forget_files_and_events(app: App) -> None:
    """Gradio notes the path of each file that was sent or shown, and the number of each event that was given up."""
    for paths in app.get_blocks().temp_file_sets:
        paths.clear()
    app.iterators_to_reset.intersection_update(app.get_blocks()._queue.event_ids_to_events)
