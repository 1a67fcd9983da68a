"""What the simulator saw: counts, peaks, who left, and the last requests for tests to look at."""

from collections import Counter, deque
from typing import Any

import msgspec

from tidemill.kernel import clock
from tidemill.simulator.exchange import Exchange

_BODY_KEPT_BYTES = 64 * 1024  # a kept request is for reading in a test, not for keeping uploads
_MOST_NAMES = 1000  # names of models and keys counted apart; later ones are counted together
_MOST_ABORTS = 100
_KEY_SHOWN = 8
OTHERS = "(others)"


class Stats:
    """Counts by route, model and key, peaks, requests that the client left, and the newest requests."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything except what is in flight now."""
        self.max_in_flight: int = self.in_flight
        self.aborted: int = 0
        self.faults: Counter[str] = Counter()
        self._routes: dict[str, dict[str, int]] = {}
        self._models: dict[str, dict[str, int]] = {}
        self._keys: dict[str, dict[str, int]] = {}
        self._aborts: deque[dict[str, Any]] = deque(maxlen=_MOST_ABORTS)
        self._last: deque[tuple[str, list[tuple[bytes, bytes]], bytes]] = deque(maxlen=self._keep)

    def started(self, exchange: Exchange) -> None:
        """Note a request that now waits or works."""
        self._last.append((exchange.route, exchange.headers, exchange.data[:_BODY_KEPT_BYTES]))
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def ended(self, exchange: Exchange) -> None:
        """Note that the request neither waits nor works any more, and what it was answered."""
        self.in_flight -= 1
        if not exchange.status:
            return
        status = str(exchange.status)
        _count(self._routes, exchange.route, status)
        _count(self._models, exchange.model, status)
        _count(self._keys, exchange.key[-_KEY_SHOWN:], status)

    def left(self, exchange: Exchange) -> None:
        """Note that the client went away before its answer was complete."""
        self.aborted += 1
        self._aborts.append(
            {
                "route": exchange.route,
                "model": exchange.model,
                "key": exchange.key[-_KEY_SHOWN:],
                "after_s": round(clock.monotonic() - exchange.arrived_s, 6),
                "events": exchange.events,
            }
        )

    def view(self, *, waiting: int, max_waiting: int) -> dict[str, Any]:
        """Return everything as plain data; header names are in lower case, bodies decoded where they are JSON.

        Keys are shown by their last 8 characters. ``after_s`` of an abort runs from the request's head to the moment
        its client was seen to be gone.
        """
        return {
            "routes": {route: dict(sorted(counts.items())) for route, counts in sorted(self._routes.items())},
            "models": {name: dict(counts) for name, counts in sorted(self._models.items())},
            "keys": {name: dict(counts) for name, counts in sorted(self._keys.items())},
            "requests": sum(sum(counts.values()) for counts in self._routes.values()),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "waiting": waiting,
            "max_waiting": max_waiting,
            "aborted": self.aborted,
            "aborts": list(self._aborts),
            "faults": dict(self.faults),
            "last": [
                {"route": route, "headers": _readable_headers(headers), "body": _readable(body)}
                for route, headers, body in self._last
            ],
        }


def _count(counts: dict[str, dict[str, int]], name: str, status: str) -> None:
    by_status = counts.get(name)
    if by_status is None:
        by_status = counts.setdefault(name if len(counts) < _MOST_NAMES else OTHERS, {})
    by_status[status] = by_status.get(status, 0) + 1


def _readable_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _readable(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return body.decode("utf-8", "replace")
