"""Uploads off the wire: a multipart form whose files go to disk part by part, never through memory.

The parser is fed as the body arrives. A file past its limit, or one that finds the disk full, is marked and the rest
of it passed over, so that the other files of the form are still taken. Everything spooled is gone when the block ends.
"""

import asyncio
import errno
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from tidemill.datagen.samples.errors import BadForm, NoFile, UploadTooLarge
from tidemill.kernel.errors import StorageFull, TidemillError
from tidemill.kernel.ids import uuid7

if TYPE_CHECKING:
    from multipart import MultipartSegment

_WRITE_BYTES = 1 << 20
_PARSE_BYTES = 1 << 16
_MAX_PARTS = 200
_MAX_FIELD_BYTES = 1 << 16
_MAX_NAME = 255
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Spooled(Struct, kw_only=True):
    """One uploaded file on disk; ``fault`` says why it cannot be used."""

    field: str
    filename: str
    content_type: str
    path: Path
    size: int = 0
    fault: TidemillError | None = None


class UploadForm(Struct):
    """The files of a form and its plain fields (the last value of each)."""

    files: list[Spooled]
    fields: dict[str, str]

    def wanted(self) -> list[Spooled]:
        """Return the files sent as ``file`` or ``files``; raises NoFile without any."""
        found = [spooled for spooled in self.files if spooled.field in {"file", "files", "files[]"}]
        if not found:
            raise NoFile
        return found

    @property
    def is_single(self) -> bool:
        """Tell whether the answer is the one object: exactly one part, sent as ``file``."""
        found = self.wanted()
        return len(found) == 1 and found[0].field == "file"


def clean_name(name: str) -> str:
    """Return the last part of a file name as people may see it: no path, no control characters, 255 at most."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    visible = "".join(character for character in base if character.isprintable()).strip()
    if len(visible) <= _MAX_NAME:
        return visible or "upload"
    stem, dot, ending = visible.rpartition(".")
    return visible[:_MAX_NAME] if not dot else f"{stem[: _MAX_NAME - len(ending) - 1]}.{ending}"


@asynccontextmanager
async def receive_form(
    body: AsyncIterator[bytes], content_type: str, folder: Path, max_file_bytes: int
) -> AsyncGenerator[UploadForm]:
    """Read a whole form, its files to ``folder``; raises BadForm when it is none or breaks off."""
    receiver = _Receiver(folder, max_file_bytes)
    try:
        await receiver.read(body, _boundary(content_type))
        yield receiver.form
    finally:
        await asyncio.to_thread(receiver.close)


def _boundary(content_type: str) -> str:
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary("")
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise BadForm(f"content-type: {content_type or 'missing'}")
    return boundary


class _Receiver:
    def __init__(self, folder: Path, max_file_bytes: int) -> None:
        self.form = UploadForm([], {})
        self._folder = folder
        self._max_file_bytes = max_file_bytes
        self._spooled: Spooled | None = None
        self._file: BinaryIO | None = None
        self._name = ""
        self._held = bytearray()

    async def read(self, body: AsyncIterator[bytes], boundary: str) -> None:
        from multipart import MultipartError, PushMultipartParser  # noqa: PLC0415 - loaded on first use

        parser = PushMultipartParser(boundary, max_segment_count=_MAX_PARTS)
        try:
            async for part in body:
                for start in range(0, len(part), _PARSE_BYTES):
                    if parser.closed:
                        break
                    await self._take(list(parser.parse(part[start : start + _PARSE_BYTES])))
            parser.close()
        except MultipartError as error:
            raise BadForm(str(error)) from None

    async def _take(self, events: list["MultipartSegment | bytearray | bytes | None"]) -> None:
        for event in events:
            if event is None:
                await self._end_part()
            elif isinstance(event, (bytes, bytearray)):
                await self._more(event)
            else:
                await self._begin_part(event)

    async def _begin_part(self, segment: "MultipartSegment") -> None:
        self._name = segment.name or ""
        self._held.clear()
        if segment.filename is None:
            return
        spooled = Spooled(
            field=self._name,
            filename=clean_name(segment.filename),
            content_type=segment.content_type or "",
            path=self._folder / f"upload-{uuid7()}",
        )
        self.form.files.append(spooled)
        self._spooled = spooled
        try:
            self._file = await asyncio.to_thread(_create, spooled.path)
        except OSError as error:
            self._give_up(error)

    async def _more(self, data: bytes | bytearray) -> None:
        spooled = self._spooled
        if spooled is None:
            if len(self._held) + len(data) > _MAX_FIELD_BYTES:
                raise BadForm(f"field {self._name} is longer than {_MAX_FIELD_BYTES} bytes")
            self._held += data
            return
        if spooled.fault is not None:
            return
        spooled.size += len(data)
        if spooled.size > self._max_file_bytes:
            spooled.fault = UploadTooLarge(limit_mb=self._max_file_bytes // (1024 * 1024))
            self._held.clear()
            return
        self._held += data
        if len(self._held) >= _WRITE_BYTES:
            await self._flush()

    async def _end_part(self) -> None:
        if self._spooled is None:
            self.form.fields[self._name] = self._held.decode("utf-8", "replace")
        else:
            await self._flush()
            if self._file is not None:
                await asyncio.to_thread(self._file.close)
        self._spooled, self._file = None, None
        self._held.clear()

    async def _flush(self) -> None:
        if self._file is None or self._spooled is None or self._spooled.fault is not None:
            return
        held = bytes(self._held)
        self._held.clear()
        try:
            await asyncio.to_thread(self._file.write, held)
            await asyncio.to_thread(self._file.flush)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if error.errno not in _NO_ROOM or self._spooled is None:
            raise error
        self._spooled.fault = StorageFull(str(self._folder))

    def close(self) -> None:
        """Remove what was spooled."""
        if self._file is not None:
            self._file.close()
        for spooled in self.form.files:
            spooled.path.unlink(missing_ok=True)


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")
