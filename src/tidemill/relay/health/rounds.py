"""Probe every channel once an interval, write each probe down, and let it count for the channel's breaker.

Of several processes on one database one probes a channel in an interval: who finds a young row of another's only lets
it count here as well, once.
"""

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tidemill.kernel import clock
from tidemill.kernel.ids import uuid7
from tidemill.platform.db import Row
from tidemill.relay.channel_state import NO_KEY, ChannelState
from tidemill.relay.health import repository
from tidemill.relay.health.keys import SCOPE
from tidemill.relay.health.probe import Outcome, Prober
from tidemill.relay.house import House
from tidemill.relay.snapshot import ChannelKey

AT_ONCE = 8
# Another process's probe is young up to this share of the interval; the rest is for jitter.
YOUNG = 0.8
_SPREAD = 0.1
_MOST_SPREAD_S = 5.0


class Rounds:
    """The probes of one process, ``interval_s`` seconds apart."""

    def __init__(self, house: House, prober: Prober, interval_s: float) -> None:
        self._house = house
        self._prober = prober
        self._interval_s = interval_s
        self._counted: dict[int, str] = {}
        self._turn = 0

    async def work(self) -> None:
        """Wait for most of an interval, then go round; the first time too, so that a start calls nobody."""
        await asyncio.sleep(self._interval_s * random.uniform(1 - _SPREAD, 1))  # noqa: S311 - spreads load
        await self.round(spread_s=min(self._interval_s * _SPREAD, _MOST_SPREAD_S))

    async def round(self, *, spread_s: float = 0.0) -> None:
        """Probe every channel that serves, at most ``AT_ONCE`` at once and spread over some seconds."""
        states = [state for state in self._house.board.states.values() if not state.channel.is_local]
        young = timedelta(seconds=self._interval_s * YOUNG)
        async with self._house.db.read() as r:
            newest = await repository.newest_probes(r, SCOPE, clock.now() - young)
        self._turn += 1
        self._counted = {state.channel.id: self._counted.get(state.channel.id, "") for state in states}
        room = asyncio.Semaphore(AT_ONCE)
        rows = await asyncio.gather(*(self._one(state, newest, room, spread_s) for state in states))
        made = [row for row in rows if row is not None]
        if made:
            async with self._house.db.write() as w:
                await repository.add_probes(w, SCOPE, made)

    async def _one(
        self, state: ChannelState, newest: Mapping[int, Row], room: asyncio.Semaphore, spread_s: float
    ) -> dict[str, Any] | None:
        channel = state.channel
        known = newest.get(channel.id)
        if known is not None:
            if self._counted.get(channel.id) != known["id"]:
                self._count(state, known["id"], None if known["ok"] else known["reason"] or "a probe failed")
            return None
        await asyncio.sleep(random.uniform(0, spread_s))  # noqa: S311 - spreads load
        keys = state.keys
        key = keys[self._turn % len(keys)]
        async with room:
            outcome = await self._prober.probe(channel, None if key is NO_KEY else key)
        return self._note(state, key, outcome)

    def _note(self, state: ChannelState, key: ChannelKey, outcome: Outcome) -> dict[str, Any]:
        told, failed = state.recent()
        identifier = uuid7()
        self._count(state, identifier, None if outcome.ok else outcome.reason or "the probe failed")
        if outcome.key_fault is not None and key is not NO_KEY and self._serves(state):
            state.refuse(key, outcome.key_fault, outcome.reason or "", clock.monotonic())
        return {
            "id": identifier,
            "channel_id": state.channel.id,
            "at": clock.now(),
            "ok": outcome.ok,
            "latency_ms": outcome.latency_ms,
            "error_rate": round(failed / told, 4) if told else None,
            "reason": outcome.reason,
        }

    def _count(self, state: ChannelState, probe_id: str, reason: str | None) -> None:
        self._counted[state.channel.id] = probe_id
        if self._serves(state):
            state.probed(clock.monotonic(), reason)

    def _serves(self, state: ChannelState) -> bool:
        return self._house.board.states.get(state.channel.id) is state
