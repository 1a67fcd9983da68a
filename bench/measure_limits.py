"""Limits: what a call of four bounds (key, user, model, channel) costs to let in and release.

In memory, beside four dictionary entries raised and lowered; refused, which walks the same bounds and counts nothing.
Over a Valkey on this machine: one call after the other, beside a PING by the same client; and a call's share of the
time when 64 come at once and travel together.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

from bench.figures import Figure, median_of
from tests.fixtures.valkey import ValkeyServer
from tidemill.platform.redis import Client
from tidemill.relay.limits import Bound, Claim, MemoryLimits
from tidemill.relay.limits.shared import SharedLimits

_REPETITIONS = 5
_IN_MEMORY = 20_000
_SHARED = 500
_AT_ONCE = 64
_MUCH = 10**9
_NAMES = ("key:1", "user:1", "model:m", "channel:1")
_OPEN = tuple(Bound(name, rpm=_MUCH, tpm=_MUCH, concurrent=_MUCH) for name in _NAMES)
_FULL = (*_OPEN[:3], Bound(_NAMES[3], rpm=1, tpm=_MUCH, concurrent=_MUCH))


def measure() -> list[Figure]:
    """Measure in this process; the server is one of its own."""
    bare = [_timed(_bare) for _ in range(_REPETITIONS)]
    let_in = [_timed(_let_in) for _ in range(_REPETITIONS)]
    refused = [_timed(_refused) for _ in range(_REPETITIONS)]
    figures = [
        _figure("limits: a call of four bounds, in memory", let_in, bare, "four dictionary entries"),
        _figure("limits: a call refused, in memory", refused, bare, "four dictionary entries"),
    ]
    server = ValkeyServer()
    try:
        return figures + asyncio.run(_over_valkey(server.url))
    finally:
        server.stop()


def _figure(name: str, samples: list[float], baseline: list[float], baseline_name: str) -> Figure:
    value, kept = median_of(samples)
    return Figure(
        name=name, value=value, unit="µs", samples=kept, baseline=median_of(baseline)[0], baseline_name=baseline_name
    )


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / _IN_MEMORY * 1e6


def _bare() -> None:
    counts = dict.fromkeys(_NAMES, 0)
    for _ in range(_IN_MEMORY):
        for name in _NAMES:
            counts[name] += 1
        for name in _NAMES:
            counts[name] -= 1


def _let_in() -> None:
    limits = MemoryLimits()
    for number in range(_IN_MEMORY):
        claim = limits.claim(_OPEN, 100, number / 100)
        if isinstance(claim, Claim):
            limits.correct(claim, 90)
            limits.release(claim)


def _refused() -> None:
    limits = MemoryLimits()
    limits.claim(_FULL, 100, 0.0)
    for _ in range(_IN_MEMORY):
        limits.claim(_FULL, 100, 1.0)


async def _over_valkey(url: str) -> list[Figure]:
    limits, client = SharedLimits(url, prefix=uuid4().hex), Client(url, setting="cache.url")
    await limits.start()

    async def call() -> None:
        claim = await limits.reserve(_OPEN, 100)
        if isinstance(claim, Claim):
            limits.release(claim)

    async def ping() -> None:
        await client.ask("PING")

    async def calls_at_once() -> None:
        await asyncio.gather(*(call() for _ in range(_AT_ONCE)))

    await call()
    pings: list[float] = []
    alone: list[float] = []
    together: list[float] = []
    for _ in range(_REPETITIONS):
        pings.append(await _rounds(ping, _SHARED))
        alone.append(await _rounds(call, _SHARED))
        together.append(await _rounds(calls_at_once, _SHARED // _AT_ONCE) / _AT_ONCE)
    await limits.close()
    await client.close()
    return [
        _figure("limits: a call of four bounds, over Valkey", alone, pings, "a PING by the same client"),
        _figure(f"limits: one of {_AT_ONCE} calls at once, over Valkey", together, pings, "a PING by the same client"),
    ]


async def _rounds(work: Callable[[], Awaitable[None]], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        await work()
    return (time.perf_counter() - began) / count * 1e6
