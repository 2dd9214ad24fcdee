"""Where a base model comes from, and which of the table's can be had."""

from pathlib import Path

from trainer.errors import UserError
from trainer.hub.ids import check_repo_id
from trainer.hub.peeking import in_cache
from trainer.models.base import STARTER_ID, Base
from trainer.models.base_table import ROWS
from trainer.models.fetching import fetch_checked
from trainer.settings import STARTER, Settings

BASES: dict[str, Base] = {row.id: row for row in ROWS}
USUAL = "facebook/wav2vec2-base"  # its size stands in for one that nobody knows

# CTC models of the Hub for the Transcribe tab, by language: the first of the table that writes it.
HUB_MODELS: dict[str, str] = {row.writes: row.id for row in reversed(ROWS) if row.writes}


def why_not_on_offer(row: Base) -> str:
    """Why a row of the table cannot be trained here at all, in a sentence; "" where it can."""
    if row.pickle and not row.revision:
        return "Its weights come as a pickle, a format that can hide code, and no version of it is known to be good."
    return ""


def bases_on_offer() -> tuple[Base, ...]:
    """The rows that can be trained, in the table's order."""
    return tuple(row for row in ROWS if not why_not_on_offer(row))


def is_here(base: str) -> bool:
    """Whether a base needs no download: it comes along, is a folder's whole path, or was fetched before.

    Whether there is such a folder is not looked at: who types a path learns nothing of the host here.
    """
    if base == STARTER_ID or Path(base).is_absolute():
        return True
    row = BASES.get(base)
    try:
        return in_cache(
            check_repo_id(base),
            row.revision if row else None,
            Settings.from_env().models_dir,
            shared=not (row and row.pickle),
        )
    except UserError:
        return False


def folder_of(base: str) -> Path:
    """The local folder of a base or model: the starter, a path, or a Hub id, which is fetched.

    On a Space, where strangers type the names, only a whole path means a folder. Raises UserError where there is none.
    """
    if base == STARTER_ID:
        return STARTER
    path = Path(base).expanduser()
    if path.is_dir() and (path.is_absolute() or not Settings.from_env().on_space):
        return path
    if base.startswith((".", "/", "~")):
        raise UserError("There is no model in that folder.", "Give a folder with a config.json, or a Hub id.")
    return fetch_base(base)


def fetch_base(repo: str) -> Path:
    """A checkpoint of the Hub, at the revision of the table where it is in it. Raises UserError."""
    row = BASES.get(repo)
    if row is None:
        return fetch_checked(repo)
    return fetch_checked(repo, row.revision, pickle=row.pickle and bool(row.revision))
