"""What a run shows of its services and its pace; kept with the task, so that every instance can tell it."""

from collections import deque
from typing import Any

from tidemill.datagen.engine.calls import CallLog
from tidemill.datagen.engine.lanes import Lane

# Pace is measured over this long.
WINDOW_S = 30.0


class Figures:
    """Counts of one run; ``live`` is their outward form (``tasks.live``)."""

    def __init__(self, before: dict[str, Any] | None, now_s: float) -> None:
        self._done: dict[tuple[str, str], int] = {}
        self._errors: dict[tuple[str, str], int] = {}
        for service in (before or {}).get("services", []):
            key = (service["channel"], service["model"])
            self._done[key] = service["done"]
            self._errors[key] = service["errors"]
        self._marks: deque[tuple[float, int]] = deque([(now_s, 0)])
        self._rows = 0

    def heard(self, call: CallLog) -> None:
        """Count one call."""
        counts = self._done if call.ok else self._errors
        key = (call.channel, call.model)
        counts[key] = counts.get(key, 0) + 1

    def rows(self, count: int) -> None:
        """Count finished items."""
        self._rows += count

    def live(self, lanes: list[tuple[Lane, str]], now_s: float) -> dict[str, Any]:
        """Return the figures as they stand, and move the window on."""
        self._marks.append((now_s, self._rows))
        while len(self._marks) > 2 and now_s - self._marks[1][0] >= WINDOW_S:  # noqa: PLR2004 - the window's two ends
            self._marks.popleft()
        (begin_s, begin), (end_s, end) = self._marks[0], self._marks[-1]
        pace = (end - begin) / (end_s - begin_s) if end_s > begin_s else 0.0
        current = {(lane.channel, model): lane for lane, model in lanes}
        keys = sorted({*current, *self._done, *self._errors})
        return {"rows_per_s": round(pace, 3), "services": [self._service(key, current.get(key)) for key in keys]}

    def _service(self, key: tuple[str, str], lane: Lane | None) -> dict[str, Any]:
        return {
            "channel": key[0],
            "model": key[1],
            "in_flight": lane.in_flight if lane else 0,
            "limit": lane.limit.limit if lane else 0,
            "done": self._done.get(key, 0),
            "errors": self._errors.get(key, 0),
            "p95_ms": lane.p95_ms() if lane else None,
            "breaker": lane.breaker if lane else "gone",
        }
