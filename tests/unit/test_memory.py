"""A container's limit counts before the machine's memory, in both versions of control groups."""

from pathlib import Path

import psutil
import pytest

from trainer.models import memory

MIB = 2**20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{text}\n")


def test_without_groups_it_is_the_machines(groups: Path) -> None:
    assert memory.machine_memory() == psutil.virtual_memory().total
    assert 0 < memory.free_memory() <= memory.machine_memory()


def test_the_smallest_limit_around_the_process_counts(groups: Path) -> None:
    (groups / "own").write_text("0::/box/app\n")
    write(groups / "box", memory_max=300 * MIB, memory_current=100 * MIB, memory_stat="anon 9\ninactive_file 1048576")
    write(groups / "box/app", memory_max="max", memory_current=50 * MIB)
    assert memory.machine_memory() == 300 * MIB
    assert memory.free_memory() == 201 * MIB  # files kept in memory are given back when it is needed


def test_version_1_and_a_container_that_sees_itself_as_the_root(groups: Path) -> None:
    (groups / "own").write_text("4:cpu,memory:/../outside\n3:cpuset:/\n")
    write(groups / "memory", memory_limit_in_bytes=200 * MIB, memory_usage_in_bytes=250 * MIB)
    assert memory.machine_memory() == 200 * MIB
    assert memory.free_memory() == 0
