"""The zip that a person takes their model away in: the model, how to use it, and where it can be an ONNX file."""

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import psutil

from trainer.errors import UserError
from trainer.models.language_model import PHRASES
from trainer.models.model_config import ModelConfig
from trainer.models.onnx_files import GRAPH, INPUT, LETTERS, OPSET, OUTPUT, SCRIPT, check_exportable
from trainer.publishing.model_card import usage
from trainer.runs.process import PROJECT, step_back, without_secrets
from trainer.runs.run import Run

HOW_TO = "README.md"
ONNX = "onnx"  # the folder of its files in the zip
# Somebody waits for it, and a model of this size, Wav2Vec2's base, takes 2 GB of memory. The command does larger ones.
MOST_WEIGHTS = 400_000_000  # bytes
SECONDS = 120.0  # on a machine that is busy otherwise; alone it takes some ten
MOST_SAID = 2_000  # bytes of what went wrong, that go to the log
_OF_PHRASES = (
    f"\nOnly Voicetune uses `{PHRASES}`. It quotes the training transcripts, three words at a time: leave it out where "
    "those are nobody else's business.\n"
)
log = logging.getLogger("voicetune.archive")
_BY_YOURSELF = "You can write one yourself, where Voicetune's code lies: `python -m trainer export MODEL --out FOLDER`."


def zip_model(run: Run, into: Path) -> Path:
    """Write a zip of the model's folder into a folder and return its path. It appears whole, by a rename.

    Weights are stored uncompressed: they hardly shrink, and it takes long. Raises UserError where the run has
    no model. That no ONNX file could be made is no error: the zip says why.
    """
    if not run.has_model:
        raise UserError("This run has no model to download.", "Let it train for at least one step.")
    into.mkdir(parents=True, exist_ok=True)
    file = into / f"voicetune-{run.id}.zip"
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        why_none = _write_onnx(run.model, Path(scratch) / ONNX)
        draft = Path(scratch) / file.name
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
            for part in sorted(run.model.iterdir()):
                archive.write(part, f"{file.stem}/{part.name}")
            for name in () if why_none else (GRAPH, LETTERS, SCRIPT):
                archive.write(Path(scratch) / ONNX / name, f"{file.stem}/{ONNX}/{name}")
            phrases = (run.model / PHRASES).is_file()
            archive.writestr(f"{file.stem}/{HOW_TO}", how_to(file.stem, _kind_of(run.model), why_none, phrases))
        draft.replace(file)
    return file


def how_to(name: str, model_type: str, why_none: str = "", phrases: bool = False) -> str:
    """The zip's README.md. `name` is its folder; `why_none` says why there is no ONNX file, "" where there is one;
    `phrases`: whether `PHRASES` are in it."""
    return f"# {name}\n\n{_with_transformers(name, model_type)}{_OF_PHRASES if phrases else ''}\n{_without(why_none)}"


def _with_transformers(name: str, model_type: str) -> str:
    return (
        f"With Transformers, beside the folder `{name}`:\n\n```python\n{usage(name, model_type)}\n```\n\n"
        f"With Voicetune, where its code lies: `python -m trainer transcribe --model {name} recording.wav`\n"
    )


def _without(why_none: str) -> str:
    if why_none:
        return f"There is no ONNX file in this zip. {why_none}\n"
    return (
        "Without Transformers, with no more than numpy, soundfile and onnxruntime:\n\n"
        f"```\npip install numpy soundfile onnxruntime\npython {ONNX}/{SCRIPT} recording.wav\n```\n\n"
        f"`{ONNX}/{GRAPH}` (opset {OPSET}) takes `{INPUT}`, float32 (1, samples) in [-1, 1], mono at 16 kHz, and gives "
        f"`{OUTPUT}`, float32 (1, frames, labels). `{ONNX}/{LETTERS}` says which label is which letter; "
        f"`{ONNX}/{SCRIPT}` shows the way from one to the other.\n"
    )


def _kind_of(model: Path) -> str:
    try:
        return ModelConfig.read(model).architecture.model_type
    except UserError:
        return ""


def _write_onnx(model: Path, folder: Path) -> str:
    """Write ONNX files into a folder; returns why there are none, "" where there are. In a process of its own: it takes
    memory, and the app has no torch."""
    try:
        check_exportable(ModelConfig.read(model))
    except UserError as error:
        return str(error)
    weights = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    if weights > MOST_WEIGHTS:
        return f"The model is too large to write one while somebody waits. {_BY_YOURSELF}"
    if not weights:
        return "Its weights are not there."
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer", "export", str(model.resolve()), "--out", str(folder.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=PROJECT,
            env=without_secrets(os.environ),
            start_new_session=True,
        )
        try:
            with contextlib.suppress(psutil.Error, OSError):  # it ended at once, or the system has no such thing
                step_back(process.pid)
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return f"Writing one took longer than {SECONDS:.0f} seconds. {_BY_YOURSELF}"
        finally:
            process.kill()
            process.wait()
        if code == 0:
            return ""
        said.seek(0)
        # For the host alone: it may name paths.
        log.warning("no ONNX file, exit code %d: %s", code, said.read(MOST_SAID).decode("utf-8", "replace").strip())
    return f"Writing one went wrong, perhaps for lack of memory. {_BY_YOURSELF}"
