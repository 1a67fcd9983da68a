"""The object store in a folder: written beside, synced, then renamed into place."""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import BinaryIO

from tidemill.kernel import clock
from tidemill.kernel.errors import StorageFull, TooLarge
from tidemill.kernel.ids import uuid7
from tidemill.platform.blobs.port import PART_BYTES, BlobInfo, BlobMissing, checked_key

_INCOMING = ".incoming"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class FolderBlobs:
    """Objects as files below ``root``; file work runs in threads."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, max_bytes: int) -> BlobInfo:
        """Write an object whole; what was half written is removed."""
        target = self._path(key)
        incoming = self._root / _INCOMING / uuid7()
        digest, size = hashlib.sha256(), 0
        file: BinaryIO | None = None
        try:
            file = await asyncio.to_thread(_create, incoming)
            async for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise TooLarge(f"more than {max_bytes} bytes")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(_finish, file, incoming, target)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise StorageFull(f"object store {self._root}") from error
            raise
        finally:
            if file is not None:
                await asyncio.to_thread(_discard, file, incoming)
        return BlobInfo(key, size, digest.hexdigest())

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of an object."""
        return await asyncio.to_thread(_read, self._path(key), key, start, length)

    async def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range of an object in parts; the file stays open in between, so a delete does not cut it."""
        file = await asyncio.to_thread(_open, self._path(key), key, start)
        left = length
        try:
            while left is None or left > 0:
                part = await asyncio.to_thread(file.read, PART_BYTES if left is None else min(PART_BYTES, left))
                if not part:
                    return
                left = None if left is None else left - len(part)
                yield part
        finally:
            await asyncio.to_thread(file.close)

    async def delete(self, key: str) -> None:
        """Delete an object."""
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def list(self, prefix: str) -> list[BlobInfo]:
        """Return the objects below a folder."""
        return await asyncio.to_thread(_listing, self._root, checked_key(prefix.rstrip("/")))

    async def check(self) -> float:
        """Prove that the folder takes a file."""
        started = clock.monotonic()
        probe = self._root / _INCOMING / uuid7()
        file = await asyncio.to_thread(_create, probe)
        await asyncio.to_thread(_discard, file, probe)
        return clock.monotonic() - started

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _finish(file: BinaryIO, incoming: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    incoming.replace(target)


def _discard(file: BinaryIO, incoming: Path) -> None:
    file.close()
    incoming.unlink(missing_ok=True)


def _open(path: Path, key: str, start: int) -> BinaryIO:
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise BlobMissing(key) from error
    file.seek(start)
    return file


def _read(path: Path, key: str, start: int, length: int | None) -> bytes:
    with _open(path, key, start) as file:
        return file.read() if length is None else file.read(length)


def _listing(root: Path, prefix: str) -> list[BlobInfo]:
    files = (path for path in (root / prefix).rglob("*") if path.is_file())
    found = [BlobInfo(path.relative_to(root).as_posix(), path.stat().st_size) for path in files]
    return sorted(found, key=lambda info: info.key)
