"""A container's limit counts before the machine's memory, in both versions of control groups."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from trainer import hardware

MIB = 2**20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hardware, "CGROUPS", tmp_path)
    monkeypatch.setattr(hardware, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{text}\n")


def test_without_groups_it_is_the_machines(groups: Path) -> None:
    assert hardware.machine_memory() == psutil.virtual_memory().total
    assert 0 < hardware.free_memory() <= hardware.machine_memory()


def test_the_smallest_limit_around_the_process_counts(groups: Path) -> None:
    (groups / "own").write_text("0::/box/app\n")
    write(groups / "box", memory_max=300 * MIB, memory_current=100 * MIB, memory_stat="anon 9\ninactive_file 1048576")
    write(groups / "box/app", memory_max="max", memory_current=50 * MIB)
    assert hardware.machine_memory() == 300 * MIB
    assert hardware.free_memory() == 201 * MIB  # files kept in memory are given back when it is needed


def test_version_1_and_a_container_that_sees_itself_as_the_root(groups: Path) -> None:
    (groups / "own").write_text("4:cpu,memory:/../outside\n3:cpuset:/\n")
    write(groups / "memory", memory_limit_in_bytes=200 * MIB, memory_usage_in_bytes=250 * MIB)
    assert hardware.machine_memory() == 200 * MIB
    assert hardware.free_memory() == 0


_TOOL = """#!/bin/sh
test "$*" = "--query-gpu=name,memory.total --format=csv,noheader,nounits" || exit 9
echo "NVIDIA A10G, 23028"
echo "NVIDIA Odd, Name, 81559"
echo "Orin, [N/A]"
exit {code}
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on PATH in which a driver's tool may lie; nothing that was found before is remembered."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    hardware.gpus.cache_clear()
    yield tmp_path
    hardware.gpus.cache_clear()


def install(driver: Path, code: int = 0) -> None:
    (driver / "nvidia-smi").write_text(_TOOL.format(code=code))
    (driver / "nvidia-smi").chmod(0o755)


def test_one_look_tells_how_many_gpus_there_are_and_their_names_and_memory(driver: Path) -> None:
    install(driver)
    assert [gpu.words for gpu in hardware.gpus()] == ["NVIDIA A10G (22 GB)", "NVIDIA Odd, Name (80 GB)", "Orin"]
    assert hardware.this_machine().gpu == 81559 * MIB
    (driver / "nvidia-smi").unlink()
    assert len(hardware.gpus()) == 3, "looked for once"


def test_hidden_gpus_are_not_there(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(driver)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert hardware.this_machine().gpu == 23028 * MIB and len(hardware.gpus()) == 1


def test_without_a_driver_or_with_a_broken_one_there_is_none(driver: Path) -> None:
    assert hardware.gpus() == ()
    hardware.gpus.cache_clear()
    install(driver, code=9)
    assert hardware.gpus() == () and hardware.this_machine().gpu is None
