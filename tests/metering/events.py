"""Usage events for tests."""

from typing import Any

from tidemill.kernel.ids import uuid7
from tidemill.metering.contracts import UsageEvent
from tidemill.wire.tokens import TokenCounts

# 2026-01-02T03:04:05Z
BEGAN_MS = 1_767_323_045_000


def usage(**fields: Any) -> UsageEvent:
    """Return one event of user 1 that used 10 + 5 tokens."""
    given: dict[str, Any] = {
        "id": uuid7(),
        "began_ms": BEGAN_MS,
        "request_id": "r",
        "user_id": 1,
        "model": "m",
        "channel_id": 3,
        "channel": "c",
        "latency_ms": 20.0,
        "tokens": TokenCounts(fresh=10, output=5),
        **fields,
    }
    return UsageEvent(**given)
