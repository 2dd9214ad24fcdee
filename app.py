"""Opens the door: settings, then the page, then the server. Host and port as Gradio's environment variables say."""

import logging

from trainer.runs.waking import wake
from trainer.settings import Settings
from trainer.ui.page import build
from trainer.ui.theme import SCRIPT, STYLE, theme
from trainer.ui.uploads import own_upload_folder


def main() -> None:
    """Serve until interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = Settings.from_env()
    own_upload_folder()
    wake(settings)
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


if __name__ == "__main__":
    main()
