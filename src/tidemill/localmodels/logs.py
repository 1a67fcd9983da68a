"""What a model's processes print: the last lines in memory for the console, all of it in a rotating file."""

import os
from collections import deque
from itertools import islice
from pathlib import Path
from typing import IO, Final

from tidemill.localmodels.contracts import LogPage

_RING_LINES: Final = 2000  # enough for several starts of a chatty server; about 200 KB a model
_MAX_LINE: Final = 4000
_KEPT_FILES: Final = 2


class ModelLog:
    """The log of one model over all its instances, numbered from 1 without gaps."""

    def __init__(self, name: str, folder: Path, max_bytes: int) -> None:
        self._name = name
        self._path = folder / f"{name}.log"
        self._max_bytes = max_bytes
        self._ring: deque[str] = deque(maxlen=_RING_LINES)
        self._count = 0
        self._file: IO[bytes] | None = None
        self._written = 0
        self._file_failed = False

    def add(self, line: str) -> None:
        """Keep one line; a full disk costs the file, never the process that prints."""
        text = line[:_MAX_LINE]
        self._remember(text)
        if not self._file_failed:
            try:
                self._write(text.encode("utf-8", "replace") + b"\n")
            except OSError as problem:
                self._file_failed = True
                self._remember(f"tidemill: the log file {self._path} cannot be written: {problem.strerror}")

    def tail(self, count: int, after: int = 0) -> LogPage:
        """Return up to ``count`` of the last lines numbered above ``after``."""
        new = min(len(self._ring), max(0, self._count - after), max(0, count))
        lines = list(islice(self._ring, len(self._ring) - new, None))
        return LogPage(name=self._name, lines=lines, next=self._count)

    def last(self, count: int) -> list[str]:
        """Return the last ``count`` lines."""
        return self.tail(count).lines

    def close(self) -> None:
        """Let go of the file; the ring stays readable."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._file_failed = False

    def _remember(self, text: str) -> None:
        self._ring.append(text)
        self._count += 1

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self._written = os.fstat(self._file.fileno()).st_size
        self._file.write(data)
        self._written += len(data)
        if self._written >= self._max_bytes:
            self._file.close()
            self._file = None
            for number in range(_KEPT_FILES, 0, -1):
                older = self._path.with_suffix(f".log.{number}")
                newer = self._path.with_suffix(f".log.{number - 1}") if number > 1 else self._path
                if newer.exists():
                    newer.replace(older)
