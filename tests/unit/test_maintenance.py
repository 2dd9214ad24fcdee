"""What visitors upload goes, by itself and in time; and the log does not grow with what goes wrong."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.ui.maintenance import LOG_BYTES_A_MINUTE, LimitedLog, own_upload_folder


def put(path: Path, seconds_ago: float) -> Path:
    """A file that was written so long ago."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"RIFF")
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def test_uploads_of_dead_processes_are_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    dead, mine = tmp_path / "voicetune-uploads-4194399", tmp_path / "holiday"
    for folder in (dead, mine):
        put(folder / "voice.wav", 0)
    own = own_upload_folder()
    assert own.is_dir() and own.stat().st_mode & 0o077 == 0
    assert not dead.exists() and mine.exists()


def test_the_log_takes_so_much_a_minute_and_says_what_it_left_out() -> None:
    """Out of file descriptors, a server wrote 34 MB a minute."""
    now, written = [0.0], io.StringIO()
    log = LimitedLog(written, lambda: now[0])
    line = "socket.accept() out of system resource\n"
    for _ in range(34_000_000 // len(line)):
        log.write(line)
    assert LOG_BYTES_A_MINUTE - 100 < len(written.getvalue()) <= LOG_BYTES_A_MINUTE
    now[0] = 61.0
    print("as before", file=log)
    assert "characters more in that minute are left out]\nas before\n" in written.getvalue()


def test_what_libraries_write_to_the_log_is_limited_too(tmp_path: Path) -> None:
    """Past Python's streams, as libmpg123 does of each frame that it does not find."""
    program = """
import os, sys
from trainer.ui.maintenance import limit_log
limit_log()
print("before", file=sys.stderr)
line = b"Note: Trying to resync...\\n" * 1000
for _ in range(200):
    os.write(2, line)
print("after", file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stderr.startswith("before\n") and "after\n" in done.stderr
    assert 100_000 < len(done.stderr) <= LOG_BYTES_A_MINUTE + 100
