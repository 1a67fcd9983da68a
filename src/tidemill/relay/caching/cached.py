"""Stand between a call and the channels: what was answered before is answered from here, where that is wanted."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

from tidemill.relay.caching.answers import AnswerCache, Call
from tidemill.relay.caching.kept import Kept
from tidemill.relay.caching.sinks import Outlet
from tidemill.relay.caching.vectors import VectorCache
from tidemill.relay.pipeline.ask import Ask, CacheWish, Sink
from tidemill.relay.pipeline.record import Record
from tidemill.relay.pipeline.watch import Watched

Mode = Literal["off", "opt-in", "on"]

# The words of a call, empty for none, with which it meets the kept answers.
_WISHES: Mapping[Mode, frozenset[CacheWish]] = {
    "off": frozenset(),
    "opt-in": frozenset[CacheWish]({"on", "refresh"}),
    "on": frozenset[CacheWish]({"", "on", "refresh"}),
}

# Seconds to wait for another call's answer; then a call of one's own is made, with most of its time left.
_LONGEST_WAIT_S = 30.0


class Caching:
    """Decides which cache a call meets.

    ``mode``: ``off``, ``opt-in`` (a call must ask for it) or ``on`` (a call may decline). ``carries`` tells whether a
    model can be called at all: one that is gone is not answered from memory either. ``idle_s`` bounds slow readers.
    """

    def __init__(
        self,
        *,
        mode: Mode,
        answers: AnswerCache,
        vectors: VectorCache | None,
        carries: Callable[[str], bool],
        idle_s: float,
    ) -> None:
        self._wishes = _WISHES[mode]
        self._answers = answers
        self._vectors = vectors
        self._carries = carries
        self._idle_s = idle_s
        # Invariant: an event here belongs to a call under way in this process, which sets it whatever becomes of it.
        self._under_way: dict[str, asyncio.Event] = {}

    async def through(self, ask: Ask, sink: Sink, record: Record, watched: Watched, call: Call) -> None:
        """Answer ``ask`` from what is kept, else by ``call``; raises what that raises."""
        outlet = Outlet(sink, watched, self._idle_s)
        if ask.kind == "embeddings" and self._vectors is not None and self._carries(ask.model):
            if await self._vectors.answer(ask, outlet, record, call):
                return
        elif ask.cache in self._wishes and self._carries(ask.model):
            key = self._answers.key_of(ask)
            if key is not None:
                kept = None if ask.cache == "refresh" else await self._find(key, ask)
                if kept is not None:
                    await self._answers.give(kept, outlet, record)
                else:
                    await self._learn(key, ask, sink, record, call)
                return
        await call(ask, sink)

    async def _find(self, key: str, ask: Ask) -> Kept | None:
        """Return the kept answer; of a question that is being answered, wait for that a while unless it is a stream."""
        kept = await self._answers.find(key)
        under_way = self._under_way.get(key)
        if kept is not None or under_way is None or ask.stream:
            return kept
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                await under_way.wait()
        except TimeoutError:
            return None
        return await self._answers.find(key)

    async def _learn(self, key: str, ask: Ask, sink: Sink, record: Record, call: Call) -> None:
        """Make the call, and let those who ask the same meanwhile know when it is over."""
        if key in self._under_way:
            await self._answers.learn(key, ask, sink, record, call)
            return
        over = self._under_way[key] = asyncio.Event()
        try:
            await self._answers.learn(key, ask, sink, record, call)
        finally:
            del self._under_way[key]
            over.set()
