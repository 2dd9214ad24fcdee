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
from trainer.hub.connectivity import reachable
from trainer.hub.errors import read_error
from trainer.hub.repo_id import check_repo_id

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo
TASK = "automatic-speech-recognition"
MOST_OF_A_KIND = 30  # asked for, the most downloaded first
MOST = 12  # shown
BYTES_OF = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8}
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,39}")
_TOO_MANY = 3  # searches at once, of all visitors
_searching = threading.BoundedSemaphore(_TOO_MANY)


@dataclass(frozen=True)
class HubModel:
    """A checkpoint on the Hub. `bytes` are its weights'; `licence` is as its card says, "" where it does not."""

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
) -> list[HubModel]:
    """Checkpoints for a language (ISO 639-1) of these model types, the most downloaded first, `MOST` at most.

    One question a kind, all at the same time, answered within `reach_seconds` + `search_seconds`. Raises UserError
    where the Hub is away, slow, or refuses.
    """
    if not reachable(endpoint, reach_seconds):
        raise _away()
    if not _searching.acquire(blocking=False):
        raise UserError("Others are searching just now.", "Try again in a few seconds.")
    answers = _answers(_asked(endpoint, language, kinds, search_seconds), search_seconds)
    found = {model.id: model for info in answers if (model := _found(info, kinds)) and model.bytes <= largest_bytes}
    return sorted(found.values(), key=lambda model: -model.downloads)[:MOST]


def _asked(endpoint: str, language: str, kinds: Collection[str], seconds: float) -> list[Future[list["ModelInfo"]]]:
    """A question a kind, each in a thread. The search counts until the last of them has ended: a Hub whose answers
    trickle in keeps a thread for longer than anybody waits."""
    pool = ThreadPoolExecutor(len(kinds), thread_name_prefix="hub-search")
    left, lock = len(kinds), threading.Lock()

    def ended(_: object) -> None:
        nonlocal left
        with lock:
            left -= 1
            if not left:
                _searching.release()

    try:
        asked = [pool.submit(_ask, endpoint, language, kind, seconds) for kind in kinds]
    except BaseException:  # the system has no more threads
        _searching.release()
        raise
    finally:
        pool.shutdown(wait=False)
    for future in asked:
        future.add_done_callback(ended)
    return asked


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
        raise UserError("The Hugging Face Hub took too long to answer.", "Try again in a minute.") from error
    raise read_error(error, "its list of models", _away()) from error


def _away() -> UserError:
    return UserError(
        "The Hugging Face Hub cannot be reached, so nothing was searched.",
        "Check the internet connection and try again; the models listed here stay.",
    )


def _found(info: "ModelInfo", kinds: Collection[str]) -> HubModel | None:
    """None for what is not a speech model of these kinds, whatever its tags say."""
    config: dict[str, Any] = info.config if isinstance(info.config, dict) else {}
    heads = config.get("architectures")
    kind = config.get("model_type")
    if kind not in kinds or not isinstance(heads, list) or not any(map(_writes, heads)):
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
    return HubModel(repo_id, str(kind), size, _licence(info.tags or []), max(0, downloads))


def _writes(head: object) -> bool:
    """Whether a model with this head writes down speech: as a CTC model, or as Whisper does."""
    return str(head).endswith("ForCTC") or head == "WhisperForConditionalGeneration"


def _licence(tags: Iterable[object]) -> str:
    names = [str(tag).removeprefix("license:") for tag in tags if str(tag).startswith("license:")]
    return next((name for name in names if _LICENCE.fullmatch(name)), "")
