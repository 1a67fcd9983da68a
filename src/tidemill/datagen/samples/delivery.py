"""Sample files on their way out: one file as it stands, as CSV, or several in one archive; always streamed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from msgspec import Struct

from tidemill.datagen.samples.contracts import FileFormat
from tidemill.datagen.samples.errors import TooManyColumns
from tidemill.datagen.samples.reader import SampleReader
from tidemill.datagen.samples.render import UTF8_MARK, csv_header, csv_lines
from tidemill.datagen.samples.repository import FileRow
from tidemill.datagen.samples.rows import MAX_COLUMNS
from tidemill.kernel import clock

CSV_TYPE = "text/csv"
JSONL_TYPE = "application/x-jsonlines; charset=utf-8"
ZIP_TYPE = "application/zip"


class Download(Struct, frozen=True):
    """What a caller gets as a file: its name, media type and bytes in parts."""

    filename: str
    media_type: str
    parts: AsyncIterator[bytes]


def renamed(filename: str, file_format: FileFormat) -> str:
    """Return the name with the ending of ``file_format``."""
    stem, dot, ending = filename.rpartition(".")
    base = stem if dot and len(ending) <= 6 else filename  # noqa: PLR2004 - the longest ending that is one
    return f"{base}.{file_format}"


def deliver(
    reader: SampleReader, file: FileRow, file_format: FileFormat, *, mark: bool = False, name: str | None = None
) -> Download:
    """Return ``file`` at its version in ``file_format``, as UTF-8; ``mark`` puts a byte order mark in front.

    Raises TooManyColumns when CSV is asked of a file with more than 1,000 different keys.
    """
    if file_format == "csv" and len(file.columns) > MAX_COLUMNS:
        raise TooManyColumns(limit=MAX_COLUMNS)
    filename = name or (file.filename if file.format == file_format else renamed(file.filename, file_format))
    media_type = CSV_TYPE if file_format == "csv" else JSONL_TYPE
    return Download(filename, media_type, render(reader.through(file), file.columns, file_format, mark=mark))


async def render(
    chunks: AsyncGenerator[list[bytes]], columns: Sequence[str], file_format: FileFormat, *, mark: bool
) -> AsyncGenerator[bytes]:
    """Yield stored rows as a file of ``file_format``."""
    async with aclosing(chunks):
        if mark:
            yield UTF8_MARK
        if file_format == "csv":
            yield csv_header(columns)
            async for rows in chunks:
                yield await asyncio.to_thread(csv_lines, rows, columns)
        else:
            async for rows in chunks:
                yield b"\n".join(rows) + b"\n"


class Entry(Struct, frozen=True):
    """One file of an archive."""

    filename: str
    parts: AsyncIterator[bytes]


async def archive(entries: Sequence[Entry]) -> AsyncGenerator[bytes]:
    """Yield a ZIP archive of ``entries`` while they are being read; equal names get a number."""
    import zipfile  # noqa: PLC0415 - loaded on first use

    sink = _Sink()
    bundle = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
    for name, entry in zip(_distinct([entry.filename for entry in entries]), entries, strict=True):
        info = zipfile.ZipInfo(name, clock.now().timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        with bundle.open(info, "w", force_zip64=True) as target:
            async for part in entry.parts:
                await asyncio.to_thread(target.write, part)
                if written := sink.take():
                    yield written
    bundle.close()
    yield sink.take()


def _distinct(names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    result: list[str] = []
    for name in names:
        stem, dot, ending = name.rpartition(".")
        candidate, number = name, 2
        while candidate in seen:
            candidate = f"{stem} ({number}).{ending}" if dot else f"{name} ({number})"
            number += 1
        seen.add(candidate)
        result.append(candidate)
    return result


class _Sink:
    """A file that can only be written to and emptied, which is all that zipfile asks of one it cannot seek in."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered below."""

    def close(self) -> None:
        """Leave what was written to be taken."""

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken
