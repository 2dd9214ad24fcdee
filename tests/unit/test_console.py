"""The command line in a person's hands: what each option is, and that all they can cause is said in sentences."""

import argparse
import importlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.run_folder import write_run
from tests.fakes.sounds import save_folder
from trainer import __main__
from trainer.__main__ import COMMANDS, main
from trainer.commands.console import LOG, Parser
from trainer.commands.progress import ProgressBars
from trainer.runs import preflight
from trainer.runs.run import Run, list_runs
from trainer.settings import Settings, typed_path
from trainer.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
AWAY = "http://127.0.0.1:9"
Said = pytest.CaptureFixture[str]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own data folder, and no Hub."""
    monkeypatch.setenv("VOICETUNE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_ENDPOINT", AWAY)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def parsers() -> Iterator[argparse.ArgumentParser]:
    """Those of all commands and of their actions."""
    waiting: list[argparse.ArgumentParser] = []
    for name in COMMANDS:
        parser: argparse.ArgumentParser = Parser(prog=name)
        importlib.import_module(f"trainer.commands.{name}").add_arguments(parser)
        waiting.append(parser)
    while waiting:
        parser = waiting.pop()
        yield parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()


def test_every_option_is_explained() -> None:
    unexplained = [
        f"{parser.prog} {action.option_strings or action.dest}"
        for parser in parsers()
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction) and not (action.help or "").strip()
    ]
    assert unexplained == []


def test_the_help_has_units_ranges_and_defaults(capsys: Said) -> None:
    with pytest.raises(SystemExit):
        main(["finetune", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "1 to 1,000,000 steps (default: quick 300" in said and "0.0000001 to 0.1" in said
    assert "e+0" not in said and "1e-0" not in said


def run_with(config: object) -> Path:
    """A run's folder in the working folder, with anything for its config.json."""
    folder = Path("odd")
    folder.mkdir()
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return folder


def finetune_of(**recipe: object) -> list[str]:
    return ["finetune", "--run", str(run_with({"recipe": recipe, "owner": "local"}))]


def test_only_rows() -> list[str]:
    return ["finetune", "--data", str(save_folder(Path("own"), [("open the door", "test"), ("who is there", "test")]))]


test_only_rows.__test__ = False  # type: ignore[attr-defined]  # its name is what it makes


def a_file(name: str = "taken") -> str:
    Path(name).write_text("x", encoding="utf-8")
    return name


