"""The relay's Prometheus figures: calls and tokens as they are recorded, channels as they stand when asked.

Labels come from closed sets and from the channels that an administrator made; never from what a client sends.
"""

from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from tidemill.kernel import clock
from tidemill.metering.contracts import UsageEvent
from tidemill.platform.telemetry.metrics import registry
from tidemill.relay.ports import Meter
from tidemill.relay.switchboard import Switchboard

calls = Counter("tidemill_relay_calls", "Model calls.", ["kind", "status", "provider"], registry=registry)
tokens = Counter("tidemill_relay_tokens", "Tokens of model calls.", ["direction"], registry=registry)
seconds = Histogram(
    "tidemill_relay_call_duration_seconds",
    "Seconds of a model call, streams to their end.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=registry,
)
first_token = Histogram(
    "tidemill_relay_first_token_seconds",
    "Seconds to the first content of a stream.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=registry,
)
_STATES = {"closed": 0, "half_open": 1, "open": 2}
_tokens_in, _tokens_out = tokens.labels("in"), tokens.labels("out")


class CountingMeter:
    """A meter that counts what it hands on."""

    def __init__(self, inner: Meter) -> None:
        self._inner = inner
        self._calls: dict[tuple[str, str, str], Counter] = {}
        self._seconds: dict[str, Histogram] = {}

    def record(self, event: UsageEvent) -> None:
        """Keep and count one call."""
        self._inner.record(event)
        key = (event.kind, event.status.value, event.provider or "none")
        counter = self._calls.get(key)
        if counter is None:
            counter = self._calls[key] = calls.labels(*key)
        counter.inc()
        timer = self._seconds.get(event.kind)
        if timer is None:
            timer = self._seconds[event.kind] = seconds.labels(event.kind)
        timer.observe(event.latency_ms / 1000)
        if event.stream and event.first_token_ms is not None:
            first_token.observe(event.first_token_ms / 1000)
        if event.tokens.total:
            _tokens_in.inc(event.tokens.request)
            _tokens_out.inc(event.tokens.response)


class ChannelCollector:
    """Tells Prometheus how the channels of this process stand, when it asks."""

    def __init__(self) -> None:
        # One board in a server; more only where one process plays several.
        self.boards: list[Switchboard] = []

    def collect(self) -> Iterator[Metric]:
        """Yield one family for each figure."""
        now = clock.monotonic()
        in_flight = GaugeMetricFamily("tidemill_channel_in_flight", "Calls in flight.", labels=["channel"])
        breaker = GaugeMetricFamily(
            "tidemill_channel_breaker", "Breaker: 0 closed, 1 half open, 2 open.", labels=["channel"]
        )
        waiting = sum(board.waiting for board in self.boards)
        states = {state.channel.name: state for board in self.boards for state in board.states.values()}
        for name, state in states.items():
            in_flight.add_metric([name], state.in_flight)
            breaker.add_metric([name], _STATES[state.breaker_state(now)])
        yield from (
            in_flight,
            breaker,
            GaugeMetricFamily("tidemill_relay_waiting", "Calls that wait for a slot.", value=waiting),
        )


channels = ChannelCollector()
registry.register(channels)
