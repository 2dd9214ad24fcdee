"""The zip that a person takes away: all that its README names is in it, and what cannot be made never spoils it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.fakes.models import files_in
from tests.fakes.tiny_models import tiny_model
from trainer.errors import UserError
from trainer.models.ctc_model import open_base, open_checkpoint
from trainer.models.inference import Transcriber
from trainer.models.onnx_files import GRAPH, LETTERS, SCRIPT
from trainer.models.vocabulary import vocabulary_for
from trainer.publishing import archive
from trainer.publishing.archive import HOW_TO, ONNX, zip_model
from trainer.runs.run import Run, create_run
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, load_audio
from trainer.speech.locales import LOCALES
from trainer.speech.sources import open_source
from trainer.training.recipe import Recipe

EN = LOCALES["en-US"]


def run_with(home: Path, kind: str) -> Run:
    run = create_run(home / "runs" / "mine", Recipe())
    tiny_model(kind).save_pretrained(home / "base")
    checkpoint = open_base(files_in(home / "base"), vocabulary_for(["abc hello there"], EN), {}, keep_head=False)
    output: Any = checkpoint.model.get_submodule(checkpoint.architecture.output_layer)
    output.bias.data.zero_()  # letters as likely as silence,
    output.bias.data[1] = -100.0  # and never [UNK], which Transformers would write
    checkpoint.save(run.model, {})
    return run


def unzipped(run: Run, home: Path) -> Path:
    file = zip_model(run, home / "download")
    assert [path.name for path in (home / "download").iterdir()] == [file.name] == [f"voicetune-{run.id}.zip"]
    with zipfile.ZipFile(file) as made:
        assert made.testzip() is None
        made.extractall(home / "taken")
    (folder,) = (home / "taken").iterdir()
    assert folder.name == file.stem
    assert {path.name for path in folder.iterdir()} - {ONNX, HOW_TO} == {path.name for path in run.model.iterdir()}
    return folder


def told(folder: Path) -> str:
    return (folder / HOW_TO).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper_ctc"])
def test_all_that_the_readme_names_is_there_and_works(kind: str, tmp_path: Path) -> None:
    run = run_with(tmp_path, kind)
    folder = unzipped(run, tmp_path)
    assert {path.name for path in (folder / ONNX).iterdir()} == {GRAPH, LETTERS, SCRIPT}
    words = told(folder)
    assert f"python {ONNX}/{SCRIPT} recording.wav" in words and "opset 17" in words
    assert ("whisper_ctc.register()" in words) == (kind == "whisper_ctc")
    clips = open_source("practice", EN, Settings(data_dir=tmp_path)).clips
    sound = next(load_audio(clip.audio).samples for clip in clips if clip.audio is not None)
    soundfile.write(tmp_path / "clip.wav", sound, SAMPLE_RATE, subtype="FLOAT")
    text = Transcriber(open_checkpoint(files_in(run.model)))(sound).text
    script = subprocess.run(
        [sys.executable, f"{ONNX}/{SCRIPT}", str(tmp_path / "clip.wav")], cwd=folder, capture_output=True, text=True
    )
    assert script.stdout.strip() == text and len(text) > 3, script.stderr
    # The lines for Transformers, of which the last reads a file by ffmpeg: here the sound is handed over.
    lines = words.split("```python\n")[1].split("\n```")[0].splitlines()[:-1]
    hand_over = 'import soundfile; print(listen(soundfile.read("clip.wav", dtype="float32")[0])["text"])'
    (tmp_path / folder.name).symlink_to(folder)
    stock = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, hand_over])], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(archive.PROJECT)},
    )  # fmt: skip
    assert stock.stdout.strip() == text, stock.stderr[-2000:]


def test_a_zip_is_whole_where_no_onnx_file_can_be_written(tmp_path: Path) -> None:
    run = run_with(tmp_path, "wav2vec2")
    (run.model / "model.safetensors").write_bytes(b"broken")
    folder = unzipped(run, tmp_path)
    assert "There is no ONNX file in this zip. Writing one went wrong" in told(folder)
    assert not (folder / ONNX).exists() and str(tmp_path) not in told(folder)


@pytest.mark.parametrize(
    ("kind", "limits", "why"),
    [
        ("mctct", {}, "Models of the kind M-CTC-T have no ONNX file"),
        ("wav2vec2", {"MOST_WEIGHTS": 1}, "python -m trainer export"),
        ("wav2vec2", {"SECONDS": 0.01}, "took longer"),
    ],
)
def test_a_zip_says_why_it_has_no_onnx_file(
    kind: str, limits: dict[str, float], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(archive, name, value)
    folder = unzipped(run_with(tmp_path, kind), tmp_path)
    assert why in told(folder) and not (folder / ONNX).exists()


def test_a_run_without_a_model_has_no_zip(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model"):
        zip_model(Run(tmp_path), tmp_path)
