"""Where Gradio keeps what visitors upload: a private folder of this process alone, and how long anything stays there.

Gradio's own default is shared by all Gradio apps of a machine and survives them, kill -9 and restarts included.
"""

import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.runs.identity import alive, own_identity

_PREFIX = "voicetune-uploads-"
SECONDS_UNTIL_GONE = 5.0  # after a recording's result
SECONDS_UNUSED = 600.0  # of an upload that nobody asks to write down, and of a download that nobody fetches


def own_upload_folder() -> Path:
    """Make this process's folder, sweep away those of processes that are gone, and tell Gradio.

    Its name holds the process's pid and start time, and cannot be guessed: nobody can be there before.
    """
    above = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    above.mkdir(parents=True, exist_ok=True)
    for folder in above.glob(f"{_PREFIX}*"):
        if not _in_use(folder.name.removeprefix(_PREFIX)):
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays
    me = own_identity()
    own = tempfile.mkdtemp(prefix=f"{_PREFIX}{me['pid']}-{me['pid_started']:.2f}-", dir=above)  # mode 0700
    os.environ["GRADIO_TEMP_DIR"] = own
    return Path(own)


def _in_use(name: str) -> bool:
    pid, _, rest = name.partition("-")
    try:
        return alive(int(pid), float(rest.partition("-")[0]))
    except ValueError:
        return False


def sweep_uploads(folder: Path, seconds: float = SECONDS_UNUSED) -> None:
    """Delete what has lain in the folder for longer than that."""
    before = time.time() - seconds
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before it
        try:
            if path.is_dir():
                path.rmdir()
            elif path.stat().st_mtime < before:
                path.unlink()
        except OSError:  # gone meanwhile, or a folder that is in use
            continue


class Recordings:
    """Recordings being written down; each is deleted seconds after its last result.

    Not at once: Gradio names an upload by its content, so that a second visitor's copy of the same file is the same
    file, which may have arrived just now.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: Counter[str] = Counter()

    @contextmanager
    def held(self, path: str) -> Iterator[None]:
        """Keep it while inside."""
        with self._lock:
            self._uses[path] += 1
        try:
            yield
        finally:
            with self._lock:
                self._uses[path] -= 1
            timer = threading.Timer(SECONDS_UNTIL_GONE, self._delete, [path])
            timer.daemon = True  # what the end of the app cuts short, its folder's end does
            timer.start()

    def _delete(self, path: str) -> None:
        with self._lock:
            if self._uses[path] == 0:
                del self._uses[path]
                Path(path).unlink(missing_ok=True)
