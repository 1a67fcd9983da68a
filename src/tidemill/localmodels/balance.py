"""Spread requests over the ready instances of one model."""

from collections.abc import Sequence

from msgspec import Struct

from tidemill.platform.settings.groups.local_models import Balance


class Candidate(Struct, frozen=True):
    """An instance that could take a request; ``replica`` is its number, stable over restarts."""

    replica: int
    in_flight: int
    slots: int
    weight: int


class Picker:
    """Chooses among candidates and remembers whose turn it was."""

    def __init__(self, way: Balance) -> None:
        self._way = way
        self._last = -1
        self._current: dict[int, int] = {}

    def pick(self, candidates: Sequence[Candidate]) -> int:
        """Return the replica number for the next request; ``candidates`` is not empty.

        Ties go round, so that idle instances share the work.
        """
        if self._way == "weighted":
            chosen = self._smooth(candidates)
        elif self._way == "round_robin":
            chosen = self._next(candidates)
        else:
            least = min(candidate.in_flight / candidate.slots for candidate in candidates)
            chosen = self._next([c for c in candidates if c.in_flight / c.slots == least])
        self._last = chosen
        return chosen

    def _next(self, candidates: Sequence[Candidate]) -> int:
        replicas = sorted(candidate.replica for candidate in candidates)
        return next((replica for replica in replicas if replica > self._last), replicas[0])

    def _smooth(self, candidates: Sequence[Candidate]) -> int:
        """Give heavy instances more, but never all in a row. Source: smooth weighted round robin of nginx."""
        total = sum(candidate.weight for candidate in candidates)
        for candidate in candidates:
            self._current[candidate.replica] = self._current.get(candidate.replica, 0) + candidate.weight
        chosen = max(candidates, key=lambda candidate: (self._current[candidate.replica], -candidate.replica)).replica
        self._current[chosen] -= total
        return chosen
