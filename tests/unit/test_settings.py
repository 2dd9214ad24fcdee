"""What a host may set: every variable is in the README, none is invented there, and a slip is told in a sentence."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from trainer.__main__ import main
from trainer.errors import UserError
from trainer.settings import LAPTOP, Limits, Settings, Variable, variables

ROOT = Path(__file__).resolve().parents[2]
ALL = [(kind, name, variable) for kind in (Settings, Limits) for name, variable in variables(kind).items()]
NUMBERS = [(kind, name, variable) for kind, name, variable in ALL if name not in ("data_dir", "hub_endpoint", "hosts")]


def table() -> dict[str, list[str]]:
    """Variable: what it sets, on a laptop, on a Space, as the README has them. Gradio's own are not ours to list."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*) \| (.*) \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return {name: cells for name, *cells in rows}


def told(variable: Variable, value: Any) -> str:
    return "no limit" if variable.zero_is_no_limit and not value else f"{value / variable.unit:g}"


def test_the_readme_lists_every_variable_and_no_other() -> None:
    assert {name: what for name, (what, _, _) in table().items()} == {
        variable.name: variable.what for _, _, variable in ALL
    }


@pytest.mark.parametrize(("kind", "name", "variable"), NUMBERS)
def test_the_readme_has_the_true_defaults(kind: Any, name: str, variable: Variable) -> None:
    laptop, space = (Settings.from_env(env) for env in ({}, {"SPACE_ID": "someone/voicetune"}))
    values = [getattr(at.limits if kind is Limits else at, name) for at in (laptop, space)]
    assert table()[variable.name][1:] == [told(variable, value) for value in values]


def test_every_limit_has_a_variable() -> None:
    assert set(variables(Limits)) == {each.name for each in fields(Limits)}


@pytest.mark.parametrize(("kind", "name", "variable"), NUMBERS)
def test_a_number_reaches_its_field_and_no_other(kind: Any, name: str, variable: Variable) -> None:
    value = int(min(7, variable.most))
    changed, usual = Settings.from_env({"HOME": "/h", variable.name: str(value)}), Settings.from_env({"HOME": "/h"})
    differing = [each.name for each in fields(Settings) if getattr(changed, each.name) != getattr(usual, each.name)]
    assert differing == ["limits" if kind is Limits else name]
    assert getattr(changed.limits if kind is Limits else changed, name) == value * variable.unit
    assert Settings.from_env({"HOME": "/h", variable.name: " "}) == usual, "an empty one is as none"


@pytest.mark.parametrize(("kind", "name", "variable"), NUMBERS)
@pytest.mark.parametrize("slip", ["lots", "-1", "nan", "inf", "1e300", "5 GB", "0x10"])
def test_a_slip_is_told_with_the_variables_name(kind: Any, name: str, variable: Variable, slip: str) -> None:
    with pytest.raises(UserError, match=f"{variable.name} is “{slip}”") as refused:
        Settings.from_env({variable.name: slip})
    assert variable.what in refused.value.todo and "number from" in refused.value.todo


def test_half_a_run_is_none() -> None:
    with pytest.raises(UserError, match="VOICETUNE_MAX_RUNS"):
        Settings.from_env({"VOICETUNE_MAX_RUNS": "1.5"})
    assert Settings.from_env({"VOICETUNE_MAX_RUNS": "2.0"}).limits.runs_of_visitor == 2
    assert LAPTOP.runs_of_visitor == 4


def test_a_home_in_a_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings.from_env({"VOICETUNE_DATA": "~/runs"}).data_dir == tmp_path / "runs"


def test_a_command_says_it_and_ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VOICETUNE_MAX_GB", "plenty")
    assert main(["runs", "list"]) == 1
    assert "VOICETUNE_MAX_GB is “plenty”" in capsys.readouterr().err


def test_the_app_says_it_and_ends(tmp_path: Path) -> None:
    env = {**os.environ, "VOICETUNE_DATA": str(tmp_path), "VOICETUNE_MAX_MINUTES": "two"}
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "VOICETUNE_MAX_MINUTES is “two”" in done.stderr and "Traceback" not in done.stderr
