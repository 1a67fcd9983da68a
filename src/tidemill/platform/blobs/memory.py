"""The object store of tests: a dictionary."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator

from tidemill.kernel.errors import TooLarge
from tidemill.platform.blobs.port import PART_BYTES, BlobInfo, BlobMissing, checked_key


class MemoryBlobs:
    """Objects in memory."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, max_bytes: int) -> BlobInfo:
        """Write an object whole."""
        body = bytearray()
        async for chunk in chunks:
            body += chunk
            if len(body) > max_bytes:
                raise TooLarge(f"more than {max_bytes} bytes")
        self._objects[checked_key(key)] = bytes(body)
        return BlobInfo(key, len(body), hashlib.sha256(body).hexdigest())

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of an object."""
        body = self._objects.get(checked_key(key))
        if body is None:
            raise BlobMissing(key)
        return body[start:] if length is None else body[start : start + length]

    async def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range of an object in parts."""
        body = await self.read(key, start, length)
        for offset in range(0, len(body), PART_BYTES):
            yield body[offset : offset + PART_BYTES]

    async def delete(self, key: str) -> None:
        """Delete an object."""
        self._objects.pop(checked_key(key), None)

    async def list(self, prefix: str) -> list[BlobInfo]:
        """Return the objects below a folder."""
        below = prefix.rstrip("/") + "/"
        return [BlobInfo(key, len(body)) for key, body in sorted(self._objects.items()) if key.startswith(below)]

    async def check(self) -> float:
        """Memory is always there."""
        return 0.0
