"""How much memory there is: the machine's, or the container's where that has less. Imports no torch."""

from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
# A group's limit, what it uses, and the names in its memory.stat of what it gives back when asked: version 2, then 1.
_FILES = (
    ("memory.max", "memory.current", ("inactive_file", "slab_reclaimable")),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file",)),
)


def machine_memory() -> int:
    """Bytes that programs here may use in all, whether taken or not."""
    return min(psutil.virtual_memory().total, *(limit for limit, _ in _limits()))


def free_memory() -> int:
    """Bytes that can still be taken without swapping and without being killed for it."""
    return max(0, min(psutil.virtual_memory().available, *(limit - used for limit, used in _limits())))


def _limits() -> Iterator[tuple[int, int]]:
    """Limit and bytes in use of each control group that this process is in; a pair that binds nobody comes first."""
    yield 2**63, 0
    for folder in _groups():
        for limit_file, used_file, reclaimable in _FILES:
            limit, used = _number(folder / limit_file), _number(folder / used_file)
            if limit is not None and used is not None:
                yield limit, max(0, used - _reclaimable(folder, reclaimable))


def _groups() -> Iterator[Path]:
    """Folders of this process's groups and of those around them. A container may see its own as the root."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)  # "0::/a/b" or "4:memory:/a/b"
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CGROUPS / "memory" if controllers else CGROUPS
        inner = Path(path.strip("/"))
        if ".." in inner.parts:  # a group outside what this container sees
            inner = Path()
        yield from (root / folder for folder in (inner, *inner.parents))


def _number(file: Path) -> int | None:
    """None where the file is not there or says "max"."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _reclaimable(folder: Path, names: tuple[str, ...]) -> int:
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(count) for name, _, count in (line.partition(" ") for line in lines) if name in names)
