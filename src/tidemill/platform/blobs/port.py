"""What an object store promises: whole objects or none, read from any offset.

A key is a relative path of ``[A-Za-z0-9._-]`` parts. An object appears only when all of it has been written.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Protocol

from msgspec import Struct

from tidemill.kernel.errors import NotFound

PART_BYTES = 256 * 1024
_KEY = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


class BlobInfo(Struct, frozen=True):
    """An object's key and size in bytes; ``sha256`` (hexadecimal) is known right after it was written."""

    key: str
    size: int
    sha256: str | None = None


class BlobMissing(NotFound):
    """No object has this key."""

    code = "object_missing"
    zh = "文件内容不存在，可能已被删除；请重新上传。"
    en = "The file's content is gone, perhaps deleted. Upload it again."


def checked_key(key: str) -> str:
    """Return ``key`` when it is well formed; raises ValueError (keys are made by us, never by users)."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key!r}")
    return key


class Blobs(Protocol):
    """One opened object store."""

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, max_bytes: int) -> BlobInfo:
        """Write an object whole, replacing any of that key.

        Raises TooLarge past ``max_bytes`` and StorageFull when there is no room; nothing is left of it then.
        """
        ...

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes (None: all) from ``start``; fewer at the end. Raises BlobMissing."""
        ...

    def stream(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Yield the same in parts of at most PART_BYTES. Raises BlobMissing before the first part."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; nothing happens when it is absent."""
        ...

    async def list(self, prefix: str) -> list[BlobInfo]:
        """Return the objects whose key begins with the folder ``prefix``, ordered by key."""
        ...

    async def check(self) -> float:
        """Prove that the store takes and gives back an object; returns the seconds it took."""
        ...
