"""Stand between a call and the channels: what was answered before is answered from here, where that is wanted."""

from collections.abc import Callable, Mapping
from typing import Literal

from tidemill.relay.caching.answers import AnswerCache, Call
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

    async def through(self, ask: Ask, sink: Sink, record: Record, watched: Watched, call: Call) -> None:
        """Answer ``ask`` from what is kept, else by ``call``; raises what that raises."""
        outlet = Outlet(sink, watched, self._idle_s)
        if ask.kind == "embeddings" and self._vectors is not None and self._carries(ask.model):
            if await self._vectors.answer(ask, outlet, record, call):
                return
        elif ask.cache in self._wishes and self._carries(ask.model):
            key = self._answers.key_of(ask)
            if key is not None:
                kept = None if ask.cache == "refresh" else await self._answers.find(key)
                if kept is not None:
                    await self._answers.give(kept, outlet, record)
                else:
                    await self._answers.learn(key, ask, sink, record, call)
                return
        await call(ask, sink)
