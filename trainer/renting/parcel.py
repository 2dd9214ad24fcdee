"""What a rented machine is sent: this program's own code, the recipe, and what of the assets the recipe needs."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from trainer.errors import UserError
from trainer.hub.ids import check_repo_id
from trainer.runs.run import Run
from trainer.settings import PRACTICE, STARTER
from trainer.training.recipe import Recipe

PROJECT = Path(__file__).resolve().parents[2]
NAME = "voicetune-parcel.zip"  # in the model's repo
RUN = "run"  # the run's folder in it


def check_travels(recipe: Recipe) -> None:
    """Raises UserError for a recipe that needs what lies on this computer alone."""
    if recipe.data not in ("auto", "minds14", "practice"):
        raise UserError(
            "Recordings of your own stay on your computer; a rented machine cannot hear them.", "Choose other data."
        )
    if recipe.base != "starter":
        try:
            check_repo_id(recipe.base)
        except UserError:
            raise UserError(
                "This base model lies on your computer; a rented machine cannot open it.",
                "Choose the starter or a model of the Hub.",
            ) from None


def pack(run: Run) -> bytes:
    """The parcel of a run, as a zip file. Of the run's config the recipe alone travels: whose it is stays here."""
    recipe = run.recipe()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as parcel:
        for path in _needed(recipe):
            parcel.write(path, path.relative_to(PROJECT).as_posix())
        parcel.writestr(f"{RUN}/config.json", json.dumps({"recipe": recipe.to_dict()}))
    return archive.getvalue()


def _needed(recipe: Recipe) -> Iterator[Path]:
    yield PROJECT / "requirements.txt"
    yield from sorted((PROJECT / "trainer").rglob("*.py"))
    if recipe.base == "starter":
        yield from sorted(path for path in STARTER.iterdir() if path.is_file() and path.suffix != ".py")
    if recipe.data != "minds14":  # "auto" falls back on the practice clips
        yield from sorted(PRACTICE / name for name in ("README.md",) if (PRACTICE / name).is_file())
        yield from sorted((PRACTICE / recipe.locale).glob("*.parquet"))
