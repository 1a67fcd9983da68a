"""Append usage to this process's journal file.

Each append is one ``write`` before the call's answer ends, so a killed process loses nothing it has answered: the
kernel holds the bytes. ``fsync="always"`` also survives a power cut, at a disk flush per call. A file belongs to one
process, which holds a lock on it as long as it lives; a file without a holder is whole and waits for anybody's pump.
"""

import fcntl
import os
from collections import deque
from pathlib import Path
from typing import Literal

from tidemill.kernel.ids import uuid7
from tidemill.metering.journal.frames import HEAD, frame

Fsync = Literal["never", "always"]

SUFFIX = ".usage"
MAX_SEGMENT_BYTES = 64 * 1024 * 1024
# About 4 MB of events: what a full disk may cost in memory before the oldest are given up.
MAX_HELD = 10_000


class JournalWriter:
    """The open end of a journal. Not for several threads."""

    def __init__(self, folder: Path, *, fsync: Fsync = "never", max_segment_bytes: int = MAX_SEGMENT_BYTES) -> None:
        self._folder = folder
        self._fsync = fsync
        self._max_segment_bytes = max_segment_bytes
        # Frames that the disk did not take yet, oldest first; empty in health.
        self._held: deque[bytes] = deque()
        self.lost = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._file, self._size = self._open_segment()

    def _open_segment(self) -> tuple[Path, int, int]:
        path = self._folder / f"{uuid7()}{SUFFIX}"
        # Locked under a name no pump looks for, then named: nobody can take a file between its birth and its lock.
        unborn = path.with_suffix(".new")
        file = os.open(unborn, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(file, HEAD)
            unborn.rename(path)
        except OSError:
            os.close(file)
            unborn.unlink(missing_ok=True)
            raise
        return path, file, len(HEAD)

    def append(self, payload: bytes) -> None:
        """Add an entry. Never raises for a disk that takes nothing: the entry is held in memory and tried again.

        Past ``MAX_HELD`` entries the oldest is given up and counted in ``lost``.
        """
        self._held.append(frame(payload))
        if len(self._held) > MAX_HELD:
            self._held.popleft()
            self.lost += 1
        self.flush()

    def flush(self) -> bool:
        """Write what is held; returns False while the disk takes nothing."""
        try:
            if self._size >= self._max_segment_bytes:
                self._roll_over()
            while self._held:
                self._write(self._held[0])
                self._held.popleft()
        except OSError:
            return False
        return True

    def _write(self, data: bytes) -> None:
        written = os.write(self._file, data)
        if written != len(data):
            # Invariant: the file always ends at the end of a frame.
            os.ftruncate(self._file, self._size)
            raise OSError(f"the disk took {written} of {len(data)} bytes")
        self._size += written
        if self._fsync == "always":
            os.fsync(self._file)

    def _roll_over(self) -> None:
        old = self._file
        self.path, self._file, self._size = self._open_segment()
        os.close(old)

    def sync(self) -> None:
        """Force what was written to the disk; blocking."""
        os.fsync(self._file)

    @property
    def size(self) -> int:
        """Bytes in the current file."""
        return self._size

    @property
    def held(self) -> int:
        """Entries that wait for the disk."""
        return len(self._held)

    def close(self) -> None:
        """Let go of the file; a pump takes what is left in it."""
        self.flush()
        os.close(self._file)
