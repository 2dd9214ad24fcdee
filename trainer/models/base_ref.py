"""Which model is meant: what a person typed, decided once, and what a recipe's config.json keeps of it.

Invariant: as text no kind can be taken for another. A folder is an absolute path, which no id on the Hub can be.
"""

from dataclasses import dataclass
from pathlib import Path

from trainer.errors import UserError
from trainer.hub.errors import not_found
from trainer.hub.repo_id import check_repo_id
from trainer.models.catalog import BASES, STARTER_ID, Base

_QUOTES = "\"'“”„‘’«»"  # around a path that was copied from somewhere


@dataclass(frozen=True)
class Starter:
    """The small model that comes with Voicetune."""

    def __str__(self) -> str:
        return STARTER_ID


@dataclass(frozen=True)
class HubId:
    """A model on the Hub. Raises ValueError for what is no id, or is the starter's name."""

    id: str

    def __post_init__(self) -> None:
        try:
            sound = check_repo_id(self.id) == self.id != STARTER_ID
        except UserError:
            sound = False
        if not sound:
            raise ValueError(self.id)

    def __str__(self) -> str:
        return self.id

    @property
    def row(self) -> Base | None:
        """Its row of the table, where it has one."""
        return BASES.get(self.id)

    @property
    def revision(self) -> str | None:
        """The commit or branch that the table pins; None: the main branch."""
        return self.row.revision if self.row else None

    @property
    def pickle(self) -> bool:
        """Whether its weights may come as a pickle: for rows of the table at a pinned commit alone."""
        return self.row is not None and self.row.pickle and self.row.revision is not None


@dataclass(frozen=True)
class Folder:
    """A folder on this computer, by its absolute path. Raises ValueError for a relative one."""

    path: Path

    def __post_init__(self) -> None:
        if not self.path.is_absolute():
            raise ValueError(self.path)

    def __str__(self) -> str:
        return str(self.path)


BaseRef = Starter | HubId | Folder


def parse_base(typed: str, *, on_space: bool, by_visitor: bool = False) -> BaseRef:
    """What somebody typed: the starter's name, a folder that is there, a Hub id or the address of its page.

    On a Space, where strangers type names, a relative text never means a folder, and nothing that a visitor types
    does: they learn nothing of the host here. Raises UserError.
    """
    text = typed.strip()
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    if not text:
        raise UserError("No base model is chosen.", "Choose one from the list, or type its name on the Hub.")
    if text == STARTER_ID:
        return Starter()
    if not _is_utf8(text):
        raise UserError(
            "The name of that folder or model has signs that are not in UTF-8.",
            "Rename the folder, for example with plain letters, and try again.",
        )
    if not (on_space and by_visitor):
        path = _expanded(text)
        if (path.is_absolute() or not on_space) and _is_folder(path):
            return Folder(path.resolve())
        if _is_path(text):
            raise no_folder()
    return hub_id(text)


def read_base(text: str) -> BaseRef:
    """What a recipe's config.json says. Raises UserError where that is none of the three.

    A path with a dot or a tilde in front, as recipes held it once, can be nothing but a folder.
    """
    if text == STARTER_ID:
        return Starter()
    if _is_path(text):
        return Folder(_expanded(text).absolute())
    return hub_id(text)


def no_folder() -> UserError:
    return UserError("There is no model in that folder.", "Give a folder with a config.json, or a Hub id.")


def hub_id(text: str) -> HubId:
    """Of an id or the address of a model's page, and nothing else. Raises UserError."""
    repo_id = check_repo_id(text)
    if repo_id == STARTER_ID:  # the address of a page: as an id it would be the starter when it is read again
        raise not_found(repo_id)
    return HubId(repo_id)


def _is_path(text: str) -> bool:
    return text.startswith((".", "~")) or Path(text).is_absolute()


def _is_utf8(text: str) -> bool:
    """A recipe keeps the name; the command line passes bytes that are not UTF-8 on as halves of characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~somebody who has no home here
        return Path(text)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # longer than a path may be
        return False
