"""Models of the Hub that have listened to somebody well before: remembered for each owner, by name alone."""

import hashlib
import json
import os
import uuid
from pathlib import Path

from trainer.settings import Settings

MOST = 8


def worked(settings: Settings, owner: str) -> list[str]:
    """Their ids, the latest first; [] where nothing is remembered."""
    file = _file(settings, owner)
    try:
        ids = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [repo for repo in ids if isinstance(repo, str)][:MOST] if isinstance(ids, list) else []


def remember_worked(settings: Settings, owner: str, repo_id: str) -> None:
    """Put it first. A data folder that cannot be written is no reason to fail: then nothing is remembered."""
    ids = [repo_id, *(repo for repo in worked(settings, owner) if repo != repo_id)][:MOST]
    file = _file(settings, owner)
    draft = file.with_name(f"{file.name}.{os.getpid()}-{uuid.uuid4().hex[:6]}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text(json.dumps(ids), encoding="utf-8")
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)


def _file(settings: Settings, owner: str) -> Path:
    """By the owner's hash, so that no name can lead elsewhere."""
    return settings.data_dir / "worked" / f"{hashlib.sha256(owner.encode()).hexdigest()[:32]}.json"
