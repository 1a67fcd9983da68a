"""What will be written down of a call: filled on the way, settled exactly once, whatever the way was."""

import msgspec
from msgspec import UNSET, UnsetType

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.kernel.ids import uuid7
from tidemill.metering.contracts import CallStatus, UsageEvent
from tidemill.relay.errors import (
    ClientGone,
    NoChannelAvailable,
    RateLimited,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimedOut,
)
from tidemill.relay.pipeline.ask import Ask
from tidemill.relay.ports import Meter
from tidemill.relay.snapshot import Channel
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.tokens import NOTHING, TokenCounts, estimate_text

# The note that holds the service's own id of the call, where it told one.
UPSTREAM_ID = "upstream_request_id"


class Record:
    """The usage of one call in the making."""

    __slots__ = (
        "_ask",
        "_began",
        "_began_ms",
        "_channel",
        "_meter",
        "_settled",
        "cached",
        "error",
        "first_token_ms",
        "forwarded_bytes",
        "http_status",
        "notes",
        "tries",
        "upstream_s",
        "upstream_spoke",
        "usage",
        "usage_raw",
    )

    def __init__(self, ask: Ask, meter: Meter) -> None:
        self._ask = ask
        self._meter = meter
        self._began = clock.monotonic()
        self._began_ms = int(clock.now().timestamp() * 1000)
        self._channel: Channel | None = None
        self._settled = False
        self.cached = False
        self.error: TidemillError | None = None
        self.first_token_ms: float | None = None
        self.forwarded_bytes = 0
        self.http_status = 200
        self.notes: dict[str, str] = {}  # what only the way of the call tells, beside the caller's own metadata
        self.tries = 0
        self.upstream_s = 0.0  # spent waiting for services, before anything was handed on
        self.upstream_spoke = False
        self.usage: TokenCounts | None = None
        self.usage_raw: bytes | None = None

    def try_with(self, channel: Channel) -> None:
        """Start over with a channel; what an earlier one used is not this call's answer."""
        self.tries += 1
        self._channel = channel
        self.error = None
        self.notes.pop(UPSTREAM_ID, None)
        self.upstream_spoke = False
        self.usage = self.usage_raw = None
        self.forwarded_bytes = 0

    def asks(self, ask: Ask) -> None:
        """Say that less is asked of a channel than was asked of us; the rest is known here."""
        self._ask = ask

    def elapsed_ms(self) -> float:
        """Milliseconds since the call began."""
        return (clock.monotonic() - self._began) * 1000

    def overhead_ms(self) -> float:
        """Milliseconds that the call has been here so far, waiting for a place included, but not for a service."""
        return max(0.0, self.elapsed_ms() - self.upstream_s * 1000)

    def first_token(self) -> None:
        """Note that content has come."""
        if self.first_token_ms is None:
            self.first_token_ms = round(self.elapsed_ms(), 3)

    def tokens(self) -> TokenCounts:
        """Return the upstream's counts, else an estimate, else nothing if not a byte came back.

        The rule for interrupted streams: the input, and as much of the output as came. A service that failed before
        any content was handed on has done nothing for anybody.
        """
        if self.usage is not None and not (self.usage.estimated and self._has_failed):
            return self.usage
        if not self.upstream_spoke or self._has_failed or self._ask.kind == "count":
            return NOTHING
        return TokenCounts(
            fresh=self._ask.estimated_tokens(), output=estimate_text(self.forwarded_bytes), estimated=True
        )

    def count(self, usage: Usage | UnsetType) -> None:
        """Note a usage that was read; what is kept of it to count anew are the buckets of the canonical form."""
        if usage is not UNSET:
            self.usage = usage.counts()
            self.usage_raw = msgspec.json.encode(usage)

    @property
    def _has_failed(self) -> bool:
        return self.first_token_ms is None and isinstance(self.error, UpstreamFailed)

    def settle(self) -> None:
        """Hand the event to metering; does nothing the second time."""
        if self._settled:
            return
        self._settled = True
        ask, channel, error = self._ask, self._channel, self.error
        self._meter.record(
            UsageEvent(
                id=uuid7(),
                began_ms=self._began_ms,
                request_id=ask.request_id,
                user_id=ask.caller.user_id,
                key_id=ask.caller.key_id,
                surface=ask.surface,
                kind=ask.kind,
                model=ask.model,
                upstream_model=None if channel is None else channel.models.get(ask.model),
                channel_id=None if channel is None else channel.id,
                channel=None if channel is None else channel.name,
                provider=None if channel is None else channel.provider,
                stream=ask.stream,
                status=_status(error),
                http_status=self.http_status if error is None else _http_status(error),
                error_code=None if error is None else error.code,
                retries=max(0, self.tries - 1),
                latency_ms=round(self.elapsed_ms(), 3),
                first_token_ms=self.first_token_ms,
                tokens=self.tokens(),
                usage_raw=None if self.usage_raw is None else self.usage_raw.decode(errors="replace"),
                metadata={**ask.metadata, **self.notes},
                cached=self.cached,
            )
        )


def _http_status(error: TidemillError) -> int:
    return error.answer_status if isinstance(error, UpstreamFailed) else error.status


# The first that fits, from the particular to the general.
_STATUS_OF: tuple[tuple[type[TidemillError], CallStatus], ...] = (
    (ClientGone, CallStatus.CLIENT_GONE),
    (UpstreamTimedOut, CallStatus.TIMEOUT),
    (UpstreamRefused, CallStatus.CLIENT_ERROR),
    (UpstreamFailed, CallStatus.UPSTREAM_ERROR),
    (RateLimited, CallStatus.REFUSED),
    (NoChannelAvailable, CallStatus.REFUSED),
)
_SERVER_ERROR = 500


def _status(error: TidemillError | None) -> CallStatus:
    if error is None:
        return CallStatus.OK
    for kind, status in _STATUS_OF:
        if isinstance(error, kind):
            return status
    return CallStatus.CLIENT_ERROR if error.status < _SERVER_ERROR else CallStatus.UPSTREAM_ERROR
