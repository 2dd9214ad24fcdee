"""Folders and files that a base or a model cannot be read from: each is a sentence, and no path is told."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.models import files_in, save_tiny_base
from trainer.errors import UserError, is_memory_full
from trainer.hub import safe_json
from trainer.models.base_ref import Folder, hub_id, parse_base
from trainer.models.model_config import ModelConfig
from trainer.models.resolve import fetch_checked, find_model
from trainer.settings import Settings
from trainer.transcription.model_list import folder_of_choice, hub_id_of

ROOT = os.geteuid() == 0


def said(act: Callable[[], object], match: str) -> None:
    """It is refused in two whole sentences that hold nothing of the host."""
    with pytest.raises(UserError, match=match) as caught:
        act()
    for sentence in (caught.value.what, caught.value.todo):
        assert sentence.endswith(".") and "/" not in sentence.replace("owner/name", "").replace("facebook/wav2vec2", "")


@pytest.mark.parametrize("kept", [0, 1, 40, 700])
def test_a_config_that_was_cut_off(kept: int, tmp_path: Path) -> None:
    folder = save_tiny_base(tmp_path / "base")
    config = folder / "config.json"
    config.write_bytes(config.read_bytes()[:kept])
    for act in (lambda: ModelConfig.read(folder), lambda: find_model(Folder(folder), Settings(data_dir=tmp_path))):
        said(act, r"config\.json is cut off or broken\. Fetch or copy it anew")


@pytest.mark.parametrize("name", ["vocab.json", "tokenizer_config.json", "added_tokens.json"])
def test_another_small_file_that_was_cut_off_is_named(name: str, tmp_path: Path) -> None:
    from trainer.models.ctc_model import open_checkpoint

    folder = save_tiny_base(tmp_path / "base")
    (folder / "vocab.json").write_text(json.dumps({"[PAD]": 0}))
    (folder / name).write_text('{"[PAD]": 0, "a')
    said(lambda: open_checkpoint(files_in(folder)), f"{name} is cut off or broken")


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_files_that_may_not_be_read_are_not_called_links(tmp_path: Path) -> None:
    folder = save_tiny_base(tmp_path / "base")
    (folder / "config.json").chmod(0)
    said(lambda: ModelConfig.read(folder), "config.json cannot be opened here")
    folder.chmod(0)
    try:
        said(lambda: ModelConfig.read(folder), "config.json cannot be opened here")
    finally:
        folder.chmod(0o700)


def test_a_file_whose_reading_is_refused_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for an account that may not: root, whom the other test leaves out, may read everything."""
    folder = save_tiny_base(tmp_path / "base")

    def refused(*args: object, **options: object) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    said(lambda: safe_json.read_json(folder, "config.json"), "config.json cannot be opened here")
    monkeypatch.undo()
    monkeypatch.setattr(Path, "resolve", refused)
    said(lambda: safe_json.read_json(folder, "config.json"), "config.json cannot be opened here")


def test_folders_in_the_place_of_files_and_files_in_that_of_folders(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    settings = Settings(data_dir=tmp_path)
    said(lambda: parse_base(str(file), on_space=False), "no model in that folder")
    said(lambda: find_model(Folder(file), settings), "no model in that folder")
    said(lambda: find_model(Folder(file / "below"), settings), "no model in that folder")
    empty = tmp_path / "empty"
    empty.mkdir()
    said(lambda: find_model(Folder(empty), settings), "config.json is missing")
    (empty / "config.json").mkdir()
    said(lambda: find_model(Folder(empty), settings), "config.json is not a file")
    only_read_me = tmp_path / "readme"
    only_read_me.mkdir()
    (only_read_me / "README.md").write_text("# A model")
    said(lambda: find_model(Folder(only_read_me), settings), "config.json is missing")


@pytest.mark.parametrize("as_path", [True, False])
def test_a_folder_whose_name_is_not_utf_8(as_path: bool, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/mod\xe8le"))
    folder.mkdir()
    typed = str(folder) if as_path else "mod\udce8le"
    said(lambda: parse_base(typed, on_space=False), "not in UTF-8")
    said(lambda: parse_base(typed, on_space=True, by_visitor=True), "not in UTF-8")


def test_names_that_are_no_model_of_any_kind(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    said(lambda: folder_of_choice("ready:x", settings, "anna"), "did not come with this copy")
    said(lambda: folder_of_choice("hub:ready:x", settings, "anna"), "not the id of a model")
    said(lambda: parse_base("ready:x", on_space=False), "not the id of a model")
    said(lambda: hub_id("starter"), "no model called starter")
    said(lambda: hub_id_of("hub:starter"), "no model called starter")


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_file_in_the_place_of_the_folder_for_models(place: str, tmp_path: Path) -> None:
    from tests.fakes.hub import FakeHub

    (tmp_path / "file").write_text("")
    data = tmp_path / "file" if place == "a file" else tmp_path / "file" / "below"
    with FakeHub() as hub:
        hub.add_model("anna/a", {"config.json": b'{"model_type": "wav2vec2"}', "model.safetensors": bytes(64)})
        settings = Settings(data_dir=data, hub_endpoint=hub.url)
        said(lambda: fetch_checked("anna/a", None, settings), "folder for downloaded models cannot be written to")


def test_too_little_memory_is_not_told_as_broken_files(tmp_path: Path) -> None:
    """In a process of its own, whose address space may not grow once all is imported."""
    folder = save_tiny_base(tmp_path / "base")
    code = (
        "import json, resource, sys; from pathlib import Path; import psutil, torch\n"
        "from trainer.models import build; from trainer.models.model_files import read_model\n"
        "config = Path(sys.argv[1], 'config.json'); values = json.loads(config.read_text())\n"
        "config.write_text(json.dumps(values | {'hidden_size': 2048, 'intermediate_size': 32768, "
        "'num_hidden_layers': 8, 'num_attention_heads': 2}))\n"
        "build.compare = lambda *args: 0  # the memory is free as far as anybody can tell, and then it is not\n"
        "files = read_model(Path(sys.argv[1]), 10**12)\n"
        "most = psutil.Process().memory_info().vms + 200 * 2**20\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "try:\n    build.load(files, {})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("UserError There is not enough memory to open this model."), done.stderr[-2000:]


def test_how_memory_that_is_full_is_recognised() -> None:
    assert is_memory_full(MemoryError()) and is_memory_full(OSError(12, "Cannot allocate memory"))
    assert is_memory_full(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    wrapped = ValueError("header")
    wrapped.__cause__ = MemoryError()
    assert is_memory_full(wrapped)
    assert not is_memory_full(OSError(28, "No space left on device")) and not is_memory_full(ValueError("12"))