ODD = {
    "no command": lambda: [],
    "unknown command": lambda: ["fly"],
    "unknown option": lambda: ["finetune", "--fly"],
    "unknown preset": lambda: ["finetune", "--preset", "wish"],
    "unknown locale": lambda: ["finetune", "--locale", "xx-XX"],
    "empty locale": lambda: ["finetune", "--locale", ""],
    "steps in words": lambda: ["finetune", "--max-steps", "many"],
    "steps of five thousand digits": lambda: ["finetune", "--max-steps", "9" * 5000],
    "no steps": lambda: ["finetune", "--max-steps", "0"],
    "negative steps": lambda: ["finetune", "--max-steps=-4"],
    "no number": lambda: ["finetune", "--learning-rate", "nan"],
    "endless": lambda: ["finetune", "--learning-rate", "inf"],
    "a comma": lambda: ["finetune", "--learning-rate", "0,001"],
    "never logging": lambda: ["finetune", "--logging-steps", "0"],
    "seed below nothing": lambda: ["finetune", "--seed=-1"],
    "two sizes": lambda: ["finetune", "--batch-clips", "2", "--batch-seconds", "4"],
    "unknown precision": lambda: ["finetune", "--precision", "fp8"],
    "no base": lambda: ["finetune", "--base", ""],
    "base that is not there": lambda: ["finetune", "--base", "./nowhere"],
    "base that is no model": lambda: ["finetune", "--base", str(Path.cwd())],
    "base with a quote": lambda: ["finetune", "--base", "it's/mine"],
    "base of the Hub, which is away": lambda: ["finetune", "--base", "some/model", "--data", "practice"],
    "MInDS-14, which is away": lambda: ["finetune", "--data", "minds14"],
    "data that is not there": lambda: ["finetune", "--data", "./nowhere"],
    "data without a table": lambda: ["finetune", "--data", str(Path.cwd())],
    "data that is only for testing": test_only_rows,
    "data that is not UTF-8": lambda: ["finetune", "--data", "caf\udce9"],
    "run in a file": lambda: ["finetune", "--run", a_file()],
    "run below a file": lambda: ["finetune", "--run", a_file() + "/run"],
    "run that is not UTF-8": lambda: ["finetune", "--run", "caf\udce9"],
    "run without a name": lambda: ["finetune", "--run", ""],
    "run with a name too long": lambda: ["finetune", "--run", "x" * 300],
    "nothing to resume": lambda: ["finetune", "--resume"],
    "resume what is no run": lambda: ["finetune", "--resume", "--run", "nowhere"],
    "config.json without a recipe": lambda: ["finetune", "--run", str(run_with({"recipe": None}))],
    "config.json cut short": lambda: ["finetune", "--run", str(run_with('{"recipe": {"loc'))],
    "config.json that is a list": lambda: ["finetune", "--run", str(run_with([1]))],
    "data: null": lambda: finetune_of(data=None),
    "locale: 7": lambda: finetune_of(locale=7),
    "base: []": lambda: finetune_of(base=[]),
    "augment: maybe": lambda: finetune_of(augment="maybe"),
    "max_steps: many": lambda: finetune_of(max_steps="many"),
    "schedule: {}": lambda: finetune_of(schedule={}),
    "a part from the future": lambda: finetune_of(telepathy=True),
    "evaluate nothing": lambda: ["evaluate"],
    "evaluate what is not there": lambda: ["evaluate", "--model", "./nowhere"],
    "an unknown split": lambda: ["evaluate", "--model", "starter", "--split", "dev"],
    "seed in words": lambda: ["evaluate", "--model", "starter", "--seed", "luck"],
    "transcribe nothing": lambda: ["transcribe"],
    "transcribe what is not there": lambda: ["transcribe", "--model", "starter", "nowhere.wav"],
    "transcribe what is no sound": lambda: ["transcribe", "--model", "starter", a_file("a.wav")],
    "transcribe a folder": lambda: ["transcribe", "--model", "starter", "."],
    "transcribe what is not UTF-8": lambda: ["transcribe", "--model", "starter", "caf\udce9.wav"],
    "transcribe with a model that is not there": lambda: ["transcribe", "--model", "~/nowhere", "a.wav"],
    "publish nothing": lambda: ["publish"],
    "publish an unknown run": lambda: ["publish", "../../etc"],
    "an unknown licence": lambda: ["publish", "--licence", "mine"],
    "runs without an action": lambda: ["runs"],
    "show nothing": lambda: ["runs", "show"],
    "delete an unknown run": lambda: ["runs", "delete", "caf\udce9"],
    "stop without an id": lambda: ["runs", "stop"],
}


