"""The file of channels (``gateway.channels_file``) as the source of truth: taken in at the start and when it changes.

Its channels bear a mark that makes them read-only elsewhere; one that it no longer names is disabled, not deleted, so
that its figures stay. A file that cannot be used leaves everything as it was, and says so in the log.
"""

import asyncio
from pathlib import Path

from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.errors import BadInput, TidemillError
from tidemill.platform.telemetry import get_logger
from tidemill.relay.channel_rows import FILE_TAG, given
from tidemill.relay.channels_yaml import parse_with_references
from tidemill.relay.contracts import ChannelChange, ChannelWish
from tidemill.relay.contracts_admin import ImportReport
from tidemill.relay.errors import ChannelsFileWrong
from tidemill.relay.imports import ChannelImports

CHECK_S = 2.0
_SCOPE = SystemScope(SystemReason.RELAY_SYNC)
_Stamp = tuple[int, int]  # mtime in ns, bytes
_log = get_logger("tidemill.relay.channels_file")


class ChannelsFile:
    """One file, followed."""

    def __init__(self, path: Path, imports: ChannelImports) -> None:
        self._path = path
        self._imports = imports
        self._taken: _Stamp | None = None

    async def take(self) -> ImportReport:
        """Bring the channels in step with the file; raises ChannelsFileWrong, and nothing is changed."""
        try:
            self._taken, content = await asyncio.to_thread(self._read)
            wishes = [_whole(entry) for entry in parse_with_references(content)]
            report = await self._imports.run(_SCOPE, wishes, None, from_file=True)
        except OSError as error:
            raise ChannelsFileWrong(path=self._path, reason=error.strerror or str(error)) from None
        except TidemillError as error:
            raise ChannelsFileWrong(path=self._path, reason=error.detail or error.message("en")) from None
        _log.info(
            "channels_file.taken",
            path=str(self._path),
            created=len(report.created),
            changed=len(report.changed),
            unchanged=len(report.unchanged),
        )
        return report

    async def follow(self) -> None:
        """Take the file in again whenever it has changed, for ever."""
        while True:
            await asyncio.sleep(CHECK_S)
            await self.look()

    async def look(self) -> ImportReport | None:
        """Take the file in if it has changed since it was last read."""
        if await asyncio.to_thread(self._stamp) == self._taken:
            return None
        try:
            return await self.take()
        except ChannelsFileWrong as error:
            _log.warning("channels_file.refused", error=str(error))
        except Exception:  # noqa: BLE001 - the edge of a background job; the next look tries again
            self._taken = None
            _log.exception("channels_file.failed", path=str(self._path))
        return None

    def _stamp(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return self._taken  # away, perhaps between two versions; what was taken stays
        return found.st_mtime_ns, found.st_size

    def _read(self) -> tuple[_Stamp | None, bytes]:
        return self._stamp(), self._path.read_bytes()


def _whole(entry: ChannelChange) -> ChannelChange:
    """Return an entry with every default in it and the mark; keys that it leaves out stay as they are."""
    sent = given(entry)
    sent["tags"] = [*(tag for tag in sent.get("tags", ()) if tag != FILE_TAG), FILE_TAG]
    for field in ("name", "models"):
        if field not in sent:
            raise BadInput.of(f"channels.{field}", f"is missing in the entry {sent.get('name', '')!r}")
    defaults = given(ChannelWish(name=sent["name"], models=sent["models"]))
    del defaults["keys"]
    return ChannelChange(**{**defaults, **sent})
