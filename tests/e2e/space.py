"""A Space, as far as one machine can play it: its own Python packages, its user, and nothing else to write to."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.app.serving import free_port

PROJECT = Path(__file__).resolve().parents[2]
LOCK = PROJECT / "tests" / "requirements.lock"
SPACE_USER = 1000
SECONDS_TO_START = 120.0


def pip(*arguments: str, python: Path | None = None) -> subprocess.CompletedProcess[str]:
    """This interpreter's pip, working on another one's packages where `python` is given."""
    other = ["--python", str(python)] if python else []
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", *other, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@cache
def index_answers() -> bool:
    """Whether a package index is within reach."""
    return pip("index", "versions", "pip").returncode == 0


def as_user() -> dict[str, int | list[int]]:
    """What makes a child process that user's; nothing where this process is not root and is an ordinary user's."""
    return {"user": SPACE_USER, "group": SPACE_USER, "extra_groups": []} if os.geteuid() == 0 else {}


def base_python() -> Path | None:
    """A Python of this version that the Space's user may run; one below /root, for example, is not."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in (f"{sys.base_prefix}/bin", "/usr/local/bin", "/usr/bin"):
        path = Path(folder) / name
        if path.exists() and run_as_user(path, "import venv, ssl") == 0:
            return path
    return None


def run_as_user(python: Path, code: str) -> int:
    """The exit code of a line of Python in the Space's user's hands; 126 where they may not even start it."""
    try:
        return subprocess.run([python, "-c", code], cwd="/", **as_user()).returncode  # type: ignore[call-overload]
    except PermissionError:
        return 126


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="voicetune-space-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def new_venv(folder: Path, base: Path) -> Path:
    """An empty virtual environment; returns its interpreter."""
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


def copy_checkout(folder: Path) -> Path:
    """What git knows of the project, as pushed to a Space; nobody but its owner may write there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if not name.startswith("tests/") and (PROJECT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, target)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


@dataclass
class Space:
    """A running Space and how long its first page took."""

    url: str
    home: Path
    seconds_to_page: float
    log: Path


@contextmanager
def serve(python: Path, code: Path, folder: Path) -> Iterator[Space]:
    """`python app.py` as the Space's user, with a home and a temporary folder of its own and an empty environment."""
    home, scratch = folder / "home", folder / "tmp"
    for place in (home, scratch):
        place.mkdir()
        if os.geteuid() == 0:
            os.chown(place, SPACE_USER, SPACE_USER)
    port = free_port()
    env = {
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "SYSTEM": "spaces",
        "SPACE_ID": "someone/voicetune",
        "SPACE_HOST": "someone-voicetune.hf.space",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "HF_ENDPOINT": "http://127.0.0.1:9",  # no Hub: what comes along must do
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    log = folder / "app.log"
    started = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen([python, "app.py"], cwd=code, env=env, stdout=file, stderr=file, **as_user())  # type: ignore[call-overload]
    try:
        url = f"http://127.0.0.1:{port}/"
        _wait_for(url, process, log)
        yield Space(url, home, time.monotonic() - started, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The Space did not start:\n{log.read_text()[-3000:]}")