@pytest.mark.parametrize("odd", ODD)
def test_what_a_person_can_cause_is_said_in_sentences(odd: str, data: Path, capsys: Said) -> None:
    try:
        code = main(ODD[odd]())
    except SystemExit as end:  # argparse's
        code = int(end.code or 0)
    said = capsys.readouterr().err
    assert code in (1, 2), said
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) == 1 and 20 < len(said) < 700, said
    assert said.rstrip().endswith((".", ")", "?", "--help", "list", "finetune")) and "Traceback" not in said
    assert "Something went wrong" not in said, (data / LOG).read_text(encoding="utf-8")
    assert list_runs(data / "runs") == [], "it left a failed run"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VOICETUNE_MAX_GB", "lots"),
        ("VOICETUNE_MAX_SECONDS", "-1"),
        ("VOICETUNE_MAX_RUNS", "1.5"),
        ("VOICETUNE_DATA", "taken"),
        ("VOICETUNE_DATA", "taken/below"),
        ("VOICETUNE_DATA", "caf\udce9"),
        ("VOICETUNE_DATA", "x" * 300),
        ("VOICETUNE_DATA", "/proc/voicetune"),
    ],
)
def test_odd_surroundings_are_said_too(
    variable: str, value: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    a_file()
    monkeypatch.setenv(variable, value)
    assert main(["finetune", "--data", "practice"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and "went wrong" not in said and said.count("\n") == 1, said
    assert "VOICETUNE_" in said or "UTF-8" in said


def test_the_app_refuses_in_sentences(data: Path) -> None:
    a_file()
    env = os.environ | {"VOICETUNE_DATA": "taken/below"}
    done = subprocess.run([sys.executable, ROOT / "app.py"], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "VOICETUNE_DATA" in done.stderr, done.stderr


def test_the_unexpected_is_a_number_and_lies_in_the_log(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def fail(arguments: list[str]) -> int:
        raise ZeroDivisionError("nobody's fault")

    monkeypatch.setattr(__main__, "_run", fail)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().err
    log = (data / LOG).read_text(encoding="utf-8")
    number = said.split("number ")[1].split(")")[0]
    assert "Traceback" not in said and "nobody" not in said
    assert number in log and "ZeroDivisionError: nobody's fault" in log and "Traceback" in log


def test_an_odd_recipe_of_one_run_keeps_no_list_from_showing(data: Path, capsys: Said) -> None:
    good, odd = write_run(data), write_run(data)
    config = {"recipe": None, "owner": "local"}
    (odd.folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["runs", "list", "--json"]) == 0
    assert {run["id"] for run in json.loads(capsys.readouterr().out)} == {good.id, odd.id}
    assert main(["runs", "show", odd.id]) == 1
    assert "does not hold a run" in capsys.readouterr().err
    assert Run(odd.folder).recipe_values == {}


def test_one_bad_file_never_ends_the_batch(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    from trainer.commands import transcribe
    from trainer.transcription.transcribe import Transcript

    def heard(file: Path, *_: object, **__: object) -> Transcript:
        if file.name == "bad.wav":
            raise ZeroDivisionError
        return Transcript(f"heard {file.name}", (), 1.0, 1.0, "model")

    monkeypatch.setattr(transcribe, "transcribe", heard)
    assert main(["transcribe", "--model", "starter", "a.wav", "bad.wav", "caf\udce9.wav", "'b.wav'"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == ["heard a.wav", "heard b.wav"]
    assert "bad.wav: Something went wrong" in said.err and "UTF-8" in said.err and "Traceback" not in said.err


def test_folders_become_files_beside_their_sounds_or_elsewhere(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    from trainer.commands import transcribe
    from trainer.models.decoding import Word
    from trainer.transcription.transcribe import Transcript

    asked: list[dict[str, object]] = []

    def heard(file: Path, *_: object, **options: object) -> Transcript:
        asked.append(options)
        return Transcript(file.name, (Word(file.name, 0.0, 1.0, 1.0),), 1.0, 1.0, "model")

    monkeypatch.setattr(transcribe, "transcribe", heard)
    folder, empty = tmp_path / "talks", tmp_path / "empty"
    empty.mkdir()
    for name in ("a.wav", "a.mp3", "in/b.ogg", "in/notes.txt", "in/.hidden.wav", "in/b.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    command = ["transcribe", "--model", "starter", "--words", "Anna", "--no-phrases", str(folder)]
    assert main([*command, "--format", "srt"]) == 0
    written = [folder / "a.mp3.srt", folder / "a.wav.srt", folder / "in" / "b.srt"]
    assert [Path(line) for line in capsys.readouterr().out.splitlines()] == written
    assert (folder / "in" / "b.srt").read_text() == "1\n00:00:00,000 --> 00:00:01,000\nb.ogg\n"
    assert {(options["words"], options["phrases"]) for options in asked} == {("Anna", False)}
    assert main([*command, str(empty), "--format", "txt"]) == 1, "what lies there is not written over"
    said = capsys.readouterr()
    assert "b.txt is there already" in said.err and f"{empty}: No sounds" in said.err
    assert (folder / "in" / "b.txt").read_text() == "mine" and len(said.out.splitlines()) == 2
    assert main([*command, "--format", "json", "--output", str(tmp_path / "out")]) == 0
    assert sorted(file.name for file in (tmp_path / "out").rglob("*.json")) == ["a.mp3.json", "a.wav.json", "b.json"]
    assert (tmp_path / "out" / "in" / "b.json").is_file()
    capsys.readouterr()
    assert main(command) == 0 and capsys.readouterr().out.splitlines() == ["a.mp3", "a.wav", "b.ogg"]


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_pipe_gets_utf8_whatever_the_console_says(env: dict[str, str], tmp_path: Path) -> None:
    text = ascii("Привет, 世界 \udce9")
    code = f"from trainer.commands.console import write_utf8; write_utf8(); print({text})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | env, capture_output=True)
    assert done.returncode == 0 and done.stdout.decode("utf-8").strip() == "Привет, 世界 ?"


def test_a_terminal_is_told_what_it_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Terminal(shown, encoding="cp1252", newline=""))
    from trainer.commands.console import write_utf8

    write_utf8()
    print("é Привет")
    sys.stdout.flush()
    assert shown.getvalue() == b"\xe9 ??????\n"


def test_a_bar_ends_before_an_error(capsys: Said) -> None:
    bars = ProgressBars(quiet=False)
    bars.show({"event": "phase", "phase": "preparing", "done": 1, "total": 4})
    bars.show({"event": "failed", "what": "It failed.", "todo": "Mend it."})
    bars.close()
    lines = capsys.readouterr().err.replace("\r", "\n").split("\n")
    assert [line for line in lines if line.strip()][-1] == "It failed. Mend it."
    ProgressBars(quiet=True).show({"event": "failed", "what": "It failed.", "todo": "Mend it."})
    assert capsys.readouterr().err == "It failed. Mend it.\n"


def test_a_large_table_does_not_hold_up_the_start(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    monkeypatch.setattr(preflight, "open_and_split", lambda *_: done.wait(30))
    monkeypatch.setattr(preflight, "SECONDS_TO_LOOK", 0.2)
    started = time.monotonic()
    preflight.check_inputs_soon(Recipe(data="practice"), Settings.from_env())
    assert time.monotonic() - started < 5
    done.set()


def test_a_path_is_found_as_people_type_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path.home()
    assert typed_path("~/a") == home / "a" == typed_path("'~/a'") == typed_path(" “~/a” ")
    Path("'odd'").mkdir()
    assert typed_path("'odd'") == Path("'odd'")
    settings = Settings.from_env({"VOICETUNE_DATA": '"~/data"', "HOME": str(home)})
    assert settings.data_dir == home / "data"
    assert Settings.from_env({"VOICETUNE_DATA": "here"}).data_dir == Path.cwd() / "here"


def test_looks_that_nobody_waits_for_are_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    done, begun = threading.Event(), list[None]()

    def look(*_: object) -> None:
        begun.append(None)
        done.wait(30)

    monkeypatch.setattr(preflight, "_lookers", lookers := ThreadPoolExecutor(1))
    monkeypatch.setattr(preflight, "_check_base_and_data", look)
    monkeypatch.setattr(preflight, "SECONDS_TO_LOOK", 0.02)
    for _ in range(5):
        preflight.check_inputs_soon(Recipe(data="practice"), Settings.from_env())
    done.set()
    lookers.shutdown()
    assert len(begun) == 1
