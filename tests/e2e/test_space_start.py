"""The start of a Space: from the locked packages and the build line to a page that writes down a clip.

One virtual environment serves both: the hash-locked set is installed first, then the Space's build line upon it.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from playwright.sync_api import Playwright, expect

from tests.app.browsing import launch, profile, save_voice
from tests.e2e.space import (
    LOCK,
    PROJECT,
    base_python,
    copy_checkout,
    index_answers,
    new_venv,
    open_folder,
    pip,
    run_as_user,
    serve,
)
from tests.unit.test_space import build_line

pytestmark = pytest.mark.timeout(900)


def locked() -> dict[str, set[str]]:
    """Each package of the lock with its versions (more than one where they depend on the Python or the system)."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.+!-]+)", LOCK.read_text(), re.MULTILINE):
        found.setdefault(name.lower().replace("_", "-"), set()).add(version)
    return found


def test_the_lock_holds_what_the_requirements_ask_for() -> None:
    versions = locked()
    lines = [line.partition("#")[0].strip() for line in (PROJECT / "requirements.txt").read_text().splitlines()]
    wanted = [Requirement(line) for line in lines if line]
    assert len(wanted) > 10
    for requirement in wanted:
        bounds = {specifier.operator for specifier in requirement.specifier}
        assert bounds == {">=", "<"}, f"{requirement.name} needs a lower and an upper bound"
        held = versions.get(requirement.name.lower().replace("_", "-"))
        assert held, f"{requirement.name} is not locked: run tests/lock.sh"
        assert all(requirement.specifier.contains(version) for version in held), f"{requirement}: run tests/lock.sh"
    entries = re.findall(r"^[\w.-]+==.*(?:\n    --hash=.*)*", LOCK.read_text(), re.MULTILINE)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_no_vulnerability_is_known_of_the_locked_set() -> None:
    """Skipped, with the reason, where no vulnerability service answers: pip-audit itself would call that a pass."""
    pytest.importorskip("pip_audit", reason="NOT AUDITED: pip-audit (tests/requirements.txt) is not installed")
    command = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), "--require-hashes", "--disable-pip", "-f", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if not done.stdout.startswith("{"):
        pytest.skip(f"NOT AUDITED: no vulnerability service answers ({(done.stderr.strip() or '?').splitlines()[-1]})")
    packages = json.loads(done.stdout)["dependencies"]
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        pytest.skip(f"NOT AUDITED: the index within reach tells no vulnerabilities of the {len(packages)} packages")
    print(f"\n{len(audited)} of {len(packages)} locked packages audited")
    assert [package["name"] for package in packages if "vulns" not in package] == []
    assert {package["name"]: package["vulns"] for package in audited if package["vulns"]} == {}


# Gradio leaves event loops to the garbage collector, which says so when it meets them late. Nobody is harmed.
LOOP_LEFT_OVER = re.compile(
    r"Exception ignored in: <function BaseEventLoop.__del__.*?ValueError: Invalid file descriptor: -1\n", re.DOTALL
)


@pytest.fixture(scope="module")
def space_python() -> Iterator[Path]:
    """An interpreter with the locked set and the build line's packages, for the Space's user to run.

    Nothing is compiled, which would take longer than all imports do: the first page is slower here than on a Space.
    """
    base = base_python()
    if base is None:
        pytest.skip("no Python here that an ordinary user may run")
    if not index_answers():
        pytest.skip("the package index is out of reach")
    with open_folder() as folder:
        python = new_venv(folder / "venv", base)
        started = time.monotonic()
        done = pip("install", "--require-hashes", "--no-deps", "--no-compile", "-r", str(LOCK), python=python)
        assert done.returncode == 0, done.stderr[-3000:]
        after_lock = time.monotonic()
        done = pip("install", "--no-compile", *build_line(), python=python)
        assert done.returncode == 0, done.stderr[-3000:]
        print(f"\nlocked set {after_lock - started:.0f} s, build line {time.monotonic() - after_lock:.0f} s")
        yield python


def test_the_locked_set_is_complete(space_python: Path) -> None:
    """It was installed without looking at what packages require; so nothing may be missing or at odds."""
    done = pip("check", python=space_python)
    assert done.returncode == 0, done.stdout
    kept = {package["name"].lower().replace("_", "-"): package["version"] for package in installed(space_python)}
    differing = {name: kept.get(name) for name, versions in locked().items() if kept.get(name) not in versions}
    # pydantic: Gradio's mcp extra, which a Space adds, holds it back; what a marker leaves out here is no difference.
    assert {name for name, version in differing.items() if version} <= {"pydantic", "pydantic-core"}, differing


def installed(python: Path) -> list[dict[str, str]]:
    """Name and version of each package."""
    packages: list[dict[str, str]] = json.loads(pip("list", "--format", "json", python=python).stdout)
    return packages


def test_it_serves_the_page_and_writes_down_a_clip(space_python: Path, playwright: Playwright, tmp_path: Path) -> None:
    voice = tmp_path / "voice.wav"
    said = save_voice(voice)
    with open_folder() as folder:
        code = copy_checkout(folder / "code")
        assert_only_its_own(code, space_python)
        with serve(space_python, code, folder) as space:
            browser = launch(playwright)
            page = profile(browser).new_page()
            page.goto(space.url)
            expect(page.locator("#banner")).to_contain_text("forgets its models when it restarts", timeout=60_000)
            expect(page.get_by_role("button", name="Duplicate this Space")).to_be_visible()
            page.get_by_role("tab", name="Transcribe").click()
            expect(page.get_by_label("Model", exact=True)).to_have_value(re.compile("^Practice model"), timeout=30_000)
            asked = time.monotonic()
            page.get_by_role("button", name="Upload file").click()
            page.locator("#microphone input[type=file]").set_input_files(voice)
            heard = page.locator("#transcript")
            expect(heard).to_have_text(re.compile(r"\w{2,}"), timeout=180_000)
            took = time.monotonic() - asked
            print(f"\npage after {space.seconds_to_page:.1f} s, first transcript {took:.1f} s after the upload")
            print(f"said: {said}\nheard: {heard.inner_text()}")
            browser.close()
            written = {path.name for path in (space.home / ".voicetune").rglob("*")} if space.home.exists() else set()
            assert not any(name.endswith(".wav") for name in written)
            log = LOOP_LEFT_OVER.sub("", space.log.read_text())
            assert "Traceback" not in log, log[-3000:]


def assert_only_its_own(code: Path, python: Path) -> None:
    """The Space's user can write neither to the code nor to the packages."""
    for place in (code, code / "trainer", python.parent.parent):
        able = run_as_user(python, f"import os, sys; sys.exit(os.access({str(place)!r}, os.W_OK))")
        assert able == 0 or os.geteuid() != 0, f"{place} can be written"
