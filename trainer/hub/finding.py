"""Models that others have taught to write down a language, found on the Hub: safetensors only, and no token goes along.

What a repo says of itself is somebody's text: it is checked or cut to what is expected before anybody sees it.
"""

import re
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.errors import UserError
from trainer.hub.ids import check_repo_id
from trainer.hub.reach import reachable
from trainer.hub.refusals import explain

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

TASK = "automatic-speech-recognition"
MOST_OF_A_KIND = 30  # asked for, the most downloaded first
MOST = 12  # shown
BYTES_OF = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8}
AWAY = UserError(
    "The Hugging Face Hub cannot be reached, so nothing was searched.",
    "Check the internet connection and try again; the models listed here stay.",
)
SLOW = UserError("The Hugging Face Hub took too long to answer.", "Try again in a minute.")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}")
_TOO_MANY = 3  # searches at once, of all visitors
_searching = threading.BoundedSemaphore(_TOO_MANY)


@dataclass(frozen=True)
class Found:
    """A CTC checkpoint on the Hub. `bytes` are its weights'; `licence` is as its card says, "" where it does not."""

    id: str
    kind: str
    bytes: int
    licence: str
    downloads: int


def find_models(
    language: str,
    kinds: Collection[str],
    endpoint: str,
    *,
    reach_seconds: float = 4.0,
    search_seconds: float = 8.0,
    largest_bytes: int = 6 * 10**9,
) -> list[Found]:
    """CTC checkpoints for a language (ISO 639-1) of these model types, the most downloaded first, `MOST` at most.

    One question a kind, all at the same time, answered within `reach_seconds` + `search_seconds`. Raises UserError
    where the Hub is away, slow, or refuses.
    """
    if not reachable(endpoint, reach_seconds):
        raise AWAY
    if not _searching.acquire(blocking=False):
        raise UserError("Others are searching just now.", "Try again in a few seconds.")
    pool = ThreadPoolExecutor(len(kinds), thread_name_prefix="hub-search")
    try:
        asked = [pool.submit(_ask, endpoint, language, kind, search_seconds) for kind in kinds]
        answers = _answers(asked, search_seconds)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        _searching.release()
    found = {model.id: model for info in answers if (model := _found(info, kinds)) and model.bytes <= largest_bytes}
    return sorted(found.values(), key=lambda model: -model.downloads)[:MOST]


def _ask(endpoint: str, language: str, kind: str, seconds: float) -> list["ModelInfo"]:
    """What `HfApi.list_models` asks, but once: that one tries again for half a minute, and takes no timeout."""
    from huggingface_hub import ModelInfo
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    response = get_session().get(
        f"{endpoint.rstrip('/')}/api/models",
        params={
            "pipeline_tag": TASK,
            "filter": [language, kind, "safetensors"],
            "gated": "false",
            "sort": "downloads",
            "limit": MOST_OF_A_KIND,
            "expand": ["config", "downloads", "gated", "safetensors", "tags"],
        },
        headers=build_hf_headers(token=False),
        timeout=seconds,
    )
    hf_raise_for_status(response)
    return [ModelInfo(**{"siblings": None, **item}) for item in response.json()]


def _answers(asked: list[Future[list["ModelInfo"]]], seconds: float) -> list["ModelInfo"]:
    """What came in time; some answers are better than none."""
    done, _ = wait(asked, timeout=seconds)
    came = [future.result() for future in done if future.exception() is None]
    if came:
        return [info for infos in came for info in infos]
    error = next((future.exception() for future in done), None)
    if not isinstance(error, Exception) or "Timeout" in type(error).__name__:
        raise SLOW from error
    raise explain(error, "its list of models", AWAY) from error


def _found(info: "ModelInfo", kinds: Collection[str]) -> Found | None:
    """None for what is not a CTC model of these kinds, whatever its tags say."""
    config: dict[str, Any] = info.config if isinstance(info.config, dict) else {}
    heads = config.get("architectures")
    kind = config.get("model_type")
    if kind not in kinds or not isinstance(heads, list) or not any(str(head).endswith("ForCTC") for head in heads):
        return None
    counts = info.safetensors.parameters if info.safetensors else {}
    size = sum(BYTES_OF.get(dtype, 4) * count for dtype, count in counts.items() if isinstance(count, int))
    try:
        repo_id = check_repo_id(info.id)
    except UserError:
        return None
    if info.gated or size <= 0:
        return None
    downloads = info.downloads if isinstance(info.downloads, int) else 0
    return Found(repo_id, str(kind), size, _licence(info.tags or []), max(0, downloads))


def _licence(tags: Iterable[object]) -> str:
    names = [str(tag).removeprefix("license:") for tag in tags if str(tag).startswith("license:")]
    return next((name for name in names if _LICENCE.fullmatch(name)), "")
