"""What an operator sees of live events."""

from prometheus_client import Counter, Gauge

from tidemill.platform.telemetry.metrics import registry

watchers = Gauge("tidemill_live_watchers", "Open event streams and WebSockets.", ["kind"], registry=registry)
events = Counter("tidemill_live_events", "Events given to watchers of this process.", ["topic"], registry=registry)
resumed = Counter("tidemill_live_resumed", "Watchers that asked what they had missed.", ["outcome"], registry=registry)
closed = Counter(
    "tidemill_live_closed", "Streams and sockets ended by the server.", ["kind", "code"], registry=registry
)
