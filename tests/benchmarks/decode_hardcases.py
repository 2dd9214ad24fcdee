"""Decode every file of a folder and print, as one JSON object, how many could be, and what the worst one took.

    python tests/benchmarks/decode_hardcases.py ../shared/speech/hardcases

`memory_mb` is this process's growth over its imports, plus the largest decoder process: an upper bound for one file.
"""

import json
import re
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from trainer.errors import UserError  # noqa: E402
from trainer.speech.audio import load_audio  # noqa: E402


def highest_rss() -> float:
    """MB this process held at most (Linux). ru_maxrss will not do: it starts at what the parent held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def main(folder: Path) -> None:
    before = highest_rss()
    refused, slowest = 0, (0.0, "")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != "files.tsv"]
    for file in files:
        start = time.perf_counter()
        try:
            load_audio(file)
        except UserError:
            refused += 1
        slowest = max(slowest, (time.perf_counter() - start, file.name))
    figures = {
        "decoded": len(files) - refused,
        "refused": refused,
        "slowest_seconds": round(slowest[0], 2),
        "slowest_file": slowest[1],
        "memory_mb": round(highest_rss() - before + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
