"""Clear away: the objects of a deleted user, and what a killed process left behind."""

import asyncio
from pathlib import Path
from uuid import UUID

from tidemill.datagen.samples import repository
from tidemill.datagen.samples.store import FOLDER, ChunkStore
from tidemill.kernel import clock
from tidemill.kernel.actor import UserScope
from tidemill.platform.blobs import Blobs
from tidemill.platform.db import Database, Writer

_ORPHAN_AGE_S = 24 * 3600.0


class SampleUpkeep:
    """What maintenance and the deletion of a user call."""

    def __init__(self, db: Database, blobs: Blobs, upload_folder: Path) -> None:
        self._db = db
        self._blobs = blobs
        self._store = ChunkStore(blobs)
        self.upload_folder = upload_folder

    async def erase_user(self, w: Writer, user_id: int) -> list[str]:
        """Delete a user's files in the caller's transaction; returns the object keys to ``discard`` after it."""
        keys = await repository.keys_of_user(w, user_id)
        await repository.remove_all(w, UserScope(user_id))
        return keys

    async def discard(self, keys: list[str]) -> None:
        """Delete objects that ``erase_user`` named."""
        await self._store.discard(keys)

    async def sweep(self) -> int:
        """Delete what is older than a day and belongs to nothing: stored rows without a file, spooled uploads.

        Returns how many objects that were. Meant to run at start and once a day.
        """
        before_ms = (clock.now().timestamp() - _ORPHAN_AGE_S) * 1000
        old = [info.key for info in await self._blobs.list(FOLDER) if _made_ms(info.key) < before_ms]
        async with self._db.read() as r:
            orphans = await repository.unknown_keys(r, old)
        await self._store.discard(orphans)
        return len(orphans) + await asyncio.to_thread(_remove_spooled, self.upload_folder, before_ms)


def _made_ms(key: str) -> float:
    """Return when an object was made, in milliseconds since 1970, as its name tells; never for foreign names."""
    try:
        return UUID(key.rsplit("/", 1)[-1].partition(".")[0]).int >> 80
    except ValueError:
        return float("inf")


def _remove_spooled(folder: Path, before_ms: float) -> int:
    removed = 0
    for path in folder.glob("upload-*"):
        if path.stat().st_mtime * 1000 < before_ms:
            path.unlink(missing_ok=True)
            removed += 1
    return removed
