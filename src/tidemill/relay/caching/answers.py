"""Give an answer that was given before to the same question, without a channel and without tokens.

The key is a keyed hash of the question, so a key tells nobody what was asked; the answers themselves stand in the
cache as they were. Only whole answers that came to a good end within the size are kept.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tidemill.platform.cache import Cache
from tidemill.relay.caching.kept import Kept, in_pieces, pack, unpack, usage_json
from tidemill.relay.caching.question import question
from tidemill.relay.caching.sinks import Outlet, Tee, mark
from tidemill.relay.caching.soundness import is_sound
from tidemill.relay.pipeline.ask import Ask, Sink
from tidemill.relay.pipeline.record import Record
from tidemill.wire.tokens import NOTHING

Call = Callable[[Ask, Sink], Awaitable[None]]
HashOf = Callable[[str], str]

_KINDS = frozenset({"chat", "completion", "embeddings", "rerank", "moderation"})
# Reading, packing and unpacking more than this would hold up the other calls of the process.
_IN_THREAD_FROM = 64 * 1024


class AnswerCache:
    """Finds and keeps answers. ``shared``: one user's answer serves the others too.

    ``ttl_s``: how long an answer is given; ``max_bytes``: the largest that is kept.
    """

    def __init__(self, cache: Cache, hash_of: HashOf, *, shared: bool, ttl_s: float, max_bytes: int) -> None:
        self._cache = cache
        self._hash_of = hash_of
        self._shared = shared
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes

    def key_of(self, ask: Ask) -> str | None:
        """Return the key of what is asked; None when it can have no kept answer."""
        asked = question(ask, None if self._shared else ask.caller.user_id) if ask.kind in _KINDS else None
        return None if asked is None else f"answer:{self._hash_of(asked)}"

    async def find(self, key: str) -> Kept | None:
        """Return the answer under ``key``, if there is one."""
        data = await self._cache.get(key)
        if data is None:
            return None
        return await asyncio.to_thread(unpack, data) if len(data) > _IN_THREAD_FROM else unpack(data)

    async def give(self, kept: Kept, outlet: Outlet, record: Record) -> None:
        """Send a kept answer. Settled before, as every answer is."""
        record.cached = True
        record.usage, record.usage_raw = NOTHING, kept.usage
        record.first_token()
        record.settle()
        await outlet.start([*kept.headers, mark(b"hit")])
        *first, last = kept.pieces
        for piece in first:
            await outlet.write(piece)
        await outlet.end(last)

    async def learn(self, key: str, ask: Ask, sink: Sink, record: Record, call: Call) -> None:
        """Make the call and keep its answer if it is worth it. Raises what the call raises."""
        tee = Tee(sink, self._max_bytes)
        await call(ask, tee)
        parts = tee.parts
        if parts is None or record.error is not None:
            return
        kept = Kept(tee.headers, in_pieces(parts), usage_json(record.tokens(), record.usage_raw))
        large = kept.size > _IN_THREAD_FROM
        packed = await asyncio.to_thread(_packed, ask, kept) if large else _packed(ask, kept)
        if packed is not None:
            await self._cache.put(key, packed, ttl_s=self._ttl_s)


def _packed(ask: Ask, kept: Kept) -> bytes | None:
    return pack(kept) if is_sound(ask, b"".join(kept.pieces)) else None
