"""What a page load costs: each with a new session, as a browser opens one, and none comes back.

    python -m tests.benchmarks.page_loads [--loads 1000]

Loopback only, on a Space's settings: the page and all events that answer at once when it loads, without a browser.
"""

import argparse
import json
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.app.serving import App, start_app

CLOSED = "http://127.0.0.1:9"  # nothing listens there, so there is no Hub
WARM_UP_LOADS = 20
MEGABYTE = 2**20


def load(http: httpx.Client, events: list[tuple[int, list[Any]]]) -> None:
    """One page load. Raises httpx.HTTPStatusError where it is refused."""
    session = secrets.token_hex(8)
    http.get("").raise_for_status()
    for number, data in events:
        body = {"data": data, "fn_index": number, "session_hash": session}
        http.post("gradio_api/run/predict", json=body).raise_for_status()


def load_events(http: httpx.Client) -> list[tuple[int, list[Any]]]:
    """The numbers of the events of a load that need no queue, with what the page sends to each."""
    config = http.get("config").json()
    first = {entry["id"]: entry.get("props", {}).get("value") for entry in config["components"]}
    return [
        (event["id"], [first[number] for number in event["inputs"]])
        for event in config["dependencies"]
        if event["backend_fn"] and not event["queue"] and any(target[1] == "load" for target in event["targets"])
    ]


def measure(app: App, loads: int) -> dict[str, float]:
    """Memory of the app before and after, in MB, and how long the loads took."""
    process = psutil.Process(app.process.pid)
    with httpx.Client(base_url=app.url, timeout=60) as http:
        events = load_events(http)
        for _ in range(WARM_UP_LOADS):
            load(http, events)
        before, began = process.memory_info().rss, time.monotonic()
        for _ in range(loads):
            load(http, events)
        seconds = time.monotonic() - began
    after = process.memory_info().rss
    return {
        "before_mb": round(before / MEGABYTE, 1),
        "after_mb": round(after / MEGABYTE, 1),
        "mb_a_load": round((after - before) / MEGABYTE / loads, 3),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        app = start_app(Path(folder), SPACE_ID="someone/voicetune", HF_ENDPOINT=CLOSED)
        try:
            figures = measure(app, options.loads)
        finally:
            app.stop()
    print(json.dumps({"loads": options.loads, **figures}, indent=2))


if __name__ == "__main__":
    main()
