"""How long until the first page stands, against an empty Gradio app on the same machine, in turns.

    python -m tests.benchmarks.first_page [ROUNDS]

Prints the median seconds of both, the median of the ratios pair by pair, and the app's memory before any model.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
EMPTY = "import gradio\nwith gradio.Blocks() as demo: pass\ndemo.launch(ssr_mode=False)"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seconds_to_first_page(command: list[str], home: str) -> tuple[float, float]:
    """Seconds from starting the process to a whole page, and its memory (MiB) five seconds later."""
    port = _free_port()
    env = os.environ | {"GRADIO_SERVER_PORT": str(port), "VOICETUNE_DATA": home, "GRADIO_ANALYTICS_ENABLED": "False"}
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    assert b"gradio" in page.read()
                    break
            except OSError:
                assert process.poll() is None, "the app ended"
                time.sleep(0.02)
        took = time.perf_counter() - start
        time.sleep(5)
        return took, psutil.Process(process.pid).memory_info().rss / 2**20
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Rounds of both in turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ours, empty, memory = [], [], []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(rounds):
            empty.append(seconds_to_first_page([sys.executable, "-c", EMPTY], home)[0])
            took, used = seconds_to_first_page([sys.executable, "app.py"], home)
            ours.append(took)
            memory.append(used)
    ratio = statistics.median(a / b for a, b in zip(ours, empty, strict=True))
    print(f"empty {statistics.median(empty):.2f} s, app {statistics.median(ours):.2f} s, ratio {ratio:.2f}")
    print(f"memory of the app before any model: {statistics.median(memory):.0f} MiB")


if __name__ == "__main__":
    main()
