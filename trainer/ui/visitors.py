"""Whose runs are whose: on a laptop everything is one person's; on a Space each browser has a secret of its own."""

import hashlib
import re
import secrets

import gradio as gr

from trainer.runs.run import LOCAL_OWNER
from trainer.settings import Settings

# Both must stay as they are: a browser finds its runs again only under the same key, and reads only what was
# encrypted with the same word. The word hides nothing (every visitor is sent it); what is secret is the value.
STORAGE_KEY = "voicetune-visitor"
STORAGE_WORD = "voicetune"

_SECRET = re.compile(r"[A-Za-z0-9_-]{32,64}")
NOBODY = "nobody"  # owns no run


def browser_secret() -> gr.BrowserState:
    """The component that keeps the secret in the browser."""
    return gr.BrowserState("", storage_key=STORAGE_KEY, secret=STORAGE_WORD)


def valid_or_new(secret: object) -> str:
    """The browser's secret, or a new one where it has none or something else."""
    if isinstance(secret, str) and _SECRET.fullmatch(secret):
        return secret
    return secrets.token_urlsafe(32)


def owner_of(secret: object, settings: Settings) -> str:
    """The owner's name in a run's config. Only a hash is stored, so that who reads a run cannot claim it."""
    if not settings.on_space:
        return LOCAL_OWNER
    if not isinstance(secret, str) or not _SECRET.fullmatch(secret):
        return NOBODY
    return hashlib.sha256(secret.encode()).hexdigest()
