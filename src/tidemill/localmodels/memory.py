"""How much memory there is, as the kernel and the container see it."""

from pathlib import Path
from typing import Final

from msgspec import Struct

_CGROUP: Final = Path("/sys/fs/cgroup")


class MemoryFacts(Struct, frozen=True):
    """Bytes of the machine, or of the container where that is less. Pages of mapped files count as available."""

    total: int
    available: int


def read_memory() -> MemoryFacts:
    """Read both, now."""
    import psutil  # noqa: PLC0415 - loaded on first use

    machine = psutil.virtual_memory()
    total, available = int(machine.total), int(machine.available)
    limit = _number(_CGROUP / "memory.max")
    used = _number(_CGROUP / "memory.current")
    if limit is not None and used is not None and limit < total:
        total, available = limit, min(available, max(0, limit - used + _file_pages()))
    return MemoryFacts(total, available)


def resident_bytes(pid: int) -> int | None:
    """Return the resident memory of ``pid``; None when it has ended."""
    import psutil  # noqa: PLC0415 - loaded on first use

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:  # no cgroup v2 here: the machine's own figures hold
        return None
    return int(text) if text.isdigit() else None


def _file_pages() -> int:
    """Pages of files that the kernel may drop count as used by the container; they are not really."""
    try:
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "active_file ")))
