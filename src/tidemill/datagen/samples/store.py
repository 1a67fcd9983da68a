"""Chunks in the object store: written in one object per upload or edit, read by range."""

from collections.abc import AsyncIterator

from tidemill.datagen.samples.chunks import Piece, unpack
from tidemill.datagen.samples.repository import NewChunk, Span
from tidemill.kernel.ids import uuid7
from tidemill.platform.blobs import Blobs

FOLDER = "samples"


def new_key(user_id: int) -> str:
    """Name an object of a user's sample files; the name tells when it was made."""
    return f"{FOLDER}/{user_id}/{uuid7()}.jsonl"


class ChunkStore:
    """Puts pieces, gives rows."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def put(self, key: str, pieces: AsyncIterator[tuple[int, Piece]], *, max_bytes: int) -> list[NewChunk]:
        """Write ``pieces``, each with the slot of its first row, as one object; says where each one is.

        Without any piece nothing is written. Raises TooLarge past ``max_bytes`` and StorageFull; nothing stays then.
        """
        first = await anext(pieces, None)
        if first is None:
            return []
        placed: list[NewChunk] = []
        offset = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal offset
            slot, piece = first
            while True:
                placed.append(
                    NewChunk(ord=slot, rows=piece.rows, object_key=key, offset=offset, length=len(piece.data))
                )
                offset += len(piece.data)
                yield piece.data
                following = await anext(pieces, None)
                if following is None:
                    return
                slot, piece = following

        await self._blobs.put(key, body(), max_bytes=max_bytes)
        return placed

    async def rows(self, span: Span) -> list[bytes]:
        """Return the rows of one chunk."""
        return unpack(await self._blobs.read(span.object_key, span.offset, span.length))

    async def discard(self, keys: list[str]) -> None:
        """Delete objects that nothing refers to; a crash before leaves them to the sweep."""
        for key in keys:
            await self._blobs.delete(key)
