"""Voicetune: teach a speech model your language, watch it learn, and talk to it.

    from trainer import Recipe, evaluate, finetune, transcribe

The names are loaded when they are asked for, so that `import trainer` loads neither torch nor the page.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.api import evaluate, finetune, transcribe
    from trainer.errors import UserError
    from trainer.training.recipe import Recipe
    from trainer.transcription.transcribe import Transcript

__version__ = "0.1.0"
__all__ = ["Recipe", "Transcript", "UserError", "evaluate", "finetune", "transcribe"]
_HOMES = {
    "Recipe": "trainer.training.recipe",
    "Transcript": "trainer.transcription.transcribe",
    "UserError": "trainer.errors",
    "evaluate": "trainer.api",
    "finetune": "trainer.api",
    "transcribe": "trainer.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
