"""Clips to play: small round buttons, and their sounds as data in the page.

The sounds are sent once for a run or a language, apart from what changes with each check, and a few lines of
script.js play them. So nothing of a run's folder needs a web address of its own.
"""

import base64
from collections.abc import Sequence
from html import escape


def play_button(sound_id: str, words: str) -> str:
    """A button that plays the sound with this id (see `sounds`)."""
    label = f"Play: {words}" if words else "Play this clip"
    return (
        f'<button type="button" class="play" data-sound="{escape(sound_id)}" aria-label="{escape(label)}">'
        '<svg viewBox="0 0 20 20" aria-hidden="true"><path class="go" d="M7 4.5v11l8.5-5.5z"/>'
        '<path class="halt" d="M6 5h3v10H6zM11 5h3v10h-3z"/></svg></button>'
    )


def sounds(prefix: str, wavs: Sequence[bytes | None]) -> str:
    """The sounds themselves, silent until a button asks. None: there is no such clip."""
    return "".join(
        f'<audio class="sound" id="{escape(prefix)}-{number}" preload="none" '
        f'src="data:audio/wav;base64,{base64.b64encode(wav).decode()}"></audio>'
        for number, wav in enumerate(wavs)
        if wav
    )
