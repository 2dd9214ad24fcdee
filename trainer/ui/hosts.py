"""By which names the app is reached, and whether a page of another site sent a request.

A foreign page can have its own name point at this machine (DNS rebinding): its requests then are same-origin ones for
the browser, and only the name tells them apart.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from trainer.settings import Settings


@dataclass(frozen=True)
class Hosts:
    """The names by which the app is reached. One that is not among them belongs to somebody who points it here."""

    names: frozenset[str]  # lower case; "*.example.org" stands for all below it, "*" for all
    addresses: bool  # any IP address too: a browser that names one cannot have been led here by a foreign name

    def answer(self, host: str) -> bool:
        """Whether this Host header is one of them."""
        name = host_name(host)
        if name is None:
            return False
        if name in self.names or "*" in self.names:
            return True
        if any(name.endswith(pattern[1:]) for pattern in self.names if pattern.startswith("*.")):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.addresses or address.is_loopback


def hosts_of(settings: Settings, own_names: Callable[[], set[str]]) -> Hosts:
    """Those that the settings name. An app that listens everywhere is also reached by the machine's own names."""
    named = {name.lower().strip("[]") for name in settings.hosts}
    everywhere = bool(named & {"0.0.0.0", "::"})
    names = named | {"localhost"} | (own_names() if everywhere else set())
    if settings.on_space:
        names.add("*.hf.space")
    return Hosts(frozenset(names - {"0.0.0.0", "::"}), everywhere)


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+?)\.?)(?::\d{1,5})?")


def host_name(host: str) -> str | None:
    """A Host header's name or address in lower case, without port, brackets and the root's dot; None for none."""
    found = _HOST.fullmatch(host.strip().lower())
    return (found[1] or found[2]) if found else None


def from_elsewhere(headers: Headers, hosts: Hosts) -> bool:
    """Whether a page of another site sent this request. What is no browser says neither header."""
    site = headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    sender = urlsplit(origin).netloc.lower()
    if sender == headers.get("host", "").lower():
        return False
    # Behind a proxy that rewrites Host, the browser's own word must do.
    return not (site == "same-origin" and hosts.answer(sender))


def own_names() -> set[str]:
    """What this machine is called in its network, in lower case."""
    name = socket.gethostname().lower()
    return {name, f"{name.partition('.')[0]}.local"}
