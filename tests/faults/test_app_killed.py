"""The app is killed: its trainings go on, and the next app looks after them. It is shut down: they save and end."""

import signal
import time
from pathlib import Path

import pytest

from tests.app.serving import start_app
from tests.faults.apps import QuickApp, wait_until
from trainer.runs.events import EventReader
from trainer.runs.follower import Follower
from trainer.runs.lifecycle import owner_process_of
from trainer.runs.process import alive, process_of
from trainer.runs.queue import list_tickets, waiting
from trainer.runs.run import Run, list_runs

KILLS_IN_CI, KILLS = 3, 20
SECONDS_TO_LEAVE = 8.0


def steps_of(run: Run) -> int:
    return sum(event["event"] == "log" for event in EventReader(run.events).read_new())


def outlives(data: Path, kills: int) -> None:
    """A run that trains and one that waits, through so many deaths of their app."""
    app = QuickApp(SECONDS="3600")
    runs = [Run(data / "runs" / run_id) for run_id in app.ask(f"start {data} 2")]
    try:
        wait_until(lambda: sum(map(steps_of, runs)) > 0, 60, "nothing began to train")
        holders = {ticket.run.id: ticket.holder for ticket in list_tickets(data / "queue")}
        trains = list_tickets(data / "queue")[0].run
        for _ in range(kills):
            app.kill()
            before = steps_of(trains)
            wait_until(lambda before=before: steps_of(trains) > before, 30, "it did not go on")  # type: ignore[misc]
            app = QuickApp(SECONDS="3600")
            assert sorted(app.ask(f"adopt {data}")) == sorted(run.id for run in runs)
            owners = [owner_process_of(run) for run in runs]
            assert [owner_process and owner_process["pid"] for owner_process in owners] == [app.process.pid] * 2
            assert {ticket.run.id: ticket.holder for ticket in list_tickets(data / "queue")} == holders
        assert Follower(trains).view().state == "running"
    finally:
        asked = time.monotonic()
        app.close()
    assert time.monotonic() - asked < SECONDS_TO_LEAVE
    assert not any(alive(holder["pid"], holder["pid_started"]) for holder in holders.values())
    assert waiting(data / "queue") == 0
    for run in runs:
        view = Follower(run).view()
        assert view.state == "stopped" and "Voicetune was shut down" in view.what


def test_a_training_outlives_its_app_and_is_adopted(tmp_path: Path) -> None:
    outlives(tmp_path, KILLS_IN_CI)


@pytest.mark.slow
def test_twenty_kills_leave_no_process_unowned(tmp_path: Path) -> None:
    outlives(tmp_path, KILLS)


def test_what_dies_with_its_app_is_marked(tmp_path: Path) -> None:
    app = QuickApp(SECONDS="3600")
    run = Run(tmp_path / "runs" / app.ask(f"start {tmp_path} 1")[0])
    wait_until(lambda: steps_of(run) > 0, 60, "it did not begin")
    process = process_of(run)
    assert process is not None
    app.kill()
    process.kill()
    wait_until(lambda: process_of(run) is None, 10, "it lives on")
    after = QuickApp()
    assert after.ask(f"adopt {tmp_path}") == []
    after.close()
    assert Follower(run).view().state == "interrupted"


def test_another_app_does_not_touch_what_is_kept(tmp_path: Path) -> None:
    owner_process, other = QuickApp(SECONDS="3600"), QuickApp()
    run = Run(tmp_path / "runs" / owner_process.ask(f"start {tmp_path} 1")[0])
    assert other.ask(f"adopt {tmp_path}") == []
    other.close()  # with SIGTERM
    assert process_of(run) is not None
    assert owner_process.ask(f"keeps {tmp_path}") == [run.id]
    owner_process.close()
    assert process_of(run) is None


def test_the_real_app_adopts_wipes_uploads_and_lets_trainers_save(tmp_path: Path) -> None:
    data = tmp_path / "data"
    starter = QuickApp(SECONDS="3600")
    run = Run(data / "runs" / starter.ask(f"start {data} 1")[0])
    wait_until(lambda: steps_of(run) > 0, 60, "it did not begin")
    starter.kill()
    app = start_app(tmp_path)
    uploads = next((tmp_path / "tmp").glob("voicetune-uploads-*"))
    assert uploads.stat().st_mode & 0o077 == 0
    (uploads / "voice.wav").write_bytes(b"somebody's voice")
    app.process.kill()
    app.process.wait()
    app = start_app(tmp_path)
    assert not uploads.exists()
    owner_process = owner_process_of(run)
    assert owner_process is not None and owner_process["pid"] == app.process.pid
    app.process.send_signal(signal.SIGTERM)
    wait_until(lambda: process_of(run) is None, SECONDS_TO_LEAVE, "the trainer did not leave")
    assert app.process.wait(timeout=20) == 0
    assert [found.id for found in list_runs(data / "runs")] == [run.id]
    assert Follower(run).view().state == "stopped"
    assert list((tmp_path / "tmp").glob("voicetune-*")) == []
