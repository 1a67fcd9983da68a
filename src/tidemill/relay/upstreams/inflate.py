"""Answers that come compressed although they were asked for as they are.

Every request says ``accept-encoding: identity``, so this is for services, and caches before them, that do not listen.
"""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidemill.relay.upstreams.port import Take, UpstreamAnswer, UpstreamBrokenError, pour_by_reading, read_whole

if TYPE_CHECKING:
    from zlib import _Decompress  # pyright: ignore[reportPrivateUsage] - typeshed's name for what decompressobj gives

# What one step may unpack; more stays packed until it is asked for, so a few bytes cannot become a flood of them.
PIECE_BYTES = 64 * 1024
_PLAIN = frozenset({"", "identity"})
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_ANY_WRAPPER = 32 + zlib.MAX_WBITS
_DEFLATE_METHOD = 8


class Inflater:
    """Unpacks one body, ``gzip`` or ``deflate``, at most ``PIECE_BYTES`` a step."""

    __slots__ = ("_packed", "_unpack")

    def __init__(self) -> None:
        self._unpack: _Decompress | None = None
        self._packed = b""

    def feed(self, data: bytes) -> None:
        """Take packed bytes."""
        self._packed += data

    def take(self) -> bytes:
        """Return what can be unpacked, empty when more must be fed; raises UpstreamBrokenError for what is no such."""
        while True:
            if self._unpack is None:
                if not self._packed:
                    return b""
                # Services disagree whether "deflate" has zlib's wrapper; its first byte tells.
                wrapped = self._packed[0] & 0x0F == _DEFLATE_METHOD or self._packed[0] == 0x1F  # noqa: PLR2004 - gzip
                self._unpack = zlib.decompressobj(_ANY_WRAPPER if wrapped else -zlib.MAX_WBITS)
            try:
                data = self._unpack.decompress(self._packed, PIECE_BYTES)
            except zlib.error:
                raise UpstreamBrokenError("the answer is not packed as it says") from None
            if self._unpack.eof:
                self._packed, self._unpack = self._unpack.unused_data, None
            else:
                self._packed = self._unpack.unconsumed_tail
            if data or not self._packed:
                return data

    def finish(self) -> None:
        """Say that nothing more comes; raises UpstreamBrokenError when the last part is not whole."""
        if self._unpack is not None or self._packed:
            raise UpstreamBrokenError("the answer was cut off inside its packing")


class UnpackedAnswer:
    """An answer whose body comes packed, shown unpacked."""

    __slots__ = ("_inflater", "_packed", "headers", "status")

    def __init__(self, packed: UpstreamAnswer) -> None:
        self._packed = packed
        self._inflater = Inflater()
        self.status = packed.status
        self.headers: Mapping[str, str] = packed.headers

    async def read(self, limit: int) -> bytes:
        """Return the whole body, of at most ``limit`` unpacked bytes."""
        return await read_whole(self, limit)

    async def next(self) -> bytes:
        """Return what has come, at most ``PIECE_BYTES`` of it."""
        inflater = self._inflater
        while not (data := inflater.take()):
            packed = await self._packed.next()
            if not packed:
                inflater.finish()
                break
            inflater.feed(packed)
        return data

    async def pour(self, take: Take) -> None:
        """Hand on what comes."""
        await pour_by_reading(self, take)

    async def finish(self) -> None:
        """Give the connection back."""
        await self._packed.finish()

    async def abort(self) -> None:
        """Close the connection."""
        await self._packed.abort()


async def unpacked(answer: UpstreamAnswer) -> UpstreamAnswer:
    """Return the answer as its sender meant it; one packed in a way that nobody can read here is broken, and closed."""
    told = answer.headers.get("content-encoding", "").strip().lower()
    if told in _PLAIN:
        return answer
    if told in _PACKED:
        return UnpackedAnswer(answer)
    await answer.abort()
    raise UpstreamBrokenError("the answer is packed in a way that was not asked for")
