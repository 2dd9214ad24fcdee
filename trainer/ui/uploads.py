"""Where Gradio keeps what visitors upload: a folder of this process alone, and none left over from dead ones.

Gradio's own default is shared by all Gradio apps of a machine and survives them, kill -9 and restarts included.
"""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

_PREFIX = "voicetune-uploads-"


def own_upload_folder() -> Path:
    """Make this process's folder, sweep away those of processes that are gone, and tell Gradio."""
    above = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    above.mkdir(parents=True, exist_ok=True)
    for folder in above.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX)
        if pid == str(os.getpid()) or not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays
    own = above / f"{_PREFIX}{os.getpid()}"
    own.mkdir(mode=0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(own)
    return own
