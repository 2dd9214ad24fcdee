"""A Space can be built from this repo: its README's front matter, and pip resolves what the build installs."""

import re
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import metadata_load
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
SPACE_PYTHON = "3.12"
STUB_VERSION = "2.13.99+stub"  # above every release in requirements.txt's range for torch


@cache
def front_matter() -> dict[str, Any]:
    """The YAML block at the top of README.md, which is the Space's configuration."""
    loaded = metadata_load(ROOT / "README.md")
    assert loaded, "README.md must begin with a front matter block between two lines of ---"
    return loaded


def requirements() -> dict[str, Requirement]:
    """requirements.txt by name."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    return {requirement.name: requirement for requirement in map(Requirement, filter(None, lines))}


# --- front matter


def test_the_front_matter_says_what_a_space_needs() -> None:
    space = front_matter()
    for key in ("title", "emoji", "colorFrom", "colorTo", "short_description"):
        assert isinstance(space[key], str) and space[key].strip(), key
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {space["colorFrom"], space["colorTo"]} <= colours
    assert len(space["short_description"]) <= 60
    assert space["sdk"] == "gradio"
    assert space["app_file"] == "app.py"
    assert (ROOT / "app.py").is_file()
    assert space["license"] == "apache-2.0"


def test_the_front_matter_lists_models_datasets_and_tags() -> None:
    space = front_matter()
    for key in ("models", "datasets", "tags"):
        assert isinstance(space[key], list) and space[key], key
        assert all(isinstance(item, str) for item in space[key])
    assert "PolyAI/minds14" in space["datasets"]
    for repo_id in space["models"] + space["datasets"]:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id), repo_id


def test_python_and_gradio_are_versions_that_the_requirements_allow() -> None:
    space = front_matter()
    assert space["python_version"] == "3.12.12"  # quoted in the YAML; the newest that ZeroGPU offers
    assert isinstance(space["sdk_version"], str)
    assert requirements()["gradio"].specifier.contains(Version(space["sdk_version"]))


def test_signing_in_asks_for_new_models_alone() -> None:
    """`openid` and `profile` are always among what is asked; this one can make repos and sees no others."""
    space = front_matter()
    assert space["hf_oauth"] is True
    assert space["hf_oauth_scopes"] == ["contribute-repos", "jobs"]


# --- the build line


@cache
def index_answers() -> bool:
    """Whether pip reaches a package index at all: a cheap question, so that a conflict is never taken for it."""
    asked = pip("index", "versions", "pip", "--retries", "0", "--timeout", "10")
    return asked.returncode == 0


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def complaints(done: subprocess.CompletedProcess[str]) -> str:
    """pip's errors without its many warnings."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
    return "\n".join(lines[-20:])


def build_line() -> list[str]:
    """What a Gradio Space installs, in one command."""
    gradio = f"gradio[oauth,mcp]=={front_matter()['sdk_version']}"
    return ["-r", str(ROOT / "requirements.txt"), gradio, "uvicorn>=0.14.0", "websockets>=10.4", "spaces"]


needs_index = pytest.mark.skipif("not index_answers()", reason="the package index is out of reach")


@needs_index
def test_the_build_line_resolves_here() -> None:
    done = pip("install", "--dry-run", *build_line())
    assert done.returncode == 0, complaints(done)


@needs_index
def test_the_build_line_resolves_for_the_spaces_python(tmp_path: Path) -> None:
    """torch is a stub here, since pip's dry run downloads what it resolves: over 1.3 GB with CUDA's packages.

    That a real torch of the range exists for this Python is the next test; that torch's own small requirements
    fit is the one above.
    """
    stub = make_stub(tmp_path, "torch", STUB_VERSION)
    space = ["--python-version", SPACE_PYTHON, "--only-binary=:all:", "--target", str(tmp_path / "target")]
    done = pip("install", "--dry-run", *space, "--find-links", str(stub.parent), *build_line())
    assert done.returncode == 0, complaints(done)
    assert f"torch-{STUB_VERSION}" in done.stdout


@needs_index
def test_a_torch_of_the_range_exists_for_the_spaces_python() -> None:
    done = pip("index", "versions", "torch", "--python-version", SPACE_PYTHON, "--only-binary=:all:")
    assert done.returncode == 0, complaints(done)
    offered = re.search(r"Available versions: (.*)", done.stdout)
    assert offered
    allowed = requirements()["torch"].specifier
    assert any(allowed.contains(version.strip()) for version in offered[1].split(","))


def make_stub(folder: Path, name: str, version: str) -> Path:
    """An empty wheel for any Python and platform, with no requirements."""
    wheel = folder / "wheels" / f"{name}-{version}-py3-none-any.whl"
    wheel.parent.mkdir()
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel
