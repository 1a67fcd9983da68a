"""The object store in S3 or what speaks like it."""

from collections.abc import AsyncIterable, AsyncIterator
from hashlib import sha256
from typing import TYPE_CHECKING

from tidemill.kernel import clock
from tidemill.kernel.errors import TooLarge
from tidemill.platform.blobs.port import PART_BYTES, BlobInfo, BlobMissing, checked_key

if TYPE_CHECKING:
    from obstore.store import S3Store

# S3 takes at most 10,000 parts an object; 8 MB parts allow 80 GB.
UPLOAD_PART_BYTES = 8 * 1024 * 1024
_PROBE = "probe"


class S3Blobs:
    """Objects in a bucket, below the store's prefix. An upload in parts shows only when it is complete."""

    def __init__(self, store: "S3Store") -> None:
        self._store = store

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, max_bytes: int) -> BlobInfo:
        """Write an object whole; past one part as a multipart upload, given up when it fails."""
        digest, size = sha256(), 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise TooLarge(f"more than {max_bytes} bytes")
                digest.update(chunk)
                yield chunk

        first = bytearray()
        source = counted()
        async for chunk in source:
            first += chunk
            if len(first) >= UPLOAD_PART_BYTES:
                break

        async def all_of_it() -> AsyncIterator[bytes]:
            yield bytes(first)
            async for chunk in source:
                yield chunk

        if len(first) < UPLOAD_PART_BYTES:
            await self._store.put_async(checked_key(key), bytes(first))
        else:
            await self._store.put_async(checked_key(key), all_of_it(), chunk_size=UPLOAD_PART_BYTES)
        return BlobInfo(key, size, digest.hexdigest())

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of an object."""
        try:
            size = (await self._store.head_async(checked_key(key)))["size"]
            end = size if length is None else min(size, start + length)
            if end <= start:
                return b""
            return bytes(await self._store.get_range_async(key, start=start, end=end))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error

    async def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range of an object in parts."""
        try:
            size = (await self._store.head_async(checked_key(key)))["size"]
            end = size if length is None else min(size, start + length)
            if end <= start:
                return
            answer = await self._store.get_async(key, options={"range": (start, end)})
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        async for part in answer.stream(min_chunk_size=PART_BYTES):
            whole = bytes(part)
            for offset in range(0, len(whole), PART_BYTES):
                yield whole[offset : offset + PART_BYTES]

    async def delete(self, key: str) -> None:
        """Delete an object."""
        try:
            await self._store.delete_async(checked_key(key))
        except FileNotFoundError:
            return  # already gone, which is what was asked for

    async def list(self, prefix: str) -> list[BlobInfo]:
        """Return the objects below a folder."""
        found: list[BlobInfo] = []
        batches = self._store.list(checked_key(prefix.rstrip("/")))  # pyright: ignore[reportUnknownMemberType] - overload
        async for batch in batches:
            found.extend(BlobInfo(entry["path"], entry["size"]) for entry in batch)
        return sorted(found, key=lambda info: info.key)

    async def check(self) -> float:
        """Prove that the bucket takes an object."""
        started = clock.monotonic()
        await self._store.put_async(_PROBE, b"ok")
        return clock.monotonic() - started
