"""What a rented machine is sent: this program's own code, the recipe, and what of the assets the recipe needs."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from trainer.errors import UserError
from trainer.models.base_ref import Folder, Starter
from trainer.runs.run import Run
from trainer.settings import PRACTICE, STARTER, WORDS
from trainer.speech.locales import locale_of
from trainer.training.recipe import NAMED_DATA, Recipe

PROJECT = Path(__file__).resolve().parents[2]
NAME = "voicetune-bundle.zip"  # in the model's repo
RUN = "run"  # the run's folder in it


def check_travels(recipe: Recipe) -> None:
    """Raises UserError for a recipe that needs what lies on this computer alone."""
    if recipe.data not in NAMED_DATA:
        raise UserError(
            "Recordings of your own stay on your computer; a rented machine cannot hear them.", "Choose other data."
        )
    if isinstance(recipe.base_ref, Folder):
        raise UserError(
            "This base model lies on your computer; a rented machine cannot open it.",
            "Choose the starter or a model of the Hub.",
        )


def pack(run: Run) -> bytes:
    """The bundle of a run, as a zip file. Of the run's config the recipe alone travels: whose it is stays here."""
    recipe = run.recipe()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in _needed(recipe):
            bundle.write(path, path.relative_to(PROJECT).as_posix())
        bundle.writestr(f"{RUN}/config.json", json.dumps({"recipe": recipe.to_dict()}))
    return archive.getvalue()


def _needed(recipe: Recipe) -> Iterator[Path]:
    yield PROJECT / "requirements.txt"
    yield from sorted((PROJECT / "trainer").rglob("*.py"))
    if recipe.base_ref == Starter():
        making = {".py", ".txt"}  # how it was made
        yield from sorted(path for path in STARTER.rglob("*") if path.is_file() and path.suffix not in making)
    yield from WORDS.glob(f"{locale_of(recipe.locale).language}.txt")
    if recipe.data != "minds14":  # "auto" falls back on the practice clips
        yield from sorted(PRACTICE / name for name in ("README.md", "validation.txt") if (PRACTICE / name).is_file())
        yield from sorted((PRACTICE / recipe.locale).glob("*.parquet"))
