"""The beginnings of weights on the Hub: a safetensors file says first what it holds, in some kB of gigabytes."""

from dataclasses import dataclass

from trainer.hub.source import Source

HEAD_BYTES = 8 + 16 * 2**20  # of the header with its length; a model of 1 B parameters has some 100 kB
FIRST_BYTES = 2**17  # asked for at once: most headers are shorter
SECONDS = 10.0  # until the next bytes


@dataclass(frozen=True)
class Head:
    """The first bytes of a safetensors file of `size` bytes, at least its header if that is within `HEAD_BYTES`."""

    data: bytes
    size: int


def fetch_head(source: Source, name: str, commit: str, size: int) -> Head:
    """Ask for a file's header alone. Raises what huggingface_hub raises."""
    data = _first(source, name, commit, min(size, FIRST_BYTES))
    whole = 8 + int.from_bytes(data[:8], "little")
    if len(data) < whole <= min(size, HEAD_BYTES):
        data = _first(source, name, commit, whole)
    return Head(data, size)


def _first(source: Source, name: str, commit: str, count: int) -> bytes:
    """A Hub that sends more than it was asked for is not listened to any longer."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    if not count:
        return b""
    url = hf_hub_url(source.repo_id, name, revision=commit, endpoint=source.endpoint)
    headers = build_hf_headers(token=source.token)
    headers |= {"Range": f"bytes=0-{count - 1}", "Accept-Encoding": "identity"}
    data = bytearray()
    with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=SECONDS) as response:
        hf_raise_for_status(response)
        for part in response.iter_bytes():
            data += part
            if len(data) >= count:
                break
    return bytes(data[:count])
