"""The line: whoever presses Start, from however many apps, one run trains at a time, in the order of the presses."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.apps import QuickApp, wait_until
from trainer.runs.queue import list_tickets, waiting
from trainer.runs.run import list_runs

APPS, STARTS = 2, 10  # twenty at once
ROUNDS_IN_CI, ROUNDS = 2, 50
SECONDS_A_ROUND = 120


@pytest.fixture
def apps() -> Iterator[list[QuickApp]]:
    """Two, that let one person have twenty runs."""
    limits = {"VOICETUNE_MAX_WAITING": "20", "VOICETUNE_MAX_RUNS": "20"}
    running = [QuickApp(**limits) for _ in range(APPS)]
    yield running
    for app in running:
        app.close()


def diary_of(data: Path) -> list[list[str]]:
    """(in | out | collision, run) in the order of events."""
    file = data / "diary"
    return [list_tickets.split() for list_tickets in file.read_text().splitlines()] if file.exists() else []


def one_round(apps: list[QuickApp], data: Path) -> None:
    """Twenty starts at once; then all have had their turn, alone, in the order in which they were queued."""
    for app in apps:
        app.tell(f"start {data} {STARTS}")
    started = [run for app in apps for run in app.answer()]
    assert len(set(started)) == APPS * STARTS
    wait_until(lambda: len(diary_of(data)) >= 2 * len(started), SECONDS_A_ROUND, f"{diary_of(data)}")
    queued = sorted(list_runs(data / "runs"), key=lambda run: (run.folder / "config.json").stat().st_mtime_ns)
    assert diary_of(data) == [[what, run.id] for run in queued for what in ("in", "out")]
    wait_until(lambda: waiting(data / "queue") == 0, 10, "tickets were left over")


def play(apps: list[QuickApp], folder: Path, rounds: int) -> None:
    """Each round in a fresh data folder."""
    for number in range(rounds):
        one_round(apps, folder / f"round{number}")


def test_twenty_starts_at_once_from_two_apps_train_one_at_a_time(apps: list[QuickApp], tmp_path: Path) -> None:
    play(apps, tmp_path, ROUNDS_IN_CI)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_rounds_of_them(apps: list[QuickApp], tmp_path: Path) -> None:
    play(apps, tmp_path, ROUNDS)


def test_the_line_takes_no_more_than_it_may_however_many_press_at_once(tmp_path: Path) -> None:
    limits = {"VOICETUNE_MAX_WAITING": "3", "VOICETUNE_MAX_RUNS": "20", "SECONDS": "60"}
    apps = [QuickApp(**limits) for _ in range(APPS)]
    for app in apps:
        app.tell(f"start {tmp_path} 5")
    answers = [answer for app in apps for answer in app.answer()]
    refused = [answer for answer in answers if answer.startswith("refused:")]
    assert len(answers) - len(refused) == 4  # one that trains, and three behind it
    assert set(refused) == {"refused:3_trainings_are_waiting_in_line_already,_the_most_that_may."}
    for app in apps:
        app.close()  # which ends what it has started
    assert waiting(tmp_path / "queue") == 0


def test_a_killed_trainer_gives_its_turn_to_the_next(tmp_path: Path) -> None:
    app = QuickApp(SECONDS="60")
    runs = app.ask(f"start {tmp_path} 3")
    wait_until(lambda: len(diary_of(tmp_path)) == 1, 30, "the first did not start")
    first = list_tickets(tmp_path / "queue")[0]
    (tmp_path / "occupied").unlink()  # the killed one cannot
    os.kill(int(first.holder["pid"]), 9)
    wait_until(lambda: len(diary_of(tmp_path)) == 2, 30, "the second did not start")
    assert diary_of(tmp_path)[0][1] == first.run.id != diary_of(tmp_path)[1][1]
    assert waiting(tmp_path / "queue") == len(runs) - 1
    app.close()
    assert waiting(tmp_path / "queue") == 0
