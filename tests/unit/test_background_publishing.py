"""Sharing in the background: what a page is told of it, whatever becomes of it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.sharable import sharable_run
from trainer.errors import UserError
from trainer.publishing import background
from trainer.publishing.background import Sharing, sharing_of, start_sharing
from trainer.publishing.options import PublishOptions
from trainer.publishing.publish import Receipt, keep_receipt, receipt_of
from trainer.runs.events import EventLog
from trainer.runs.follower import view_of
from trainer.runs.run import Run
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.ui.panel_state import Shown, nothing_yet
from trainer.ui.publish_panel import reason_against, sharing_parts, sharing_words

RECEIPT = Receipt("anna/my-model", "https://huggingface.co/anna/my-model", True, "0" * 40, {"README.md": 7})


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Publishing stands still until the gate opens; a run's end is looked for at once."""
    gate = threading.Event()

    def publish(
        run: Run, options: PublishOptions, token: object, picture: bytes, hub: object, on_progress: object
    ) -> Receipt:
        on_progress(3, 10)  # type: ignore[operator]
        gate.wait(10)
        if options.name == "broken":
            raise UserError("The connection broke.", "Try again.")
        if options.name == "odd":
            raise RuntimeError("hf_canary")
        keep_receipt(run, RECEIPT)
        return RECEIPT

    monkeypatch.setattr(background, "publish", publish)
    monkeypatch.setattr(background, "SECONDS_BETWEEN_LOOKS", 0.01)
    yield gate
    gate.set()


def until(run: Run, state: str) -> Sharing:
    deadline = time.monotonic() + 10
    while (now := sharing_of(run)).state != state:
        assert time.monotonic() < deadline, now
        time.sleep(0.01)
    return now


def begin(run: Run, name: str = "my-model") -> None:
    start_sharing(run, PublishOptions(name), "hf_x", lambda view: b"PNG")


def test_it_goes_on_in_the_background_once_and_leaves_a_receipt(gate: threading.Event, tmp_path: Path) -> None:
    run = sharable_run(tmp_path)
    assert sharing_of(run) == Sharing()
    begin(run)
    sending = until(run, "sending")
    assert (sending.done, sending.total, sending.going_on) == (3, 10, True)
    with pytest.raises(UserError, match="being shared already"):
        begin(run)
    gate.set()
    assert until(run, "shared").receipt == RECEIPT == receipt_of(run)
    background._sharings.clear()  # the app is started anew
    assert sharing_of(run) == Sharing("shared", receipt=RECEIPT)


def test_a_wish_waits_for_the_end_of_the_training(gate: threading.Event, tmp_path: Path) -> None:
    gate.set()
    run = sharable_run(tmp_path, end="none")
    begin(run)
    assert sharing_of(run).state == "requested" and sharing_of(run).going_on
    log = EventLog(run.events)
    log.append("finished")
    log.close()
    until(run, "shared")


@pytest.mark.parametrize(("name", "words"), [("broken", "connection broke"), ("odd", "went wrong")])
def test_a_failure_is_kept_and_it_can_be_shared_again(
    gate: threading.Event, tmp_path: Path, name: str, words: str
) -> None:
    gate.set()
    run = sharable_run(tmp_path)
    begin(run, name)
    failed = until(run, "failed")
    assert words in failed.what and "canary" not in failed.what and not failed.going_on
    begin(run)
    until(run, "shared")


def test_a_silent_hub_does_not_keep_a_run_for_ever(
    gate: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sharable_run(tmp_path)
    begin(run)
    until(run, "sending")
    monkeypatch.setattr(background, "SECONDS_OF_SILENCE", -1.0)
    assert "half an hour" in sharing_of(run).what
    begin(run)


def shown(run: Run, state: Sharing = Sharing(), **more: bool) -> Shown:  # noqa: B008  # it is frozen
    return Shown(run, view_of(run), LOCALES["en-US"], sharing=state, **more)  # type: ignore[arg-type]


def test_the_button_rests_with_its_reason(tmp_path: Path) -> None:
    ready, going = sharable_run(tmp_path / "a"), sharable_run(tmp_path / "b", end="none")
    empty = sharable_run(tmp_path / "c")
    (empty.model / "config.json").unlink()
    assert "nothing to share" in reason_against(nothing_yet(LOCALES["en-US"]))
    assert "once the training has ended" in reason_against(shown(going))
    assert "No model" in reason_against(shown(empty))
    assert reason_against(shown(ready)) == ""
    for state, more, expected in (
        (Sharing(), {}, True),
        (Sharing("failed"), {}, True),
        (Sharing("sending"), {}, False),
        (Sharing(), {"can_sign_in": False}, False),
    ):
        assert sharing_parts(shown(ready, state, **more))["share"][0] is expected


def test_each_state_has_its_words() -> None:
    assert "progressbar" in sharing_words(Sharing("asking")) and "30 %" in sharing_words(Sharing("sending", 3, 10))
    assert "when the training has ended" in sharing_words(Sharing("requested"))
    done = sharing_words(Sharing("shared", receipt=RECEIPT))
    assert RECEIPT.url in done and "Only you can see it" in done and done.count("\n") == 2
    nasty = Receipt("a/<b>", 'https://x/"><script>', False, "", {})
    assert "<script" not in sharing_words(Sharing("shared", receipt=nasty))
    again = sharing_words(Sharing("failed", what="It broke.", todo="Again.", receipt=RECEIPT))
    assert "It broke. Again." in again and RECEIPT.url in again


def test_a_space_needs_gradios_own_sign_in() -> None:
    space = {"SPACE_ID": "a/b", "VOICETUNE_DATA": "x"}
    assert Settings.from_env({"VOICETUNE_DATA": "x"}).can_sign_in
    assert not Settings.from_env(space).can_sign_in
    assert not Settings.from_env({**space, "OAUTH_CLIENT_ID": "c"}).can_sign_in  # there it would be a mock
    assert Settings.from_env({**space, "OAUTH_CLIENT_ID": "c", "SYSTEM": "spaces"}).can_sign_in


def test_so_many_sharings_are_remembered_and_all_that_go_on(
    gate: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "MOST_TOLD", 2)
    told = time.monotonic()
    kept = {Path(str(number)): (Sharing("sending" if number == 0 else "failed"), told) for number in range(9)}
    monkeypatch.setattr(background, "_sharings", kept)
    run = sharable_run(tmp_path)
    begin(run)
    assert list(kept) == [Path("0"), Path("7"), Path("8"), run.folder]
    gate.set()
    until(run, "shared")
