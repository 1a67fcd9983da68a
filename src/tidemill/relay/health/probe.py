"""Ask one channel whether it is there, with one of its keys.

Whatever a service answers shows that it lives, but for 5xx. A list of models is asked for unless the channel names a
model to be called for one token. A key is held to be refused only by a call: services let some keys call models that
may not list them, and others list them for anybody.
"""

import asyncio
from typing import Literal

import msgspec
from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.relay.channel_test import models_errand, servable, try_once
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.health.wording import storable
from tidemill.relay.ports import Meter
from tidemill.relay.rules import kind_of
from tidemill.relay.snapshot import Channel, ChannelKey
from tidemill.relay.upstreams.port import UpstreamBrokenError, Upstreams

DEADLINE_S = 10.0
# A call keeps its own deadlines; this one is for what they do not cover.
_LAST_DEADLINE_S = DEADLINE_S + 2.0
SURFACE = "probe"
# Usage that is nobody's.
_NOBODY = 0
_MAX_LIST_BYTES = 8 * 1024 * 1024
_ERRORS = 500

KeyFault = Literal["key_refused", "key_broke"]
_FAULT_OF_KIND: dict[str, KeyFault] = {"auth": "key_refused", "balance": "key_broke"}
_DEAD = frozenset({"transport", "timeout", "server"})


class Outcome(Struct, frozen=True, kw_only=True):
    """How a probe went. ``ok``: the service is there; ``key_fault``: it does not take the key."""

    ok: bool
    latency_ms: float
    reason: str | None = None
    key_fault: KeyFault | None = None


class Prober:
    """Probes channels past their limits and breakers."""

    def __init__(self, upstreams: Upstreams, meter: Meter) -> None:
        self._upstreams = upstreams
        self._meter = meter

    async def probe(self, channel: Channel, key: ChannelKey | None) -> Outcome:
        """Probe a channel with one of its keys (None: it has none); never raises for the service's failure."""
        if channel.probe_model is not None and servable(channel):
            return await self._call(channel, key, channel.probe_model)
        listed = await self._list(channel, key)
        if listed.key_fault is None:
            return listed
        called = await self.try_key(channel, key)
        return Outcome(ok=called.ok, latency_ms=listed.latency_ms, reason=called.reason, key_fault=called.key_fault)

    async def try_key(self, channel: Channel, key: ChannelKey | None) -> Outcome:
        """Find out by a call for one token whether a service takes a key; where it serves no calls, by its list."""
        if not servable(channel):
            return await self._list(channel, key)
        return await self._call(channel, key, channel.probe_model or next(iter(channel.models)))

    async def _call(self, channel: Channel, key: ChannelKey | None, model: str) -> Outcome:
        # A model of the service that is not offered to anybody will do as well.
        models = {model: model, **channel.models}
        alone = msgspec.structs.replace(channel, keys=() if key is None else (key,), models=models)
        began = clock.monotonic()
        try:
            async with asyncio.timeout(_LAST_DEADLINE_S):
                error = await try_once(
                    alone,
                    model,
                    _NOBODY,
                    surface=SURFACE,
                    timeout_s=DEADLINE_S,
                    upstreams=self._upstreams,
                    meter=self._meter,
                )
        except TimeoutError:
            return _late(began)
        return _outcome(error, _since(began))

    async def _list(self, channel: Channel, key: ChannelKey | None) -> Outcome:
        began = clock.monotonic()
        try:
            async with asyncio.timeout(DEADLINE_S):
                status = await self._status(channel, key)
        except TimeoutError:
            return _late(began)
        except UpstreamBrokenError as error:
            return Outcome(ok=False, latency_ms=_since(began), reason=_short(str(error)))
        if status >= _ERRORS:
            return Outcome(ok=False, latency_ms=_since(began), reason=f"HTTP {status}")
        fault = _FAULT_OF_KIND.get(kind_of(status)) if status >= 400 else None  # noqa: PLR2004 - HTTP's client errors
        reason = f"HTTP {status}" if status >= 400 else None  # noqa: PLR2004 - as above
        return Outcome(ok=True, latency_ms=_since(began), reason=reason, key_fault=fault)

    async def _status(self, channel: Channel, key: ChannelKey | None) -> int:
        answer = await self._upstreams.send(models_errand(channel, None if key is None else key.text))
        try:
            await answer.read(_MAX_LIST_BYTES)
        except BaseException:
            await answer.abort()
            raise
        await answer.finish()
        return answer.status


def _outcome(error: TidemillError | None, latency_ms: float) -> Outcome:
    if error is None:
        return Outcome(ok=True, latency_ms=latency_ms)
    reason = _short(error.detail or error.message("en"))
    if not isinstance(error, UpstreamFailed):
        return Outcome(ok=True, latency_ms=latency_ms, reason=reason)  # it never left the house
    fault = _FAULT_OF_KIND.get(error.kind)
    return Outcome(ok=error.kind not in _DEAD, latency_ms=latency_ms, reason=reason, key_fault=fault)


def _late(began: float) -> Outcome:
    return Outcome(ok=False, latency_ms=_since(began), reason=f"no answer within {DEADLINE_S:.0f} s")


def _since(began: float) -> float:
    return round((clock.monotonic() - began) * 1000, 1)


def _short(text: str) -> str:
    return storable(text)
