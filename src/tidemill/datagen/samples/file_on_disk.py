"""One sample file read where it lies, for runs without a server: the same rows as an upload of it would give.

The good rows are copied once into a temporary file and found by their offsets, so a file of any size costs eight
bytes a row of memory.
"""

import asyncio
import hashlib
import tempfile
from array import array
from pathlib import Path
from typing import Any, Self

import msgspec

from tidemill.datagen.samples.contracts import FileFacts, FileFormat
from tidemill.datagen.samples.encoding import TextForm, detect
from tidemill.datagen.samples.errors import FormatUnknown
from tidemill.datagen.samples.rows import language_hint, open_rows
from tidemill.kernel.actor import Scope
from tidemill.platform.db import Reader

FILE_ID = 1
_BY_ENDING: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}
_VERSION_BYTES = 6  # a version is a number that JSON and every database carry exactly


class FileOnDisk:
    """The port ``Samples`` over one file. Its version is a digest of the rows: another content is another version."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._offsets = array("Q", [0])
        self._columns: list[str] = []
        self._language: Any = None
        self.problems = 0
        self.version = 0

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Read the file; raises what an upload of it would raise (FormatUnknown, EncodingUnknown, …)."""
        made = cls(path)
        try:
            await asyncio.to_thread(made._read)
        except BaseException:
            made.close()
            raise
        return made

    def _read(self) -> None:
        form, file_format = _recognise(self._path)
        source = open_rows(self._path, form, file_format)
        digest = hashlib.blake2b(digest_size=_VERSION_BYTES)
        for row in source:
            digest.update(row)
            digest.update(b"\n")
            self._spool.write(row)
            self._offsets.append(self._offsets[-1] + len(row))
        self._spool.flush()
        self._columns = list(source.columns)
        self._language = language_hint(source)
        self.problems = source.problems.count
        self.version = int.from_bytes(digest.digest(), "big")

    async def facts(self, r: Reader, scope: Scope, file_id: int, *, hold: bool = False) -> FileFacts:
        """Return what there is."""
        del r, scope, file_id, hold
        return self.known()

    def known(self) -> FileFacts:
        """Return what there is."""
        return FileFacts(
            file_id=FILE_ID,
            filename=self._path.name,
            rows=len(self._offsets) - 1,
            columns=self._columns,
            version=self.version,
            language_hint=self._language,
        )

    async def rows(self, scope: Scope, file_id: int, version: int, start: int, count: int) -> list[dict[str, Any]]:
        """Return up to ``count`` rows from position ``start``."""
        del scope, file_id, version
        last = min(start + count, len(self._offsets) - 1)
        if start >= last:
            return []
        data = await asyncio.to_thread(self._between, self._offsets[start], self._offsets[last])
        first = self._offsets[start]
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        return [
            decode(data[self._offsets[index] - first : self._offsets[index + 1] - first])
            for index in range(start, last)
        ]

    def _between(self, start: int, end: int) -> bytes:
        self._spool.seek(start)
        return self._spool.read(end - start)

    def close(self) -> None:
        """Let go of the copy."""
        self._spool.close()


def _recognise(path: Path) -> tuple[TextForm, FileFormat]:
    file_format = _BY_ENDING.get(path.suffix.lower())
    if file_format is None:
        raise FormatUnknown(path.name)
    return detect(path, json_lines=file_format == "jsonl"), file_format
