"""Try one channel with the smallest call there is, whether or not it takes traffic."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Raw

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.kernel.ids import uuid7
from tidemill.relay.breaker import Breaker
from tidemill.relay.contracts import ChannelTest
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.pipeline.ask import Ask, Caller
from tidemill.relay.pipeline.exchange import Patience
from tidemill.relay.pipeline.run import Ground, Pipeline
from tidemill.relay.pipeline.sinks import CollectingSink
from tidemill.relay.pipeline.watch import Watch
from tidemill.relay.ports import LocalLeases, Meter
from tidemill.relay.providers import Scene
from tidemill.relay.snapshot import Channel, build
from tidemill.relay.switchboard import Switchboard
from tidemill.relay.upstreams.port import Errand, Upstreams
from tidemill.relay.upstreams.request import api_version, headers_for

TIMEOUT_S = 60.0
_MAX_ANSWER_BYTES = 1024 * 1024
_OK = 200


async def try_channel(
    channel: Channel, model: str, user_id: int, *, upstreams: Upstreams, meter: Meter, leases: LocalLeases | None
) -> ChannelTest:
    """Call ``model`` on ``channel`` alone, past its limits and breaker, for one token; never raises for its failure.

    The call is recorded as usage of ``user_id`` on the surface ``channel-test``.
    """
    began = clock.monotonic()
    error = await try_once(
        channel,
        model,
        user_id,
        surface="channel-test",
        timeout_s=TIMEOUT_S,
        upstreams=upstreams,
        meter=meter,
        leases=leases,
    )
    if error is None:
        return ChannelTest(ok=True, latency_ms=_since(began), status=_OK, model=model)
    told, status = str(error), 0
    if isinstance(error, UpstreamFailed):
        told, status = error.detail or error.message("en"), error.upstream_status or 0
    return ChannelTest(ok=False, latency_ms=_since(began), status=status, error=told, model=model)


async def try_once(
    channel: Channel,
    model: str,
    user_id: int,
    *,
    surface: str,
    timeout_s: float,
    upstreams: Upstreams,
    meter: Meter,
    leases: LocalLeases | None = None,
) -> TidemillError | None:
    """Call ``model`` on ``channel`` alone for one token; returns what went wrong, None when nothing did."""
    board = Switchboard(Breaker, max_waiting=1)
    board.swap(build([channel], []))
    patience = Patience(timeout_s, timeout_s, _MAX_ANSWER_BYTES)
    pipeline = Pipeline(Ground(board, upstreams, meter, Watch(heartbeat_s=timeout_s), patience, leases))
    try:
        await pipeline.run(_ask(channel, model, user_id, surface, timeout_s), CollectingSink())
    except TidemillError as error:
        return error
    return None


def servable(channel: Channel) -> bool:
    """Tell whether the channel's provider serves a call that it can be tried with."""
    return any(channel.serves(scene) for scene, _, _ in _CALLS)


def models_errand(channel: Channel, key: str | None) -> Errand:
    """Return the request for the channel's list of models."""
    query = f"?api-version={quote(api_version(channel))}" if channel.preset.deployments else ""
    return get_errand(channel, key, f"{channel.root}/models{query}")


def get_errand(channel: Channel, key: str | None, url: str) -> Errand:
    """Return a request that only looks, with the headers of any call but for what speaks of a body."""
    ask = Ask(kind="chat", model="", body={}, caller=Caller(0), request_id=uuid7())
    headers = [pair for pair in headers_for(ask, channel, key) if pair[0] != "content-type"]
    return Errand(channel.id, url, headers, b"", "GET")


def _since(began: float) -> float:
    return round((clock.monotonic() - began) * 1000, 1)


# The smallest call of each scene that a channel may be tried with, the first that its provider serves.
_CALLS: Sequence[tuple[Scene, str, Mapping[str, Any]]] = (
    ("chat", "/chat/completions", {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}),
    ("embeddings", "/embeddings", {"input": ["ping"]}),
    ("rerank", "/rerank", {"query": "ping", "documents": ["ping", "pong"]}),
)


def _ask(channel: Channel, model: str, user_id: int, surface: str, timeout_s: float) -> Ask:
    scene, endpoint, fields = next(call for call in _CALLS if channel.serves(call[0]))
    return Ask(
        kind=scene,
        endpoint=endpoint,
        model=model,
        body={name: Raw(msgspec.json.encode(value)) for name, value in {"model": model, **fields}.items()},
        caller=Caller(user_id),
        request_id=uuid7(),
        surface=surface,
        channel_id=channel.id,
        timeout_s=timeout_s,
        wait_s=0.0,
        retries=0,
    )
