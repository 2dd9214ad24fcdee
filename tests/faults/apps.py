"""Several apps on one data folder: see tests.fakes.quick_app."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


class QuickApp:
    """One such app, in a process of its own."""

    def __init__(self, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.quick_app"],
            cwd=PROJECT,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, command: str) -> None:
        """Send a command without waiting for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self) -> list[str]:
        """The words of the next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the app is gone"
        return line.split()

    def ask(self, command: str) -> list[str]:
        """Both."""
        self.tell(command)
        return self.answer()

    def kill(self) -> None:
        """With signal 9: it can do nothing about it."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """End it, gently where it still lives."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=30)


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises AssertionError with `what` where it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
