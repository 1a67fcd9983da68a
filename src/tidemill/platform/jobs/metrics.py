"""The figures of jobs, as ``/metrics`` shows them; labels are queues and types, which the program names itself."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from tidemill.platform.jobs.port import JobKind
from tidemill.platform.jobs.repository_desk import Depth
from tidemill.platform.jobs.transport import Facts
from tidemill.platform.telemetry.metrics import registry

_QUEUE_TYPE = ["queue", "type"]
_QUEUE_STATE = ["queue", "state"]
_TRANSPORT = ["transport"]
enqueued = Counter("tidemill_jobs_enqueued", "Jobs put into the queue.", _QUEUE_TYPE, registry=registry)
running = Gauge("tidemill_jobs_running", "Jobs that this process runs.", _QUEUE_TYPE, registry=registry)
fenced = Counter(
    "tidemill_jobs_fenced", "Runs whose result was dropped: their lease was lost.", ["type"], registry=registry
)
orphaned = Counter("tidemill_jobs_orphaned", "Jobs taken from a dead worker.", ["type"], registry=registry)
_ended = Counter("tidemill_jobs_runs", "Runs that ended, by next state.", [*_QUEUE_TYPE, "state"], registry=registry)
_seconds = Histogram(
    "tidemill_jobs_run_duration_seconds",
    "Seconds of one run.",
    _QUEUE_TYPE,
    buckets=(0.01, 0.05, 0.25, 1, 5, 30, 120, 600, 3600),
    registry=registry,
)
_depth = Gauge("tidemill_jobs_depth", "Jobs in the database, by queue and state.", _QUEUE_STATE, registry=registry)
_oldest = Gauge(
    "tidemill_jobs_oldest_seconds", "How long the longest waiting job has been due.", ["queue"], registry=registry
)
_up = Gauge("tidemill_jobs_transport_up", "1 while the broker of jobs is connected.", _TRANSPORT, registry=registry)
_moved = Gauge(
    "tidemill_jobs_transport_tickets",
    "Tickets since the start, by what became of them.",
    ["transport", "what"],
    registry=registry,
)


def ended(kind: JobKind, state: str, seconds: float) -> None:
    """Count a run that ended."""
    _ended.labels(kind.queue, kind.type, state).inc()
    _seconds.labels(kind.queue, kind.type).observe(seconds)


def show(depths: Iterable[Depth], facts: Facts) -> None:
    """Show what was measured last."""
    _depth.clear()
    _oldest.clear()
    for depth in depths:
        for state, count in depth.by_state.items():
            _depth.labels(depth.queue, state).set(count)
        _oldest.labels(depth.queue).set(depth.oldest_s)
    _up.labels(facts.name).set(facts.state == "up")
    for what in ("published", "refused", "delivered", "redelivered", "nacked", "reconnects"):
        _moved.labels(facts.name, what).set(getattr(facts, what))
