"""What a person chooses when they share a model: its name, who may see it, and its licence."""

import re
from dataclasses import dataclass

from trainer.errors import UserError
from trainer.hub.repo_id import check_repo_id


@dataclass(frozen=True)
class Licence:
    """`title` is how people know it; `asks` what it asks beyond naming the author, "" for nothing."""

    title: str
    asks: str = ""


# By the Hub's names, which are SPDX's identifiers in small letters.
LICENCES = {
    "apache-2.0": Licence("Apache 2.0"),
    "mit": Licence("MIT"),
    "cc-by-4.0": Licence("Creative Commons Attribution 4.0"),
    "cc-by-sa-3.0": Licence("Creative Commons Attribution-ShareAlike 3.0", "what you make of it must be shared alike"),
    "cc-by-sa-4.0": Licence("Creative Commons Attribution-ShareAlike 4.0", "what you make of it must be shared alike"),
    "cc-by-nc-4.0": Licence("Creative Commons Attribution-NonCommercial 4.0", "not for commercial use"),
    "cc0-1.0": Licence("Creative Commons Zero 1.0"),
}
LONGEST_NAME = 96  # the Hub's limit for each part of an id


@dataclass(frozen=True)
class PublishOptions:
    """`name` is "my-model", or "owner/my-model" for an organisation. Raises UserError where a part will not do."""

    name: str
    private: bool = True
    licence: str = "apache-2.0"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _checked(self.name))
        if self.licence not in LICENCES:
            raise UserError("That is not a licence I can write down.", f"Choose one of: {', '.join(LICENCES)}.")


def suggested_name(run_id: str) -> str:
    """A name for a run's model that its other runs do not have: "voicetune-de-de-9f3a1c"."""
    parts = run_id.split("-")
    kept = "-".join(parts[2:]) if len(parts) > 2 else run_id
    return re.sub(r"[^a-z0-9]+", "-", f"voicetune-{kept.lower()}")[:LONGEST_NAME].strip("-")


def _checked(text: str) -> str:
    typed = (text or "").strip()
    if not typed:
        raise UserError("The model has no name yet.", "Type one, for example my-first-model.")
    try:
        return check_repo_id(typed)
    except UserError:
        raise UserError(
            "The Hub does not take that name.",
            f"Use up to {LONGEST_NAME} letters, digits, “-”, “_” and “.”, and begin and end with a letter or digit, "
            "as in my-first-model.",
        ) from None
