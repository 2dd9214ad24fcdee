"""Starts the app: settings, then the page, then the server. Host and port as Gradio's environment variables say."""

import logging
import os
import shutil
import signal
import sys
from types import FrameType

from trainer.commands.console import explain, write_utf8
from trainer.runs.lifecycle import resume_interrupted, runs_of_this_app, shutdown
from trainer.settings import Settings
from trainer.ui.endpoints import check_mcp
from trainer.ui.guard import guarded
from trainer.ui.maintenance import limit_log, own_upload_folder, start_caretaker
from trainer.ui.page import build
from trainer.ui.recordings import Recordings
from trainer.ui.sessions import MOST_SESSIONS
from trainer.ui.theme import STYLE, script, theme


def main() -> None:
    """Serve until interrupted. Ctrl-C and SIGHUP end the app alone; SIGTERM (shutting down) its trainings too."""
    limit_log()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    write_utf8()
    try:
        _serve()
    except Exception as error:
        print(explain(error), file=sys.stderr)
        sys.exit(1)


def _serve() -> None:
    settings = Settings.from_env()
    check_mcp(settings)
    settings.make_data_dir()
    uploads = own_upload_folder()
    recordings = Recordings(uploads, settings)
    start_caretaker(settings, recordings)
    resume_interrupted(settings)
    signal.signal(signal.SIGTERM, _shut_down)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # under nohup it is ignored
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # the terminal was closed: as Ctrl-C
    try:
        build(settings, recordings).launch(
            theme=theme(),
            css_paths=STYLE,
            js=script(),
            ssr_mode=False,
            show_error=False,  # what visitors may read of an error is said by the page itself
            max_file_size=settings.max_audio_bytes,
            footer_links=["api", "gradio"],  # the API page tells of the endpoints that programs may ask
            mcp_server=bool(settings.mcp),
            run_history=False,  # would keep visitors' recordings in their browsers
            enable_monitoring=False,
            pwa=False,
            share=False,
            state_session_capacity=MOST_SESSIONS,
            app_kwargs={"lifespan": guarded(settings, uploads, recordings)},
        )
    except SystemExit:
        shutdown(settings)
        shutil.rmtree(uploads, ignore_errors=True)
        os._exit(0)  # open connections and a recording being written down would hold up a proper end
    finally:
        shutil.rmtree(uploads, ignore_errors=True)  # also where there is no terminal left to print to
    if runs_of_this_app(settings):
        print("A training goes on. Start the app again to watch it, or see: python -m trainer runs list")


def _shut_down(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    sys.exit(0)


if __name__ == "__main__":
    main()
