"""ONNX files hear what the models hear that they were made of, for every kind that can be written so."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch

from tests.fakes.models import files_in, save_tiny_base
from tests.fakes.tiny_models import tiny_model
from trainer.__main__ import main
from trainer.errors import UserError
from trainer.models import onnx_export, onnx_files
from trainer.models.architectures import ARCHITECTURES
from trainer.models.ctc_model import Checkpoint, open_base
from trainer.models.inference import Transcriber, logits_of
from trainer.models.onnx_export import export_onnx
from trainer.models.onnx_files import GRAPH, LETTERS, OPSET, SCRIPT, script
from trainer.models.vocabulary import Vocabulary, vocabulary_for
from trainer.settings import Settings
from trainer.speech.audio import SAMPLE_RATE, load_audio
from trainer.speech.locales import LOCALES, Locale
from trainer.speech.sources import open_source

EN = LOCALES["en-US"]
CLOSE = 1e-3  # logits
WRITTEN = [kind for kind, row in ARCHITECTURES.items() if row.onnx]
BASES = [*WRITTEN, "wav2vec2 with layer norms"]


def sounds() -> list[np.ndarray]:
    """Practice clips and pieces of them: (samples,) at 16 kHz, 0.05 s to some seconds."""
    clips = [clip for clip in open_source("practice", EN, Settings(data_dir=Path("unused"))).clips if clip.audio]
    heard = [load_audio(clip.audio).samples for clip in clips[::40] if clip.audio is not None][:4]
    whole = np.concatenate(heard)
    return [*heard, heard[0][:800], heard[1][100:8_100], heard[2][: 160 * 77 + 1], whole[: 160 * 1501 - 7]]


SOUNDS = sounds()


def checkpoint_of(
    base: str, folder: Path, locale: Locale = EN, texts: tuple[str, ...] = ("abc hello there",)
) -> Checkpoint:
    """With weights so large that what is heard amiss shows, and letters as likely as silence."""
    if base in ARCHITECTURES:
        tiny_model(base).save_pretrained(folder)
    else:
        save_tiny_base(folder, "layer")
    opened = open_base(files_in(folder), vocabulary_for(texts, locale), {}, keep_head=False)
    torch.manual_seed(1)
    for weight in opened.model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    output: Any = opened.model.get_submodule(opened.architecture.output_layer)
    torch.nn.init.zeros_(output.bias)
    opened.model.eval()
    return opened


@pytest.mark.parametrize("base", BASES)
def test_a_graph_gives_the_models_logits(base: str, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(base, tmp_path / "base")
    export_onnx(checkpoint, tmp_path / "onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / GRAPH))
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[0]) == ("waveform", "tensor(float)", 1)
    assert (made.name, made.type, made.shape[2]) == ("logits", "tensor(float)", checkpoint.vocabulary.labels)
    assert {each.version for each in onnx.load(tmp_path / "onnx" / GRAPH).opset_import if not each.domain} == {OPSET}
    assert {file.name for file in (tmp_path / "onnx").iterdir()} == {GRAPH, LETTERS, SCRIPT}
    for sound in SOUNDS:
        ours = logits_of(checkpoint, sound).numpy()
        theirs = session.run(None, {"waveform": sound[None]})[0][0]
        assert theirs.shape == ours.shape and ours.std() > 0.1
        assert np.abs(theirs - ours).max() < CLOSE


@pytest.mark.parametrize("base", ["wav2vec2", "wav2vec2 with layer norms", "whisper_ctc"])
def test_the_script_writes_what_we_write(base: str, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(base, tmp_path / "base")
    export_onnx(checkpoint, tmp_path / "onnx")
    for number, sound in enumerate((SOUNDS[1], SOUNDS[0][:200])):  # 200 samples give no frame
        file = tmp_path / f"{number}.wav"
        soundfile.write(file, sound, SAMPLE_RATE, subtype="FLOAT")
        done = run_script(tmp_path / "onnx", file)
        assert done.stdout.strip() == Transcriber(checkpoint)(sound).text, done.stderr
        assert number or len(done.stdout.strip()) > 3


def test_the_script_hears_long_and_stereo_sound_and_refuses_other_rates(tmp_path: Path) -> None:
    checkpoint = checkpoint_of("whisper_ctc", tmp_path / "base")
    export_onnx(checkpoint, tmp_path / "onnx")
    file, minute = tmp_path / "a.wav", np.resize(SOUNDS[0], 70 * SAMPLE_RATE)
    soundfile.write(file, np.stack([minute, minute], axis=1), SAMPLE_RATE)
    assert len(run_script(tmp_path / "onnx", file).stdout) > 100
    soundfile.write(file, minute, 8_000)
    refused = run_script(tmp_path / "onnx", file)
    assert refused.returncode == 1 and "8000 samples a second" in refused.stderr and "Traceback" not in refused.stderr


def run_script(folder: Path, sound: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / SCRIPT), str(sound)],
        capture_output=True,
        text=True,
        cwd=folder.parent,
        timeout=120,
    )


def test_the_script_needs_three_packages_and_few_lines(tmp_path: Path) -> None:
    checkpoint = checkpoint_of("whisper_ctc", tmp_path / "base")
    tree = ast.parse(script(checkpoint.config, checkpoint.vocabulary))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names - set(sys.stdlib_module_names) == {"numpy", "onnxruntime", "soundfile"}
    assert len([node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]) <= 16


def test_the_script_spells_as_the_vocabulary_does(tmp_path: Path) -> None:
    def constants(vocabulary: Vocabulary) -> dict[str, Any]:
        config = checkpoint_of("wav2vec2", tmp_path / "base").config
        lines = script(config, vocabulary).splitlines()
        values: dict[str, Any] = {}
        exec("\n".join(line for line in lines if line.startswith(("RATE", "SILENT"))), values)
        return values

    strange = Vocabulary(
        {"<pad>": 3, "<s>": 0, "<unk>": 1, "_": 2, "A": 4, "[": 5, "B\x1b": 6, "'": 7},
        "<pad>",
        "<unk>",
        "_",
        lowers=True,
    )
    told = constants(strange)
    assert (told["SILENT"], told["SPACES"], told["SPACE"], told["LOWER"]) == ([0, 1, 3, 5, 6], [2], " ", True)
    chinese = constants(vocabulary_for(["请冻结我的银行卡"], LOCALES["zh-CN"]))
    assert (chinese["SILENT"], chinese["SPACES"], chinese["SPACE"], chinese["LOWER"]) == ([0, 1], [2], "", False)


@pytest.mark.parametrize("kind", sorted(set(ARCHITECTURES) - set(WRITTEN)))
def test_a_kind_that_cannot_be_written_says_so(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=ARCHITECTURES[kind].title):
        export_onnx(checkpoint_of(kind, tmp_path / "base"), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_too_large_a_model_and_a_missing_package_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = checkpoint_of("wav2vec2", tmp_path / "base")
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "MOST_PARAMETERS", 100)
        with pytest.raises(UserError, match="million at most"):
            export_onnx(checkpoint, tmp_path / "onnx")
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "free_memory", lambda: 1000)
        with pytest.raises(UserError, match="are free"):
            export_onnx(checkpoint, tmp_path / "onnx")
    monkeypatch.setattr(onnx_files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install onnx"):
        export_onnx(checkpoint, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_the_command_writes_the_three_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOICETUNE_DATA", str(tmp_path / "data"))
    checkpoint_of("wav2vec2", tmp_path / "base").save(tmp_path / "model", {})
    assert main(["export", str(tmp_path / "model"), "--out", str(tmp_path / "onnx")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "onnx" / GRAPH)
    assert {file.name for file in (tmp_path / "onnx").iterdir()} == {GRAPH, LETTERS, SCRIPT}
    checkpoint_of("mctct", tmp_path / "base").save(tmp_path / "other", {})
    assert main(["export", str(tmp_path / "other"), "--out", str(tmp_path / "none")]) == 1
    assert "M-CTC-T" in capsys.readouterr().err and not (tmp_path / "none").exists()
