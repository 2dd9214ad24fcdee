"""Is the Hugging Face Hub there? Asked often and answered within a given time, whatever the network does."""

import os
import threading
import time

from cachetools import TLRUCache

YES_LASTS = 30.0  # seconds that "it answers" is believed
NO_LASTS = 5.0  # shorter: somebody who has just switched the Wi-Fi on should not wait
_PROXY_REFUSALS = {403, 407}  # answers of a proxy that keeps the Hub away; the Hub's front page gives neither
_TRUE = {"1", "ON", "YES", "TRUE"}  # as huggingface_hub reads its switches
_MOST_ENDPOINTS = 16
# An answer of the cache leaves it once it lasts no longer, which is known only when it has come.
_probes: TLRUCache[str, "_Probe"] = TLRUCache(_MOST_ENDPOINTS, lambda _, probe, now: now + probe.lasts, time.monotonic)
_lock = threading.Lock()


def reachable(endpoint: str, timeout: float) -> bool:
    """Whether the Hub at `endpoint` answers within `timeout` seconds in all, name look-up included.

    The answer is remembered for `YES_LASTS` or `NO_LASTS` seconds, and callers at the same time share one
    question. Never raises. False without asking where HF_HUB_OFFLINE is set.
    """
    if switched_off():
        return False
    with _lock:
        probe = _probes.get(endpoint)
        if probe is None:
            probe = _probes[endpoint] = _Probe(endpoint, timeout)
            threading.Thread(target=probe.run, name="hub-probe", daemon=True).start()
    return probe.answer_by(timeout)


def switched_off() -> bool:
    """Whether the environment asks huggingface_hub to stay offline."""
    return any(os.environ.get(name, "").upper() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


class _Probe:
    """One question to one endpoint. It runs in a thread, since a hanging DNS look-up heeds no timeout."""

    def __init__(self, endpoint: str, timeout: float) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self.answer = False
        self.lasts: float = timeout + NO_LASTS  # unanswered counts as a no and is asked anew then
        self.started = time.monotonic()
        self.done = threading.Event()

    def run(self) -> None:
        self.answer = _answers(self.endpoint, self.timeout)
        with _lock:
            if _probes.pop(self.endpoint, None) is self:  # else it was asked anew already
                self.lasts = YES_LASTS if self.answer else NO_LASTS
                _probes[self.endpoint] = self
        self.done.set()

    def answer_by(self, timeout: float) -> bool:
        """Wait until `timeout` seconds after the question was asked, not after this call."""
        self.done.wait(max(0.0, self.started + timeout - time.monotonic()))
        return self.answer


def _answers(endpoint: str, timeout: float) -> bool:
    """Ask with the very client that downloads use, so that proxies and certificates count the same."""
    try:
        from huggingface_hub.utils import get_session  # 0.2 s, not for a page that never asks

        url = f"{endpoint.rstrip('/')}/"
        status = get_session().request("HEAD", url, timeout=timeout, follow_redirects=False).status_code
    except Exception:  # whatever it was, the Hub did not answer
        return False
    return status < 500 and status not in _PROXY_REFUSALS
