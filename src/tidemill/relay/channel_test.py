"""Try one channel with the smallest call there is, whether or not it takes traffic."""

from collections.abc import Mapping, Sequence
from typing import Any

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
from tidemill.relay.upstreams.port import Upstreams

TIMEOUT_S = 60.0
_MAX_ANSWER_BYTES = 1024 * 1024
_OK = 200


async def try_channel(
    channel: Channel, model: str, user_id: int, *, upstreams: Upstreams, meter: Meter, leases: LocalLeases | None
) -> ChannelTest:
    """Call ``model`` on ``channel`` alone, past its limits and breaker, for one token; never raises for its failure.

    The call is recorded as usage of ``user_id`` on the surface ``channel-test``.
    """
    board = Switchboard(Breaker, max_waiting=1)
    board.swap(build([channel], []))
    patience = Patience(TIMEOUT_S, TIMEOUT_S, _MAX_ANSWER_BYTES)
    pipeline = Pipeline(Ground(board, upstreams, meter, Watch(heartbeat_s=TIMEOUT_S), patience, leases))
    began = clock.monotonic()
    try:
        await pipeline.run(_ask(channel, model, user_id), CollectingSink())
    except UpstreamFailed as error:
        return ChannelTest(
            ok=False,
            latency_ms=_since(began),
            status=error.upstream_status or 0,
            error=error.detail or error.message("en"),
            model=model,
        )
    except TidemillError as error:
        return ChannelTest(ok=False, latency_ms=_since(began), status=0, error=str(error), model=model)
    return ChannelTest(ok=True, latency_ms=_since(began), status=_OK, model=model)


def _since(began: float) -> float:
    return round((clock.monotonic() - began) * 1000, 1)


# The smallest call of each scene that a channel may be tried with, the first that its provider serves.
_CALLS: Sequence[tuple[Scene, str, Mapping[str, Any]]] = (
    ("chat", "/chat/completions", {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}),
    ("embeddings", "/embeddings", {"input": ["ping"]}),
    ("rerank", "/rerank", {"query": "ping", "documents": ["ping", "pong"]}),
)


def _ask(channel: Channel, model: str, user_id: int) -> Ask:
    scene, endpoint, fields = next(call for call in _CALLS if channel.serves(call[0]))
    return Ask(
        kind=scene,
        endpoint=endpoint,
        model=model,
        body={name: Raw(msgspec.json.encode(value)) for name, value in {"model": model, **fields}.items()},
        caller=Caller(user_id),
        request_id=uuid7(),
        surface="channel-test",
        channel_id=channel.id,
        timeout_s=TIMEOUT_S,
        wait_s=0.0,
        retries=0,
    )
