"""Opens the door: settings, then the page, then the server. Host and port as Gradio's environment variables say."""

import logging
import os
import shutil
import signal
import sys
from types import FrameType

from trainer.runs.keeping import kept_by_me, leave
from trainer.runs.waking import wake
from trainer.settings import Settings
from trainer.ui.caretaker import start_caretaker
from trainer.ui.page import build
from trainer.ui.theme import SCRIPT, STYLE, theme
from trainer.ui.uploads import own_upload_folder


def main() -> None:
    """Serve until interrupted. Ctrl-C ends the app alone; SIGTERM (the machine shuts down) its trainings too."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = Settings.from_env()
    uploads = own_upload_folder()
    start_caretaker(settings, uploads)
    wake(settings)
    signal.signal(signal.SIGTERM, _shut_down)
    try:
        build(settings).launch(
            theme=theme(),
            css_paths=STYLE,
            js=SCRIPT.read_text(encoding="utf-8"),
            ssr_mode=False,
            show_error=False,  # what visitors may read of an error is said by the page itself
            max_file_size=settings.max_audio_bytes,
            footer_links=["gradio", "settings"],  # no API page: nothing here is meant to be called from elsewhere
            run_history=False,  # would keep visitors' recordings in their browsers
            enable_monitoring=False,
            pwa=False,
        )
    except SystemExit:
        leave(settings)
        shutil.rmtree(uploads, ignore_errors=True)
        os._exit(0)  # open connections and a recording being written down would hold up a proper end
    if kept_by_me(settings):
        print("A training goes on. Start the app again to watch it, or see: python -m trainer runs list")
    shutil.rmtree(uploads, ignore_errors=True)


def _shut_down(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    sys.exit(0)


if __name__ == "__main__":
    main()
