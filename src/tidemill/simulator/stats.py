"""What the simulator saw: counts, peaks, and the last requests for tests to look at."""

from collections import Counter, deque
from typing import Any

import msgspec

_BODY_KEPT_BYTES = 64 * 1024  # a kept request is for reading in a test, not for keeping uploads


class Stats:
    """Counts by route and status, peaks, requests that the client left, and the newest requests."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.reset()

    def reset(self) -> None:
        """Forget everything except what is in flight now."""
        self.in_flight: int = getattr(self, "in_flight", 0)
        self.max_in_flight: int = self.in_flight
        self.aborted: int = 0
        self.faults: Counter[str] = Counter()
        self._routes: dict[str, Counter[int]] = {}
        self._last: deque[tuple[str, list[tuple[bytes, bytes]], bytes]] = deque(maxlen=self._keep)

    def arrived(self, route: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Note a request before it is answered."""
        self._last.append((route, headers, body[:_BODY_KEPT_BYTES]))

    def started(self) -> None:
        """Note that a request now waits or works."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def ended(self) -> None:
        """Note that a request neither waits nor works any more."""
        self.in_flight -= 1

    def answered(self, route: str, status: int) -> None:
        """Count one answer."""
        self._routes.setdefault(route, Counter())[status] += 1

    def view(self, *, waiting: int, max_waiting: int) -> dict[str, Any]:
        """Return everything as plain data; header names are in lower case, bodies decoded where they are JSON."""
        return {
            "routes": {
                route: {str(status): count for status, count in sorted(counts.items())}
                for route, counts in sorted(self._routes.items())
            },
            "requests": sum(sum(counts.values()) for counts in self._routes.values()),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "waiting": waiting,
            "max_waiting": max_waiting,
            "aborted": self.aborted,
            "faults": dict(self.faults),
            "last": [
                {"route": route, "headers": _named(headers), "body": _readable(body)}
                for route, headers, body in self._last
            ],
        }


def _named(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _readable(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")
