"""The files of a journal folder: which have lost their writer, and reading them."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tidemill.metering.journal.frames import HEAD, MAX_PAYLOAD_BYTES, Scan, scan
from tidemill.metering.journal.writer import SUFFIX

# One batch: a few hundred events, and never less than one frame.
READ_BYTES = 256 * 1024
_MOST_BYTES = MAX_PAYLOAD_BYTES + READ_BYTES

START = len(HEAD)


def segments(folder: Path) -> list[Path]:
    """Return the folder's journal files, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


@contextmanager
def taken_over(path: Path) -> Generator[bool]:
    """Hold ``path`` for the block; yields False when it is gone or its writer (or another pump) has it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield path.exists()
    finally:
        os.close(file)


def left_over(path: Path, offset: int) -> int:
    """Return how many bytes follow ``offset``."""
    return path.stat().st_size - offset


def read_from(path: Path, offset: int) -> Scan:
    """Read whole frames of ``path`` from ``offset`` on, about ``READ_BYTES`` of them.

    ``used`` counts from ``offset``. A file that does not begin with the head of a journal is ``broken``.
    """
    with path.open("rb") as file:
        if file.read(START) != HEAD:
            return Scan([], 0, broken=True)
        file.seek(offset)
        data = file.read(READ_BYTES)
        found = scan(data)
        if not found.used and not found.broken and len(data) == READ_BYTES:
            file.seek(offset)
            found = scan(file.read(_MOST_BYTES))
        return found
