"""ZeroGPU: a Space's GPU that is lent for seconds at a time, to one function in a process forked for it.

Invariant: the `spaces` package is imported only on that hardware. It must be imported, and the function named to it,
before the page is launched; hence at the import of this module.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from trainer.models.inference import Hearing
# Asking for a GPU and moving a model there takes seconds; a smaller model is done on the processor by then, and a
# visitor's seconds (2 minutes a day without an account) are not used up.
WORTH_BYTES = 100 * 2**20
SECONDS_TO_OPEN = 10  # reading the weights and moving them, generously
SECONDS_A_GPU_SECOND = 20.0  # of sound; a guess far below what such a GPU does
_GONE = ("ZeroGPU quota exceeded", "ZeroGPU pending credits exceeded")
_BUSY = ("ZeroGPU queue timeout", "ZeroGPU client error")
Answer = tuple["Hearing | None", tuple[str, str]]


def lent(env: Mapping[str, str] = os.environ) -> bool:
    """Whether this is ZeroGPU hardware; read as the `spaces` package reads it."""
    return env.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def helps(folder: Path) -> bool:
    """Whether the model in a folder is heard on a lent GPU."""
    return lent() and sum(file.stat().st_size for file in folder.glob("*.safetensors")) >= WORTH_BYTES


def seconds_for(samples: int) -> int:
    """How long to borrow the GPU for a sound of so many samples at 16 kHz."""
    return SECONDS_TO_OPEN + math.ceil(samples / 16_000 / SECONDS_A_GPU_SECOND)


def transcribe_on_gpu(
    folder: Path, samples: "np.ndarray", most_bytes: int, words: str = "", phrases: bool = True, language: str = ""
) -> "Hearing":
    """Write down a sound (mono float32 at 16 kHz) on the GPU, with a model that may take `most_bytes` of memory.

    `words` are listened for, and with `phrases` what it knows of words; `language` is an ISO 639-1 code. Raises
    UserError where no GPU is to be had.
    """
    try:
        hearing, (what, todo) = _borrowed(folder, samples, most_bytes, words, phrases, language)
    except Exception as error:
        raise _in_words(error) or error from None
    if hearing is None:
        raise UserError(what, todo)
    return hearing


def _hear_there(
    folder: Path, samples: "np.ndarray", most_bytes: int, words: str, phrases: bool, language: str
) -> Answer:
    """Runs in the forked process. A UserError goes back as a value: of an exception only its class would arrive."""
    import torch

    from trainer.models.inference import hearing_of
    from trainer.models.model_files import read_model
    from trainer.models.recognizer import Hints, open_recognizer
    from trainer.models.word_knowledge import known_to

    # The threads with which the app heard smaller models did not survive the fork: waiting for them never ends.
    torch.set_num_threads(1)
    try:
        recognizer = open_recognizer(read_model(folder, most_bytes, whole=True))
        hints = Hints(words, known_to(folder) if phrases else None, language)
        recognizer.to("cuda")
        return hearing_of(recognizer.pieces(samples, hints=hints)), ("", "")
    except UserError as error:
        return None, (error.what, error.todo)


def _duration(folder: Path, samples: "np.ndarray", most_bytes: int, words: str, phrases: bool, language: str) -> int:
    return seconds_for(len(samples))


def _in_words(error: Exception) -> UserError | None:
    """What the package's errors mean for a visitor; None for a fault of another kind. They are told apart by title."""
    title = getattr(error, "title", "")
    if title in _GONE:
        return UserError(
            "The GPU time that Hugging Face lends you is used up for now.",
            "Sign in to Hugging Face for more, come back later, or choose a smaller model, which needs no GPU.",
        )
    if title == "ZeroGPU illegal duration":
        return UserError("This recording is longer than a GPU is lent for.", "Cut it into shorter ones.")
    if title in _BUSY:
        return UserError("No GPU was free for this recording.", "Try again in a minute, or choose a smaller model.")
    return None


def _borrow() -> Any:
    """The function as it borrows the GPU."""
    import spaces

    return spaces.GPU(duration=_duration)(_hear_there)


_borrowed = _borrow() if lent() else _hear_there
