"""Prometheus figures of the whole process; labels come from closed sets only."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from tidemill import __version__

registry = CollectorRegistry(auto_describe=True)

http_requests = Counter(
    "tidemill_http_requests", "HTTP requests answered.", ["surface", "method", "status"], registry=registry
)
http_seconds = Histogram(
    "tidemill_http_request_duration_seconds",
    "Seconds from the first byte of a request to the last of its answer.",
    ["surface"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
    registry=registry,
)
build_info = Gauge("tidemill_build_info", "Which version runs.", ["version"], registry=registry)
build_info.labels(__version__).set(1)


def exposition() -> bytes:
    """Return every figure in the Prometheus text format."""
    return generate_latest(registry)
