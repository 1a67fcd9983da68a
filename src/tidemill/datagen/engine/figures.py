"""What one run tells of its services and its pace; the figures of a task are the sum over its runs."""

from collections import deque
from typing import Any

from tidemill.datagen.engine.calls import CallLog
from tidemill.datagen.engine.crew import Counts
from tidemill.datagen.engine.lanes import Lane

# Pace is measured over this long.
WINDOW_S = 30.0


class Figures:
    """Counts of one run, since they were last told."""

    def __init__(self, now_s: float) -> None:
        self._calls: Counts = {}
        self._marks: deque[tuple[float, int]] = deque([(now_s, 0)])
        self._rows = 0

    def heard(self, call: CallLog) -> None:
        """Count one call."""
        done, errors = self._calls.get((call.channel, call.model), (0, 0))
        self._calls[call.channel, call.model] = (done + call.ok, errors + (not call.ok))

    def rows(self, count: int) -> None:
        """Count finished items."""
        self._rows += count

    def untold(self) -> Counts:
        """Return the calls that are not in the task's totals yet."""
        return dict(self._calls)

    def told(self, counts: Counts) -> None:
        """Take off what has been added to the task's totals."""
        for key, (done, errors) in counts.items():
            now_done, now_errors = self._calls[key]
            self._calls[key] = (now_done - done, now_errors - errors)
            if self._calls[key] == (0, 0):
                del self._calls[key]

    def move_on(self, now_s: float) -> None:
        """Move the window of the pace on; once a second."""
        self._marks.append((now_s, self._rows))
        while len(self._marks) > 2 and now_s - self._marks[1][0] >= WINDOW_S:  # noqa: PLR2004 - the window's two ends
            self._marks.popleft()

    def part(self, lanes: list[tuple[Lane, str]], down: dict[str, Any] | None) -> dict[str, Any]:
        """Return how this run stands at the moment: its pace, its services, and why none can be called, if so."""
        (begin_s, begin), (end_s, end) = self._marks[0], self._marks[-1]
        pace = (end - begin) / (end_s - begin_s) if end_s > begin_s else 0.0
        return {
            "rows_per_s": round(pace, 3),
            "down": down,
            "services": [
                {
                    "channel": lane.channel,
                    "model": model,
                    "in_flight": lane.in_flight,
                    "limit": lane.limit.limit,
                    "p95_ms": lane.p95_ms(),
                    "breaker": lane.breaker,
                }
                for lane, model in lanes
            ],
        }
