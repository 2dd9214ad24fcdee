"""The app in a process of its own, as `python app.py` starts it, away from the person's own data."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SECONDS_TO_START = 90.0  # a busy machine; alone it takes 4


@dataclass
class App:
    """A running app, its address and where it keeps its runs."""

    process: subprocess.Popen[bytes]
    url: str
    data: Path
    log: Path

    def stop(self) -> None:
        """End it, and with it nothing else: trainers live on."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start_app(folder: Path, port: int | None = None, **variables: str) -> App:
    """`python app.py` on a free port, with a home, a data folder and a temporary folder of its own."""
    port = port or free_port()
    (folder / "home").mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "SPACE_", "HF_"))}
    env |= {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "VOICETUNE_DATA": str(folder / "data"),
        "GRADIO_SERVER_PORT": str(port),
        "HF_HUB_OFFLINE": "1",
        **variables,
    }
    log = folder / "app.log"
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT, env=env, stdout=file, stderr=file)
    app = App(process, f"http://127.0.0.1:{port}/", folder / "data", log)
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(app.url, timeout=5):
                return app
        except OSError:
            time.sleep(0.1)
    app.stop()
    raise RuntimeError(f"The app did not start:\n{log.read_text()[-3000:]}")
