"""Whose runs are whose: on a laptop everything is one person's; on a Space each browser has a secret of its own.

The secret is a cookie that scripts cannot read. It is in no component's value, so it is in nothing that Gradio keeps of
a session, and in no address. On a Space the page stands in a frame on another site: the cookie is Partitioned, so that
browsers which refuse third-party cookies keep it as well. A browser that keeps none is NOBODY.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import gradio as gr

from trainer.runs.run import LOCAL_OWNER, Run, find_run, list_runs
from trainer.settings import Settings

COOKIE = "voicetune-visitor"
SECURE_COOKIE = f"__Host-{COOKIE}"  # the prefix: no other host of the same domain can have set it
SECONDS_KEPT = 400 * 24 * 3600  # the longest that browsers allow; every visit begins it anew
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,64}")
NOBODY = "nobody"  # owns no run


def secret_in(cookies: Mapping[str, str]) -> str | None:
    """The browser's secret, or None where it sent none that could be one."""
    secret = cookies.get(SECURE_COOKIE) or cookies.get(COOKIE) or ""
    return secret if _SECRET.fullmatch(secret) else None


def valid_or_new(secret: str | None) -> str:
    """The browser's secret, or a new one of 256 bits where it has none or something else."""
    return secret if secret is not None and _SECRET.fullmatch(secret) else secrets.token_urlsafe(32)


def set_cookie(secret: str, secure: bool) -> str:
    """The value of a Set-Cookie header. `secure`: the page came by https, so it may stand in a frame."""
    name, sites = (SECURE_COOKIE, "SameSite=None; Secure; Partitioned") if secure else (COOKIE, "SameSite=Lax")
    return f"{name}={secret}; Path=/; Max-Age={SECONDS_KEPT}; HttpOnly; {sites}"


def owner_of(secret: str | None, settings: Settings) -> str:
    """The owner's name in a run's config. Only a hash is stored, so that who reads a run cannot claim it."""
    if not settings.on_space:
        return LOCAL_OWNER
    if secret is None or not _SECRET.fullmatch(secret):
        return NOBODY
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class Visitor:
    """Who asks, known once for a call: the secret as the browser sent it, the name under which their runs are kept."""

    secret: str | None
    settings: Settings

    @classmethod
    def asking(cls, request: gr.Request, settings: Settings) -> "Visitor":
        """Whose browser sent this call."""
        cookies = request.cookies
        return cls(secret_in({name: cookies[name] for name in cookies.keys()}), settings)  # noqa: SIM118  # not a dict

    @cached_property
    def owner(self) -> str:
        """See `owner_of`."""
        return owner_of(self.secret, self.settings)

    @property
    def known(self) -> bool:
        """Whether they can have runs."""
        return self.owner != NOBODY

    def runs(self) -> list[Run]:
        """Theirs, the newest first."""
        return list_runs(self.settings.runs_dir, self.owner)

    def find(self, run_id: str | None) -> Run | None:
        """One of theirs; None where there is no such run, or it is somebody else's."""
        return find_run(self.settings.runs_dir, run_id, self.owner) if run_id else None


class OpenPage(NamedTuple):
    """One of a visitor's open pages: whose it is, and Gradio's name for it."""

    owner: str
    session: str

    @classmethod
    def asking(cls, request: gr.Request, settings: Settings) -> "OpenPage":
        """From which page this call came."""
        return cls(Visitor.asking(request, settings).owner, request.session_hash or "")
