"""A run's events as they are published: what is known to be harmless, and nothing else."""

import json
from collections.abc import Sequence

from trainer.runs.events import Event

_ALWAYS = ("seq", "time", "attempt", "event")
# Event: its fields. No process ids, no paths, no free text of the host; an event or a field that is new stays at home.
_PUBLISHED: dict[str, tuple[str, ...]] = {
    "queued": (),
    "started": ("max_steps",),
    "machine": ("hardware", "precision", "versions"),
    "phase": ("phase", "done", "total"),
    "data": ("source", "train_clips", "test_clips", "train_seconds", "test_seconds", "left_out"),
    "log": ("step", "loss", "learning_rate", "gradient_norm", "audio_seconds_per_second"),
    "evaluated": ("step", "loss", "wer", "cer", "guesses"),
    "model_saved": ("step",),
    "checkpoint": ("step",),
    "stopping": ("step",),
    "resumed": ("step",),
    "finished": (),
    "stopped": (),
    "failed": (),
}


def published(events: Sequence[Event]) -> bytes:
    """One JSON object a line."""
    lines = []
    for event in events:
        if (fields := _PUBLISHED.get(event["event"])) is not None:
            kept = {name: event[name] for name in (*_ALWAYS, *fields) if name in event}
            lines.append(json.dumps(kept, ensure_ascii=True) + "\n")
    return "".join(lines).encode()
