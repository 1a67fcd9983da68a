"""What operators ask: alive, started, ready, and the figures.

Readiness looks at what this instance cannot work without, each part with its latency, and reports beside it what it
works without, if more slowly. Model services are reported by their own pages and never make us unready.
"""

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address

from litestar import Request, Response, get
from msgspec import Struct

from tidemill import __version__
from tidemill.kernel.errors import NotFound, Unauthenticated
from tidemill.platform.settings import Settings
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

Check = Callable[[], Awaitable[float]]


class Part(Struct, frozen=True):
    """One part that this instance needs."""

    ok: bool
    latency_ms: float | None = None
    error: str | None = None


class Readiness(Struct, frozen=True):
    """Whether to send this instance traffic."""

    ready: bool
    draining: bool
    parts: Mapping[str, Part]


class Health(Struct, frozen=True):
    """Alive, and which version."""

    status: str
    version: str


class Checks:
    """The parts to look at, and whether the process is on its way out."""

    def __init__(self, parts: Mapping[str, Check], *, reported: Mapping[str, Check] | None = None) -> None:
        """Need ``parts``; ``reported`` are looked at too and never make us unready."""
        self._parts = parts
        self._reported = reported or {}
        self.draining = False

    async def readiness(self) -> Readiness:
        """Look at every part."""
        parts = {name: await _look(name, check) for name, check in self._parts.items()}
        ready = all(part.ok for part in parts.values()) and not self.draining
        reported = {name: await _look(name, check) for name, check in self._reported.items()}
        return Readiness(ready, self.draining, parts | reported)


async def _look(name: str, check: Check) -> Part:
    try:
        seconds = await check()
    except Exception as error:
        log.warning("health.part_down", part=name, exc_info=error)
        return Part(ok=False, error=type(error).__name__)
    return Part(ok=True, latency_ms=round(seconds * 1000, 2))


@get("/health", summary="Alive, and which version")
async def health() -> Health:
    """Answer while the process lives."""
    return Health("ok", __version__)


@get("/startupz", summary="Has the start finished?")
async def startupz() -> Health:
    """Answer once everything is started: routes exist only then."""
    return Health("started", __version__)


@get("/readyz", summary="May traffic come? Each part with its latency")
async def readyz(checks: Checks) -> Response[Readiness]:
    """Answer 200 when every part works, 503 when one does not or the process drains."""
    readiness = await checks.readiness()
    return Response(readiness, status_code=200 if readiness.ready else 503)


@get("/metrics", include_in_schema=False)
async def metrics(request: Request[object, object, object], settings: Settings) -> Response[bytes]:  # pyright: ignore[reportInvalidTypeArguments] - the state is not looked at
    """Answer figures to loopback, and elsewhere to holders of ``telemetry.metrics_token``."""
    from tidemill.platform.telemetry.metrics import exposition  # noqa: PLC0415 - loaded on first use

    _check_metrics_caller(
        request.client.host if request.client else None,
        request.headers.get("authorization"),
        settings.telemetry.metrics_token,
    )
    return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _check_metrics_caller(host: str | None, authorization: str | None, token: str | None) -> None:
    if host is not None and ip_address(host).is_loopback:
        return
    if not token:
        raise NotFound
    if authorization != f"Bearer {token}":
        raise Unauthenticated


HANDLERS = (health, startupz, readyz, metrics)
