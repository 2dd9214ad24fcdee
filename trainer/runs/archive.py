"""A run's model as one file to take away."""

import zipfile
from pathlib import Path

from trainer.errors import UserError
from trainer.runs.run import Run


def zip_model(run: Run, into: Path) -> Path:
    """Write a zip of the model's folder into a folder and return its path.

    Weights are stored uncompressed: they hardly shrink, and it takes long. Raises UserError where the run has
    no model.
    """
    if not run.has_model:
        raise UserError("This run has no model to download.", "Let it train for at least one step.")
    into.mkdir(parents=True, exist_ok=True)
    file = into / f"voicetune-{run.id}.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for part in sorted(run.model.iterdir()):
            archive.write(part, f"{file.stem}/{part.name}")
    return file
