"""python -m trainer runs, as a person with many trainings uses it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.run_folder import write_run
from trainer.__main__ import main
from trainer.errors import UserError
from trainer.runs.follower import view_of
from trainer.runs.run import LOCAL_OWNER, Run, list_runs
from trainer.runs.storage import delete_run, sweep
from trainer.settings import Settings
from trainer.speech.locales import LOCALES
from trainer.transcription.model_list import model_choices
from trainer.ui.wording import summary


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICETUNE_DATA", str(tmp_path))
    return tmp_path


def test_list_names_every_run_the_newest_first(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older, newer = write_run(data, locale="de-DE", end="stopped"), write_run(data)
    assert main(["runs", "list", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)
    assert [run["id"] for run in runs] == sorted([older.id, newer.id], reverse=True)
    assert {run["state"] for run in runs} == {"finished", "stopped"}
    assert all(0 <= run["wer"] <= 1 and run["bytes"] > 0 for run in runs)
    assert main(["runs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all("test" in line for line in lines[1:3]) and "26.0%" in lines[1]
    assert len(lines) == 4 and lines[-1].endswith("in all, of at most 50 GB")


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the system has no such thing")
def test_a_time_is_the_readers_own_in_every_list(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run ids are in UTC; in Tokyo it is nine hours later, and another day."""
    made = write_run(data)
    run = Run(made.folder.rename(made.folder.with_name("20261123-231204-en-US-9f3a1c")))
    settings = Settings(data_dir=data)
    try:
        for zone, moment in (("Asia/Tokyo", "24 Nov, 08:12"), ("America/New_York", "23 Nov, 18:12")):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert model_choices(settings, LOCAL_OWNER)[0].label.endswith(f"· {moment}")
            assert summary(view_of(run), LOCALES["en-US"], run.created).startswith(f"{moment} · ")
            for command in ("list", "show"):
                assert main(["runs", command]) == 0
                assert moment in capsys.readouterr().out
    finally:
        monkeypatch.undo()
        time.tzset()


def test_show_says_what_came_of_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(data, end="failed")
    assert main(["runs", "show", run.id]) == 0
    shown = capsys.readouterr().out
    assert "The computer ran out of memory." in shown and "smaller batch" in shown
    assert "judged_by  validation" in shown
    assert main(["runs", "show", "--json", write_run(data).id]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["judged_by"], figures["wer"], figures["test"]["wer"]) == ("test", 0.26, 0.26)
    assert figures["validation"]["wer"] != 0.26 and figures["before"] == {"wer": 1.0, "cer": 1.0}
    assert main(["runs", "show", "--json"]) == 0  # the newest
    assert json.loads(capsys.readouterr().out)["recipe"]["locale"] == "en-US"


def test_delete_removes_the_folder_and_only_that(data: Path) -> None:
    gone, kept = write_run(data), write_run(data)
    assert main(["runs", "delete", gone.id]) == 0
    assert list_runs(data / "runs") == [kept]
    assert [folder.name for folder in (data / "runs").iterdir()] == [kept.id]


def test_a_run_that_goes_on_is_not_deleted(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(data, end="none")  # its pid is this test's own, which is alive
    assert main(["runs", "delete", run.id]) == 1
    assert "Stop it first" in capsys.readouterr().err
    assert run.folder.exists()


@pytest.mark.parametrize("wrong", ["20260101-000000-en-US-abcdef", "../../etc", ""])
def test_a_wrong_id_reaches_nothing(data: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(data)
    assert main(["runs", "delete", wrong]) == 1
    assert "no run with this id" in capsys.readouterr().err
    assert len(list_runs(data / "runs")) == 1


def test_a_deletion_that_was_cut_short_is_finished(data: Path) -> None:
    run = write_run(data)
    run.folder.rename(run.folder.with_name(run.id + ".deleted"))
    assert list_runs(data / "runs") == []
    sweep(data / "runs")
    assert list((data / "runs").iterdir()) == []


def test_deleting_a_run_that_a_page_watches_does_not_disturb_the_page(data: Path) -> None:
    run = write_run(data)
    view_of(run)
    delete_run(run)
    assert view_of(run).seq == -1
    with pytest.raises(UserError):
        delete_run(run)


def test_the_command_needs_no_torch(data: Path) -> None:
    write_run(data)
    code = "import sys; from trainer.__main__ import main; main(['runs', 'list']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
